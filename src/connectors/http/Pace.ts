import type { Quota } from './rateHeaders.ts';

/** A pause is longer than was asked for by up to this share, and by no more than that time, so that not all come at once. */
const jitterShare = 0.1;
const maxJitterMs = 1_000;
/** Times to reset are told in whole seconds: the same one comes out later or earlier by as much. */
const roundingMs = 1_500;

/**
 * When one host may be asked again, from what it has said: pauses, and quotas. Arithmetic; a time is one of
 * `performance.now()`.
 */
export class Pace {
  readonly #random: () => number;
  readonly #quotas = new Map<string, { remaining: number; resetAt: number }>();
  /** The end of the last pause, as it was asked for. */
  #askedUntil = -Infinity;
  #opensAt = -Infinity;

  /** @param random Chance: a number from 0 up to 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** The end of the last pause. It may be past. */
  get opensAt(): number {
    return this.#opensAt;
  }

  /** How long the host asks to be left alone at the time `at`. */
  askedMs(at: number): number {
    return this.#askedUntil - at;
  }

  /** Whether one more request may be sent, while `unanswered` are on their way, which the host may not have counted yet. */
  mayAsk(unanswered: number, at: number): boolean {
    if (at < this.#opensAt) return false;
    for (const { remaining, resetAt } of this.#quotas.values()) {
      if (at < resetAt && remaining <= unanswered) return false;
    }
    return true;
  }

  /** It is to be left alone from `at` on for so long. What it has asked for before holds as well. */
  pause(forMs: number, at: number): void {
    const until = at + forMs;
    if (until <= this.#askedUntil) return;
    this.#askedUntil = until;
    const opensAt = until + this.#random() * Math.min(forMs * jitterShare, maxJitterMs);
    this.#opensAt = Math.max(this.#opensAt, opensAt);
  }

  /** The host has said at `at` what is left. Answers overtake each other: of one window, the lowest number counts. */
  count({ name, remaining, resetMs }: Quota, at: number): void {
    const resetAt = at + resetMs;
    const known = this.#quotas.get(name);
    if (known && at < known.resetAt && resetAt < known.resetAt + roundingMs) {
      known.remaining = Math.min(known.remaining, remaining);
      known.resetAt = Math.max(known.resetAt, resetAt);
    } else {
      this.#quotas.set(name, { remaining, resetAt });
    }
    if (remaining <= 0) this.pause(resetMs, at);
  }

  /** When something of it will be different without a word of the host; `undefined`: there is nothing left to remember. */
  changesAt(at: number): number | undefined {
    let first = this.#opensAt > at ? this.#opensAt : Infinity;
    for (const [name, { resetAt }] of this.#quotas) {
      if (resetAt <= at) this.#quotas.delete(name);
      else first = Math.min(first, resetAt);
    }
    return first === Infinity ? undefined : first;
  }
}
