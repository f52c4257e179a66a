import { Elasticity } from './Elasticity.ts';

/** Weight of the latest round in the moving average that says how long a round is. */
const ALPHA = 0.4;
/** What is left of the limit after a decrease. */
const DECREASE = 0.9;
/** Above this elasticity, more at work do hardly more: one percent more limit gives less than a tenth of one more results. */
const SATURATED = 0.9;
/** Rounds at the upper bound after which less is tried, to see whether less would do: else nobody would ever know. */
const PROBE_EVERY = 20;

/**
 * Additive increase, multiplicative decrease, one step a round; a round takes about as long as an attempt does.
 *
 * Whether more at work get more done is asked of the elasticity of latency, not, as others do, of latency itself: that
 * one grows as well where a higher limit still pays, and what is normal is lost where it is compared with its own
 * moving average. By simulation (`test/operators/adaptive.test.ts`).
 *
 * @see Adaptive request concurrency of Vector, for rounds, steps, and what is no sample: https://vector.dev/docs/architecture/arc
 */
export class AdaptiveLimit {
  readonly #min: number;
  readonly #max: number;
  readonly #elasticity = new Elasticity();
  /** Moving average of the latency of a round; undefined: nothing was measured yet. */
  #averageMs: number | undefined = undefined;
  /** Rounds for which the limit has stood at the upper bound. */
  #atMost = 0;
  /** Of this round. */
  #sumMs = 0;
  #sumLoad = 0;
  #samples = 0;
  #reached = false;
  #pushedBack = false;
  #endsAt = 0;

  constructor(min: number, max: number) {
    this.#min = min;
    this.#max = max;
  }

  /** As many are at work as may be: only then is there a reason to change the limit. */
  reached(): void {
    this.#reached = true;
  }

  /** The service asked for less. */
  pushedBack(): void {
    this.#pushedBack = true;
  }

  /** An attempt succeeded, with so many at work, this one included. Failures are no samples: a service that refuses is quick. */
  sampled(latencyMs: number, load: number): void {
    this.#sumMs += latencyMs;
    this.#sumLoad += load;
    this.#samples++;
  }

  /** The limit to go on with, now that an attempt has ended: another one where that ended a round. */
  next(limit: number, at: number): number {
    if (at < this.#endsAt) return limit;
    const first = this.#averageMs === undefined;
    if (this.#samples > 0) this.#learn(this.#sumMs / this.#samples, this.#sumLoad / this.#samples);
    if (this.#averageMs === undefined) return limit; // nobody knows how long a round is
    const wanted = first ? limit : this.#judge(limit);
    this.#endsAt = at + this.#averageMs;
    this.#sumMs = this.#sumLoad = this.#samples = 0;
    this.#reached = this.#pushedBack = false;
    return Math.min(this.#max, Math.max(this.#min, wanted));
  }

  #learn(latencyMs: number, load: number): void {
    const average = this.#averageMs ?? latencyMs;
    this.#averageMs = average + ALPHA * (latencyMs - average);
    this.#elasticity.learn(latencyMs, load);
  }

  #judge(limit: number): number {
    this.#atMost = limit < this.#max ? 0 : this.#atMost + 1;
    if (this.#pushedBack) return Math.floor(limit * DECREASE);
    if (!this.#reached || this.#samples === 0) return limit;
    const less = this.#elasticity.value > SATURATED || this.#atMost > PROBE_EVERY;
    return less ? Math.floor(limit * DECREASE) : limit + 1;
  }
}
