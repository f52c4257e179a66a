import { RingQueue } from '../queue/RingQueue.ts';

interface Entry<P> {
  readonly position: P;
  settled: boolean;
}

/**
 * The contiguous low-water mark of a source: the last position such that it, and all that were added before it, are
 * settled. Items settle in any order; the mark moves in the order in which they were added, so whoever resumes after it
 * gives no item that is not settled, and misses none.
 *
 *     added   1 2 3 4
 *     settled   2     4     1     3
 *     mark      -     -     2     4
 *
 * An item that failed is not settled: the mark stays before it for good.
 */
export class LowWaterMark<P> {
  #mark: P | undefined;
  readonly #order = new RingQueue<Entry<P>>();
  readonly #open = new Map<P, Entry<P>>();
  readonly #ahead = new Set<P>();

  /** @param mark Where the last run had come to; undefined: at the beginning. */
  constructor(mark?: P) {
    this.#mark = mark;
  }

  /** All up to here, and this one, is settled; undefined: not even the first. */
  get mark(): P | undefined {
    return this.#mark;
  }

  /** Settled beyond the mark: whoever keeps these too need not give them again. */
  get ahead(): readonly P[] {
    return [...this.#ahead];
  }

  /** Positions beyond the mark, settled or not. */
  get pending(): number {
    return this.#order.size;
  }

  /** An item is given, after all that were added before. Equal positions (as keys of a `Map`) must not be open at once. */
  add(position: P): void {
    if (this.#open.has(position)) throw new Error('sluice: a position was added twice');
    const entry = { position, settled: false };
    this.#open.set(position, entry);
    this.#order.push(entry);
  }

  /** An item is done with. Answers whether the mark has moved. */
  settle(position: P): boolean {
    const entry = this.#open.get(position);
    if (!entry) throw new Error('sluice: a position was settled that is not open');
    this.#open.delete(position);
    entry.settled = true;
    if (this.#order.peek() !== entry) {
      this.#ahead.add(position);
      return false;
    }
    while (this.#order.size > 0 && this.#order.peek().settled) {
      this.#mark = this.#order.take().position;
      this.#ahead.delete(this.#mark);
    }
    return true;
  }
}
