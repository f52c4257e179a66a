import { LruMap } from './LruMap.ts';

/** Keys with the time at which each was added; beyond `maxKeys`, the one not asked for longest is forgotten. */
export class RecentKeys {
  readonly #withinMs: number;
  /** In the order in which they were last asked for. */
  readonly #addedAt: LruMap<number>;

  constructor(withinMs: number, maxKeys: number) {
    this.#withinMs = withinMs;
    this.#addedAt = new LruMap(maxKeys);
  }

  get size(): number {
    return this.#addedAt.size;
  }

  /** Whether `key` was added within the time before `at`. */
  has(key: unknown, at: number): boolean {
    const addedAt = this.#addedAt.get(key);
    if (addedAt === undefined) return false;
    const known = at - addedAt < this.#withinMs;
    if (known) this.#addedAt.set(key, addedAt);
    else this.#addedAt.delete(key);
    return known;
  }

  /** Adds a key that it does not have. */
  add(key: unknown, at: number): void {
    this.#addedAt.set(key, at);
  }

  /** Forgets a key that was added at the time `at`, unless it was added again since. */
  remove(key: unknown, at: number): void {
    if (this.#addedAt.get(key) === at) this.#addedAt.delete(key);
  }
}
