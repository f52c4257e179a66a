import type { ObservableInput } from 'rxjs';
import { now } from '../clock.ts';
import { InvalidOptionError } from '../errors.ts';
import { callable, given, wholeNumber } from '../options.ts';
import { AdaptiveLimit } from '../pool/AdaptiveLimit.ts';
import { Concurrency } from './Concurrency.ts';
import { atOnce } from './isPromiseLike.ts';
import { ItemContext, type ItemWatcher } from './ItemContext.ts';
import { watched, type OutcomeWatcher } from './watched.ts';
import type { Work, WorkContext } from './Work.ts';

export interface AdaptiveOptions {
  /** Items worked on at once at least, and at first. Whole number, 1 or more. */
  readonly min: number;
  /** Items worked on at once at most. Whole number, `min` or more. */
  readonly max: number;
  /**
   * Whether an error of an attempt says that the service has too much to do.
   * @defaultValue `status` 429 or 503, a `retryAfterMs`, or a `TimeoutError`
   */
  readonly isPushback?: (error: unknown) => boolean;
}

/**
 * Finds out how many items to work on at once, from `min` up: `poolMap(work, { concurrency: adaptive({ min: 1, max: 50 }) })`.
 *
 *     source  abcdefg|
 *     output  ------a-----b-----(cd)--(efg|)
 *     active  1-----------2-----3-----0
 *     poolMap(work, { concurrency: adaptive({ min: 1, max: 9 }), ordered: true })
 *
 * It takes one step a round, which lasts as long as an attempt does on average:
 *
 * - **one more** where all workers were busy, and latency grows less than in proportion to how many are at work, so that
 *   more get done;
 * - **a tenth less** where an attempt was pushed back (`isPushback`), or where all were busy and latency grows in
 *   proportion, so that the others only wait; and now and then at `max`, to see whether less does as much;
 * - **as many** otherwise.
 *
 * What is timed is an attempt that succeeds: from its start to the result of its promise, or the end of its Observable.
 * Failures are not, nor the waits between the attempts of `withRetry`, nor the time in which results wait for the stage
 * below: such a result occupies its worker, but does not count as busy. One that is given to several pools learns from
 * all of them.
 *
 * It seeks the throughput of the best fixed limit, and of limits with the same throughput a low one, with the shortest
 * queue in the service. Where several programs share a service, each can gain at the cost of the others: then the
 * service pushes back, or `max` is the bound.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 * @see Adaptive request concurrency of Vector, for rounds and steps: https://vector.dev/docs/architecture/arc
 */
export function adaptive(options: AdaptiveOptions): Concurrency {
  const { min, max, isPushback = pushbackByDefault } = given(options);
  wholeNumber('adaptive: min', min, 1);
  wholeNumber('adaptive: max', max, 1);
  if (max < min) throw new InvalidOptionError(`adaptive: max must be min or more, got ${max} below ${min}`);
  callable('adaptive: isPushback', isPushback);
  return new AdaptiveConcurrency(min, new AdaptiveLimit(min, max), isPushback);
}

function pushbackByDefault(error: unknown): boolean {
  const { status, code, retryAfterMs } = (error ?? {}) as {
    readonly status?: unknown;
    readonly code?: unknown;
    readonly retryAfterMs?: unknown;
  };
  return status === 429 || status === 503 || code === 'TIMEOUT' || typeof retryAfterMs === 'number';
}

class AdaptiveConcurrency extends Concurrency {
  readonly controller: AdaptiveLimit;
  readonly isPushback: (error: unknown) => boolean;

  constructor(min: number, controller: AdaptiveLimit, isPushback: (error: unknown) => boolean) {
    super(min);
    this.controller = controller;
    this.isPushback = isPushback;
  }

  override measured<T, O extends ObservableInput<unknown>>(work: Work<T, O>): Work<T, O> {
    const pool = { atWork: 0 };
    return (value: T, context?: WorkContext) =>
      ItemContext.with(context, (item, done) => {
        const attempts = new Attempts(this, pool);
        item.watch(attempts);
        return watched('adaptive', () => work(value, item), item, attempts, done);
      });
  }
}

/** The attempts at one item: at most one of them is at work. */
class Attempts implements ItemWatcher, OutcomeWatcher {
  readonly #concurrency: AdaptiveConcurrency;
  /** How many attempts of the same pool are at work. */
  readonly #pool: { atWork: number };
  #atWork = false;
  #since = 0;
  /** When its results began to wait for room below. */
  #blockedAt = 0;
  /** How many were at work when it started, this one included. */
  #load = 0;

  constructor(concurrency: AdaptiveConcurrency, pool: { atWork: number }) {
    this.#concurrency = concurrency;
    this.#pool = pool;
    this.started();
  }

  started(): void {
    this.left();
    this.#atWork = true;
    this.#since = now();
    this.#load = ++this.#pool.atWork;
    if (this.#load >= this.#concurrency.limit) this.#concurrency.controller.reached();
  }

  /** While its results wait, the time is not its own. */
  blocked(blocked: boolean): void {
    if (blocked) this.#blockedAt = now();
    else this.#since += now() - Math.max(this.#blockedAt, this.#since);
  }

  succeeded(): void {
    if (!this.#atWork) return;
    // Some services share their time between those that are there, others have the later one wait.
    const load = (this.#load + this.#pool.atWork) / 2;
    this.#concurrency.controller.sampled(now() - this.#since, load);
    this.#ended();
  }

  failed(error: unknown): void {
    if (!this.#atWork) return;
    const isPushback = atOnce('adaptive', 'isPushback', this.#concurrency.isPushback(error), error);
    if (isPushback) this.#concurrency.controller.pushedBack();
    this.#ended();
  }

  /** It was stopped, and tells nothing. */
  left(): void {
    if (this.#atWork) this.#pool.atWork--;
    this.#atWork = false;
  }

  #ended(): void {
    this.left();
    this.#concurrency.set(this.#concurrency.controller.next(this.#concurrency.limit, now()));
  }
}
