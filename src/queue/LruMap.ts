interface Entry<V> {
  readonly key: unknown;
  value: V;
  older: Entry<V> | undefined;
  newer: Entry<V> | undefined;
}

/**
 * A map that knows which key was set before all others. The host's Map tells it too, but only by passing over all that
 * was deleted before it, which at some 10,000 keys costs more than the rest of an item's way.
 */
export class LruMap<V> {
  readonly #maxSize: number;
  readonly #entries = new Map<unknown, Entry<V>>();
  #oldest: Entry<V> | undefined;
  #newest: Entry<V> | undefined;

  /** Beyond `maxSize`, the oldest is forgotten. */
  constructor(maxSize = Infinity) {
    this.#maxSize = maxSize;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The entry that was set before all others. */
  get oldest(): { readonly key: unknown; readonly value: V } | undefined {
    return this.#oldest;
  }

  get(key: unknown): V | undefined {
    return this.#entries.get(key)?.value;
  }

  /** Sets the value of a key, which is the newest then. */
  set(key: unknown, value: V): void {
    let entry = this.#entries.get(key);
    if (entry) this.#unlink(entry);
    else this.#entries.set(key, (entry = { key, value, older: undefined, newer: undefined }));
    entry.value = value;
    entry.older = this.#newest;
    if (this.#newest) this.#newest.newer = entry;
    else this.#oldest = entry;
    this.#newest = entry;
    if (this.size > this.#maxSize) this.delete(this.#oldest?.key);
  }

  delete(key: unknown): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#unlink(entry);
    this.#entries.delete(key);
  }

  #unlink(entry: Entry<V>): void {
    const { older, newer } = entry;
    if (older) older.newer = newer;
    else this.#oldest = newer;
    if (newer) newer.older = older;
    else this.#newest = older;
    entry.older = entry.newer = undefined;
  }
}
