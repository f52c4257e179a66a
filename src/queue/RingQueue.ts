/** First in, first out, over one array whose length is a power of two and doubles when it is full. */
export class RingQueue<T> {
  size = 0;
  #ring: (T | undefined)[] = new Array<T | undefined>(8).fill(undefined);
  #head = 0;

  /** Puts `value` last. */
  push(value: T): void {
    let ring = this.#ring;
    if (this.size === ring.length) ring = this.#grow();
    ring[(this.#head + this.size) & (ring.length - 1)] = value;
    this.size++;
  }

  /** The oldest value. Only while `size` is above 0. */
  peek(): T {
    return this.#ring[this.#head] as T;
  }

  /** Takes the oldest value. Only while `size` is above 0. */
  take(): T {
    const ring = this.#ring;
    const value = ring[this.#head] as T;
    ring[this.#head] = undefined; // let the garbage collector have it
    this.#head = (this.#head + 1) & (ring.length - 1);
    this.size--;
    return value;
  }

  /** Puts `value` first: the next one that is taken. */
  putBack(value: T): void {
    const ring = this.size === this.#ring.length ? this.#grow() : this.#ring;
    this.#head = (this.#head + ring.length - 1) & (ring.length - 1);
    ring[this.#head] = value;
    this.size++;
  }

  /** Takes the newest value. Only while `size` is above 0. */
  takeLast(): T {
    const ring = this.#ring;
    this.size--;
    const at = (this.#head + this.size) & (ring.length - 1);
    const value = ring[at] as T;
    ring[at] = undefined;
    return value;
  }

  /** Takes all values, the oldest first. */
  takeAll(): T[] {
    const all: T[] = [];
    while (this.size > 0) all.push(this.take());
    return all;
  }

  #grow(): (T | undefined)[] {
    const old = this.#ring;
    const ring = new Array<T | undefined>(old.length * 2).fill(undefined);
    for (let i = 0; i < old.length; i++) ring[i] = old[(this.#head + i) & (old.length - 1)];
    this.#ring = ring;
    this.#head = 0;
    return ring;
  }
}
