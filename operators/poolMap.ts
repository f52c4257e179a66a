import { Observable, type ObservableInput, type ObservedValueOf, type OperatorFunction } from 'rxjs';
import { connectionsOf } from '../src/metrics/connections.ts';
import { callable, nonEmpty, wholeNumber, given } from '../src/options.ts';
import { concurrencyOf, following, type Concurrency } from '../src/work/Concurrency.ts';
import { PoolStage } from '../src/work/PoolStage.ts';
import { failurePolicy, type OnFailure } from '../src/work/DeadLetter.ts';
import type { Work } from '../src/work/Work.ts';

export interface PoolMapOptions<T> {
  /** Items worked on at once. Whole number, 1 or more, or a `Concurrency` that may change while the pool runs. */
  readonly concurrency: number | Concurrency;
  /** Items that may wait for a worker, beyond those at work. Whole number, 0 or more. @defaultValue 0 */
  readonly maxWaiting?: number;
  /** Results leave in the order in which the items came; those that are early count against the limit. @defaultValue false */
  readonly ordered?: boolean;
  /** Items of one key are worked on one at a time, in order; many keys at once. @defaultValue no keys */
  readonly by?: (value: T) => unknown;
  /** What becomes of an item whose work has failed for good. @defaultValue 'fail' */
  readonly onFailure?: OnFailure<T>;
  /** Name in reports and messages. @defaultValue 'poolMap' */
  readonly name?: string;
}

/**
 * Maps each value through `work` on a fixed pool of workers, with a bounded line in front of it.
 *
 *     source   ab-c|
 *     a        ----A|
 *     b         ------B|
 *     c             ---C|
 *     output   ----A--BC|
 *     active   12------10
 *     waiting  0--1-0
 *     demand   1--0-1
 *     poolMap(work, { concurrency: 2, maxWaiting: 1 })
 *
 * With `by`, the keys that wait take turns, so a key with few items is not behind all those of one with many. Only
 * what is inside counts: where `concurrency + maxWaiting` items of one hot key fill the pool, it cannot see what comes
 * behind them, and the others wait; a larger `maxWaiting` sees further.
 *
 * - **Emits when** work gives a result and the stage below has room: in the order results are ready, or, `ordered`, in
 *   the order the items came.
 * - **Waits when** `concurrency + maxWaiting` items wait, are at work, or are finished and not delivered: its demand is
 *   closed then. Over a source that cannot wait the line grows, as that of `mergeMap` does, and is counted.
 * - **Drops** nothing; with `onFailure: 'drop'` the items that failed.
 * - **Completes when** the source has completed and every item is delivered.
 * - **Errors when** the source errors, after every item it accepted is delivered (`mergeMap` errors at once); or when
 *   work fails under `onFailure: 'fail'`: the other work is aborted, what waits is handed back.
 * - **Unsubscribing** aborts the signals of busy work, unsubscribes from its Observables, and hands back what it holds.
 *
 * @param work Starts the work for one value. Called only when a worker is free.
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 * @see `mergeMap` of RxJS: the same pool, with a line that has no limit.
 */
export function poolMap<T, O extends ObservableInput<unknown>>(
  work: Work<T, O>,
  options: PoolMapOptions<T>,
): OperatorFunction<T, ObservedValueOf<O>> {
  const {
    concurrency,
    maxWaiting = 0,
    ordered = false,
    by,
    onFailure = 'fail',
    name = 'poolMap',
  } = given(options);
  callable('poolMap: work', work);
  const workers = concurrencyOf('poolMap: concurrency', concurrency);
  wholeNumber('poolMap: maxWaiting', maxWaiting, 0);
  if (by !== undefined) callable('poolMap: by', by);
  nonEmpty('poolMap: name', name);
  const identity = {
    operator: 'poolMap',
    name,
    get slots() {
      return workers.limit;
    },
    connections: connectionsOf(work),
  };
  const settings = { maxWaiting, ordered, by, onFailure: failurePolicy('poolMap', onFailure) };

  return (source) =>
    new Observable((subscriber) => {
      const start = workers.measured(work as Work<T, ObservableInput<ObservedValueOf<O>>>);
      const pool = new PoolStage<T, ObservedValueOf<O>>(identity, subscriber, start, {
        ...settings,
        concurrency: workers.limit,
      });
      subscriber.add(following(workers, pool));
      pool.connect(source, subscriber);
    });
}
