/** Keys with the time at which each was added; beyond `maxKeys`, the one not asked for longest is forgotten. */
export class RecentKeys {
  readonly #withinMs: number;
  readonly #maxKeys: number;
  /** In the order in which they were last asked for. */
  readonly #addedAt = new Map<unknown, number>();

  constructor(withinMs: number, maxKeys: number) {
    this.#withinMs = withinMs;
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#addedAt.size;
  }

  /** Whether `key` was added within the time before `at`. */
  has(key: unknown, at: number): boolean {
    const addedAt = this.#addedAt.get(key);
    if (addedAt === undefined) return false;
    this.#addedAt.delete(key);
    if (at - addedAt >= this.#withinMs) return false;
    this.#addedAt.set(key, addedAt);
    return true;
  }

  /** Adds a key that it does not have. */
  add(key: unknown, at: number): void {
    this.#addedAt.set(key, at);
    if (this.#addedAt.size <= this.#maxKeys) return;
    for (const oldest of this.#addedAt.keys()) {
      this.#addedAt.delete(oldest);
      return;
    }
  }

  /** Forgets a key that was added at the time `at`, unless it was added again since. */
  remove(key: unknown, at: number): void {
    if (this.#addedAt.get(key) === at) this.#addedAt.delete(key);
  }
}
