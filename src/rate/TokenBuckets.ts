import { LruMap } from '../queue/LruMap.ts';

/**
 * Token buckets, one a key, each kept as one number: the time at which it will be full again. What is full is forgotten,
 * so there are only as many as keys were used of late.
 *
 * @see The generic cell rate algorithm of ITU-T I.371: a token bucket without a counter that has to be refilled.
 */
export class TokenBuckets {
  readonly #intervalMs: number;
  /** How long an empty bucket takes to have all but one of its tokens. */
  readonly #slackMs: number;
  /** By key, in the order of last use. */
  readonly #fullAt = new LruMap<number>();

  /** `limit` tokens come in `perMs`, and a bucket holds `burst` at most, which it has at first. */
  constructor(limit: number, perMs: number, burst: number) {
    this.#intervalMs = perMs / limit;
    this.#slackMs = (burst - 1) * this.#intervalMs;
  }

  /** Keys whose bucket is not known to be full. */
  get size(): number {
    return this.#fullAt.size;
  }

  /** When a token of `key` is there: a time that may be past. */
  dueAt(key: unknown): number {
    return (this.#fullAt.get(key) ?? -Infinity) - this.#slackMs;
  }

  /** Takes a token of `key` at the time `at`, which is not before `dueAt`. */
  take(key: unknown, at: number): void {
    const fullAt = Math.max(at, this.#fullAt.get(key) ?? at) + this.#intervalMs;
    this.#fullAt.set(key, fullAt);
    let { oldest } = this.#fullAt;
    while (oldest && oldest.value <= at) {
      this.#fullAt.delete(oldest.key);
      ({ oldest } = this.#fullAt);
    }
  }
}
