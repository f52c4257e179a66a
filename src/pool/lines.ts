import { RingQueue } from '../queue/RingQueue.ts';

/** The line in front of a pool. */
export interface Line<T> {
  readonly size: number;
  push(entry: T): void;
  /** The next entry that may start; undefined: none now. */
  take(): T | undefined;
  /** What was taken is done. */
  done(entry: T): void;
  /** Empties it, in the order of arrival per key. */
  clear(): T[];
}

/** First come, first served. */
export class PlainLine<T> implements Line<T> {
  size = 0;
  readonly #queue = new RingQueue<T>();

  push(entry: T): void {
    this.#queue.push(entry);
    this.size++;
  }

  take(): T | undefined {
    if (this.size === 0) return undefined;
    this.size--;
    return this.#queue.take();
  }

  done(): void {
    // Nothing waits for it.
  }

  clear(): T[] {
    this.size = 0;
    return this.#queue.takeAll();
  }
}

/**
 * One at a time per key, in order; round robin among the keys that wait, or, `oldestFirst`, as their next entries have come.
 * A key is known only while it has an entry waiting or at work, so memory grows with active keys.
 */
export class KeyedLine<T extends { readonly key: unknown; readonly index?: number }> implements Line<T> {
  size = 0;
  /** Active keys, with what waits for their turn, or behind the one at work. */
  readonly #keys = new Map<unknown, T[]>();
  /** Keys that have an entry waiting and none at work, in the order of their turn. */
  readonly #turns = new RingQueue<unknown>();
  readonly #oldestFirst: boolean;

  constructor(oldestFirst = false) {
    this.#oldestFirst = oldestFirst;
  }

  /** How many keys it knows. */
  get keys(): number {
    return this.#keys.size;
  }

  push(entry: T): void {
    const { key } = entry;
    const waiting = this.#keys.get(key);
    this.size++;
    if (waiting) waiting.push(entry);
    else {
      this.#keys.set(key, [entry]);
      this.#turns.push(key);
    }
  }

  take(): T | undefined {
    if (this.#turns.size === 0) return undefined;
    const key = this.#oldestFirst ? this.#oldest() : this.#turns.take();
    this.size--;
    return this.#keys.get(key)?.shift();
  }

  /** Takes the key whose next entry came first out of its turn. */
  #oldest(): unknown {
    const came = (key: unknown): number => this.#keys.get(key)?.[0]?.index ?? Infinity;
    let oldest = this.#turns.take();
    for (let n = this.#turns.size; n > 0; n--) {
      const key = this.#turns.take();
      const isOlder = came(key) < came(oldest);
      this.#turns.push(isOlder ? oldest : key);
      if (isOlder) oldest = key;
    }
    return oldest;
  }

  done(entry: T): void {
    const { key } = entry;
    if (this.#keys.get(key)?.length) this.#turns.push(key);
    else this.#keys.delete(key);
  }

  clear(): T[] {
    const all = [...this.#keys.values()].flat();
    this.#keys.clear();
    this.#turns.takeAll();
    this.size = 0;
    return all;
  }
}
