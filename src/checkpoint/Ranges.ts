/** Whole numbers from `from` to `to`, both included. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** A set of whole numbers, kept as ranges: as small as it has gaps. */
export class Ranges {
  readonly #ranges: Range[];

  constructor(ranges: Iterable<Range> = []) {
    this.#ranges = [];
    for (const { from, to } of ranges) this.add(from, to);
  }

  has(n: number): boolean {
    const range = this.#ranges[this.#firstNotBefore(n)];
    return range !== undefined && range.from <= n;
  }

  /** Adds a number, or all of a range. */
  add(from: number, to = from): void {
    const ranges = this.#ranges;
    // All that overlap with it, or touch it, become one with it.
    const first = this.#firstNotBefore(from - 1);
    let next = first;
    while (next < ranges.length && ranges[next]!.from <= to + 1) next++;
    const merged =
      next === first
        ? { from, to }
        : { from: Math.min(from, ranges[first]!.from), to: Math.max(to, ranges[next - 1]!.to) };
    ranges.splice(first, next - first, merged);
  }

  /** In rising order, with a gap before each. */
  [Symbol.iterator](): Iterator<Range> {
    return this.#ranges.values();
  }

  /** The index of the first range that ends at `n` or later. */
  #firstNotBefore(n: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ranges[middle]!.to < n) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
