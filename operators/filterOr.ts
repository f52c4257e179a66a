import { Observable, type MonoTypeOperatorFunction, type OperatorFunction, type Subscriber } from 'rxjs';
import { meterOf } from '../src/demand/meterOf.ts';
import { InvalidOptionError } from '../src/errors.ts';
import { demandBelow } from '../src/rx/chain.ts';
import type { StageIdentity } from '../src/metrics/StageMeter.ts';
import { callable, nonEmpty } from '../src/options.ts';
import { link } from '../src/rx/link.ts';
import { current, under } from '../src/tickets/current.ts';
import { PoolStage, type Job } from '../src/work/PoolStage.ts';
import { concurrencyOf, following, type Concurrency } from '../src/work/Concurrency.ts';
import { isLateAnswer } from '../src/work/isPromiseLike.ts';
import { itemHook, type ItemHook } from '../src/work/itemHook.ts';

export interface FilterOrOptions<T> {
  /** Told of every item that is not kept: a function or an Observer. @defaultValue nobody */
  readonly rejected?: ((value: T) => unknown) | { readonly next: (value: T) => void };
  /**
   * Needed for an asynchronous predicate: how many items it may look at at once. Whole number, 1 or more, or a
   * `Concurrency` that may change while it runs.
   */
  readonly concurrency?: number | Concurrency;
  /** Name in reports and messages. @defaultValue 'filterOr' */
  readonly name?: string;
}

/**
 * Keeps what the predicate accepts; the rest goes to `rejected`.
 *
 *     source    abcd|
 *     output    a-c-|
 *     rejected  -b-d
 *     filterOr((value) => value === 'a' || value === 'c', { rejected })
 *
 * - **Emits when** the predicate accepts an item, in the order the items came, asynchronous answers included.
 * - **Waits when** the predicate is asynchronous and `concurrency` items are with it, or wait for earlier ones; a
 *   synchronous predicate holds nothing.
 * - **Drops** what is rejected: it counts as such, and is settled in an acknowledged flow.
 * - **Completes when** the source has completed and every answer is delivered.
 * - **Errors when** the source errors, or the predicate or `rejected` throws, or a promise of `rejected` rejects. That is
 *   waited for only by the end of the run; one that rejects when all else is over is a warning.
 * - **Unsubscribing** hands back what predicates look at; their answers are not heard.
 *
 * @param predicate Synchronous, or asynchronous with `concurrency` given. A type guard narrows what is emitted.
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 * @see `filter` of RxJS: the same, but what it swallows cannot be told from what is held.
 */
export function filterOr<T, S extends T>(
  predicate: (value: T, index: number) => value is S,
  options?: FilterOrOptions<NoInfer<T>>,
): OperatorFunction<T, S>;
export function filterOr<T>(
  predicate: (value: T, index: number) => boolean,
  options?: FilterOrOptions<NoInfer<T>>,
): MonoTypeOperatorFunction<T>;
export function filterOr<T>(
  predicate: (value: T, index: number) => boolean | PromiseLike<boolean>,
  options: FilterOrOptions<NoInfer<T>> & { readonly concurrency: number | Concurrency },
): MonoTypeOperatorFunction<T>;
export function filterOr<T>(
  predicate: (value: T, index: number) => boolean | PromiseLike<boolean>,
  options: FilterOrOptions<T> = {},
): MonoTypeOperatorFunction<T> {
  const { rejected, concurrency, name = 'filterOr' } = options;
  callable('filterOr: predicate', predicate);
  const workers = concurrency === undefined ? undefined : concurrencyOf('filterOr: concurrency', concurrency);
  const reject = typeof rejected === 'object' ? (value: T): void => rejected.next(value) : rejected;
  if (reject !== undefined) callable('filterOr: rejected', reject);
  nonEmpty('filterOr: name', name);
  const identity = {
    operator: 'filterOr',
    name,
    get slots() {
      return workers?.limit ?? 0;
    },
  };

  return (source) =>
    new Observable((subscriber) => {
      if (workers === undefined) {
        source.subscribe(
          filterNow(identity, subscriber, predicate as (value: T, index: number) => boolean, reject),
        );
      } else {
        const stage = new FilterStage(identity, subscriber, predicate, workers, reject);
        subscriber.add(following(workers, stage));
        stage.connect(source, subscriber);
      }
    });
}

/** Holds nothing, so it has no demand of its own: it stands in the call, and says what it drops. */
function filterNow<T>(
  identity: StageIdentity,
  subscriber: Subscriber<T>,
  predicate: (value: T, index: number) => boolean,
  reject: ((value: T) => unknown) | undefined,
): Subscriber<T> {
  const below = demandBelow(subscriber);
  const run = below?.owner?.run;
  const meter = meterOf(identity, subscriber, below);
  const hook =
    reject &&
    itemHook(reject, 'rejected', {
      get name() {
        return meter.name;
      },
      runBelow: run,
      get over() {
        return subscriber.closed;
      },
      fail: (error) => subscriber.error(error),
    });
  let index = 0;
  const ask = (value: T): boolean => {
    const kept = under(null, () => predicate(value, index++));
    if (typeof kept !== 'boolean' && isLateAnswer(kept)) {
      throw new InvalidOptionError(
        `${identity.name}: an asynchronous predicate needs the option concurrency`,
      );
    }
    if (!kept) hook?.tell(value);
    return kept;
  };
  return link(subscriber, {
    next(value: T): void {
      meter.in++;
      let kept: boolean;
      try {
        kept = ask(value);
      } catch (error) {
        below?.leave(meter.name, value);
        throw error;
      }
      if (subscriber.closed) {
        below?.leave(meter.name, value); // stopped by the predicate or by who was told
        return;
      }
      run?.trace?.({ stage: meter.name, event: kept ? 'kept' : 'rejected', value });
      if (kept) {
        meter.out++;
        meter.emitted++;
        subscriber.next(value);
        return;
      }
      meter.rejected++;
      if (below) below.claims++;
      current.ticket?.drop();
    },
  });
}

/** A pool of predicates, in order. */
class FilterStage<T> extends PoolStage<T, T> {
  readonly #rejected: ItemHook<T> | undefined;

  constructor(
    identity: StageIdentity,
    subscriber: Subscriber<T>,
    predicate: (value: T, index: number) => boolean | PromiseLike<boolean>,
    workers: Concurrency,
    reject: ((value: T) => unknown) | undefined,
  ) {
    // The answer takes the place of the result until `settle` reads it.
    const ask = async (value: T, { index }: { readonly index: number }): Promise<T> =>
      (await predicate(value, index)) as T;
    super(identity, subscriber, workers.measured(ask), {
      concurrency: workers.limit,
      maxWaiting: 0,
      ordered: true,
      by: undefined,
      onFailure: 'fail',
    });
    this.#rejected = reject && itemHook(reject, 'rejected', this);
  }

  protected override settle(job: Job<T, T>, kept: T): void {
    if (this.run?.trace) this.tell(kept ? 'kept' : 'rejected', job.value, job.worker);
    if (kept) {
      super.settle(job, job.value);
      return;
    }
    this.#rejected?.tell(job.value);
    job.outcome = 'rejected';
    job.more = true;
  }
}
