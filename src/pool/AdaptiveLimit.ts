/** Weight of the latest round in the moving average. */
const ALPHA = 0.4;
/** What is left of the limit after a decrease. */
const DECREASE = 0.9;
/** Standard deviations above the moving average that call for a decrease. */
const DEVIATIONS = 2.5;
/** Two latencies that differ by less than this share are the same: sums of the same numbers differ by rounding. */
const ROUNDING = 1e-9;

/**
 * Additive increase, multiplicative decrease, one step a round; a round takes about as long as an attempt does.
 *
 * @see Adaptive request concurrency of Vector, for the rules and for the numbers above, which were found by simulation
 * there: https://vector.dev/docs/architecture/arc
 */
export class AdaptiveLimit {
  readonly #min: number;
  readonly #max: number;
  /** Moving average and variance of the mean latency of a round; undefined: nothing was measured yet. */
  #average: number | undefined = undefined;
  #variance = 0;
  /** Of this round. */
  #sumMs = 0;
  #samples = 0;
  #reached = false;
  #pushedBack = false;
  #endsAt = 0;

  constructor(min: number, max: number) {
    this.#min = min;
    this.#max = max;
  }

  /** As many are at work as may be: only then is there a reason to raise the limit. */
  reached(): void {
    this.#reached = true;
  }

  /** The service asked for less. */
  pushedBack(): void {
    this.#pushedBack = true;
  }

  /** An attempt succeeded. Failures are no samples: a service that refuses is quick. */
  sampled(latencyMs: number): void {
    this.#sumMs += latencyMs;
    this.#samples++;
  }

  /** The limit to go on with, now that an attempt has ended: another one where that ended a round. */
  next(limit: number, at: number): number {
    if (at < this.#endsAt) return limit;
    const latency = this.#samples > 0 ? this.#sumMs / this.#samples : undefined;
    const average = this.#average;
    if (average === undefined && latency === undefined) return limit; // nobody knows how long a round is
    const wanted = average === undefined ? limit : this.#judge(limit, latency, average);
    this.#average = latency === undefined ? average : this.#learn(latency, average);
    this.#endsAt = at + (this.#average ?? 0);
    this.#sumMs = this.#samples = 0;
    this.#reached = this.#pushedBack = false;
    return Math.min(this.#max, Math.max(this.#min, wanted));
  }

  #judge(limit: number, latency: number | undefined, average: number): number {
    if (this.#pushedBack) return Math.floor(limit * DECREASE);
    if (latency === undefined) return limit;
    const high = average * (1 + ROUNDING);
    if (latency > high + DEVIATIONS * Math.sqrt(this.#variance)) return Math.floor(limit * DECREASE);
    return this.#reached && latency <= high ? limit + 1 : limit;
  }

  /** Exponentially weighted moving average, and its variance. */
  #learn(latency: number, average = latency): number {
    const off = latency - average;
    this.#variance = (1 - ALPHA) * (this.#variance + ALPHA * off * off);
    return average + ALPHA * off;
  }
}
