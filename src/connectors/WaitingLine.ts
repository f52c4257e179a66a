/** Who stands in the line, and between whom. A node of a ring; the head of the ring stands for nobody. */
interface Place<T> {
  value: T | undefined;
  before: Place<T>;
  after: Place<T>;
}

/** First come, first served; anyone may leave at any time. Every operation takes constant time. */
export class WaitingLine<T> {
  readonly #head: Place<T>;
  #size = 0;

  constructor() {
    const head = { value: undefined } as Place<T>;
    head.before = head.after = head;
    this.#head = head;
  }

  get size(): number {
    return this.#size;
  }

  /** Joins the line at its end. The result leaves it; false: it was not in it any more. */
  join(value: T): () => boolean {
    const place: Place<T> = { value, before: this.#head.before, after: this.#head };
    place.before.after = place.after.before = place;
    this.#size += 1;
    return () => this.#remove(place);
  }

  /** Who is served next, or `undefined`. */
  first(): T | undefined {
    return this.#head.after.value;
  }

  /** Serves the first one, or answers `undefined`. */
  take(): T | undefined {
    const place = this.#head.after;
    const { value } = place;
    if (place !== this.#head) this.#remove(place);
    return value;
  }

  #remove(place: Place<T>): boolean {
    if (place.value === undefined) return false;
    place.value = undefined;
    place.before.after = place.after;
    place.after.before = place.before;
    this.#size -= 1;
    return true;
  }
}
