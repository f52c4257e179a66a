import { Observable, type MonoTypeOperatorFunction } from 'rxjs';
import { connectionsOf } from '../src/metrics/connections.ts';
import { atLeast, callable, nonEmpty, wholeNumber } from '../src/options.ts';
import { checkPolicy, type RetryPolicy } from '../src/retry/RetryPolicy.ts';
import { concurrencyOf, following, type Concurrency } from '../src/work/Concurrency.ts';
import { failurePolicy, type OnFailure } from '../src/work/DeadLetter.ts';
import { StoreStage } from '../src/work/StoreStage.ts';
import type { Sink } from '../src/work/Sink.ts';

export interface StoreToOptions<T> {
  /** Items in a batch at most. Whole number, 1 or more. @defaultValue 500 */
  readonly maxItems?: number;
  /** Milliseconds from the first item of a batch until it is stored, full or not; 0 or more. @defaultValue 50 */
  readonly maxWaitMs?: number;
  /**
   * Batches stored at once. Whole number, 1 or more, or a `Concurrency` that may change while it runs. @defaultValue 1
   */
  readonly concurrency?: number | Concurrency;
  /** When to store a batch again that failed with an error of class `'retry'`. @defaultValue never */
  readonly retry?: RetryPolicy;
  /** What becomes of an item that could not be stored. @defaultValue 'fail' */
  readonly onFailure?: OnFailure<T>;
  /** Name in reports and messages. @defaultValue 'storeTo' */
  readonly name?: string;
}

/**
 * Stores items in batches, and emits each one, singly, when the sink has confirmed it.
 *
 *     source  ab-c|
 *     ab       --|
 *     c           ---|
 *     output  ---(ab)(c|)
 *     storeTo(sink, { maxItems: 2, maxWaitMs: 2 })
 *
 * - **Emits when** the sink has confirmed the batch of an item and the stage below has room.
 * - **Waits when** `maxItems × (concurrency + 1)` items are gathered, being stored, or confirmed and not delivered.
 * - **Drops** nothing; with `onFailure: 'drop'` the items that could not be stored.
 * - **Completes when** the source has completed and everything is stored and delivered.
 * - **Errors when** the source errors, after the same; or an item could not be stored, under `onFailure: 'fail'`; or the
 *   sink calls an error `'fatal'`. Before it gives up, an error of class `'retry'` is tried again as `retry` says, and
 *   one of class `'data'` has the batch cut in halves until the bad item is alone: the others are stored.
 * - **Unsubscribing** aborts the signal of the batches being stored, and hands back all that is not confirmed; a batch
 *   that is being stored may still take effect (at least once).
 *
 * @param sink A sink, or its `store` function. Resolving means: all of these items are safe now.
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function storeTo<T>(
  sink: Sink<T> | Sink<T>['store'],
  options: StoreToOptions<T> = {},
): MonoTypeOperatorFunction<T> {
  const {
    maxItems = 500,
    maxWaitMs = 50,
    concurrency = 1,
    retry,
    onFailure = 'fail',
    name = 'storeTo',
  } = options;
  const target: Sink<T> = typeof sink === 'function' ? { store: sink } : sink;
  callable('storeTo: sink.store', (target as Partial<Sink<T>> | null)?.store);
  wholeNumber('storeTo: maxItems', maxItems, 1);
  atLeast('storeTo: maxWaitMs', maxWaitMs, 0, true);
  const workers = concurrencyOf('storeTo: concurrency', concurrency);
  if (retry !== undefined) checkPolicy('storeTo: retry', retry);
  nonEmpty('storeTo: name', name);
  const identity = {
    operator: 'storeTo',
    name,
    get slots() {
      return workers.limit;
    },
    connections: connectionsOf(sink),
  };
  const settings = {
    maxItems,
    maxWaitMs,
    workers,
    retry,
    onFailure: failurePolicy('storeTo', onFailure),
  };

  return (source) =>
    new Observable((subscriber) => {
      const stage = new StoreStage(identity, subscriber, target, settings);
      subscriber.add(following(workers, stage));
      stage.connect(source, subscriber);
    });
}
