import { Observable, type MonoTypeOperatorFunction, type Subscriber } from 'rxjs';
import { meterOf } from '../src/demand/meterOf.ts';
import { now } from '../src/clock.ts';
import type { StageIdentity } from '../src/metrics/StageMeter.ts';
import { atLeast, callable, given, nonEmpty, wholeNumber } from '../src/options.ts';
import { RecentKeys } from '../src/queue/RecentKeys.ts';
import { demandBelow } from '../src/rx/chain.ts';
import { link } from '../src/rx/link.ts';
import { current, under } from '../src/tickets/current.ts';
import { atOnce } from '../src/work/isPromiseLike.ts';

export interface DedupeOptions<T> {
  /** Items of one key repeat one another; keys are told apart as those of a `Map`. */
  readonly by: (value: T) => unknown;
  /** Milliseconds for which a key is remembered, from the item that passed; 0 or more, `Infinity` included. */
  readonly withinMs: number;
  /** Keys remembered at most; the one not seen for longest is forgotten first. Whole number, 1 or more. */
  readonly maxKeys: number;
  /** Name in reports and messages. @defaultValue 'dedupe' */
  readonly name?: string;
}

/**
 * Drops items whose key has passed within a time, and remembers no more than `maxKeys` keys.
 *
 *     source          ababa|
 *     output          ab--a|
 *     dedupe.dropped  0-12
 *     dedupe({ by: (letter) => letter, withinMs: 4, maxKeys: 100 })
 *
 * - **Emits when** the key of an item has not passed for `withinMs`, or is not remembered. Repeats do not prolong it.
 * - **Waits when**: never; it holds nothing.
 * - **Drops** the repeats: they count as dropped, and are settled in an acknowledged flow. An item that is handed back
 *   there has its key forgotten, so that it is no repeat when the source gives it again.
 * - **Completes when** the source completes.
 * - **Errors when** the source errors, or `by` throws.
 * - **Unsubscribing** leaves the source. Each subscription begins with no keys.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 * @see `distinct` of RxJS, which remembers every key for ever.
 */
export function dedupe<T>(options: DedupeOptions<T>): MonoTypeOperatorFunction<T> {
  const { by, withinMs, maxKeys, name = 'dedupe' } = given(options);
  callable('dedupe: by', by);
  atLeast('dedupe: withinMs', withinMs, 0, true);
  wholeNumber('dedupe: maxKeys', maxKeys, 1);
  nonEmpty('dedupe: name', name);
  const identity = { operator: 'dedupe', name, slots: 0 };
  return (source) =>
    new Observable((subscriber) => {
      source.subscribe(dedupeNow(identity, subscriber, by, new RecentKeys(withinMs, maxKeys)));
    });
}

/** Holds nothing, so it has no demand of its own: it stands in the call, and says what it drops. */
function dedupeNow<T>(
  identity: StageIdentity,
  subscriber: Subscriber<T>,
  by: (value: T) => unknown,
  recent: RecentKeys,
): Subscriber<T> {
  const below = demandBelow(subscriber);
  const run = below?.owner?.run;
  const meter = meterOf(identity, subscriber, below);
  const keyOf = (value: T): unknown => {
    try {
      const key = under(null, () => by(value));
      return atOnce(meter.name, 'by', key);
    } catch (error) {
      below?.leave(meter.name, value);
      throw error;
    }
  };
  return link(subscriber, {
    next(value: T): void {
      meter.in++;
      const key = keyOf(value);
      if (subscriber.closed) {
        below?.leave(meter.name, value); // stopped by `by`
        return;
      }
      const at = now();
      const { ticket } = current;
      if (recent.has(key, at)) {
        run?.trace?.({ stage: meter.name, event: 'dropped', value });
        meter.dropped++;
        if (below) below.claims++;
        ticket?.drop();
        return;
      }
      recent.add(key, at);
      run?.trace?.({ stage: meter.name, event: 'kept', value });
      meter.out++;
      meter.emitted++;
      for (const item of ticket?.items() ?? []) {
        item.onFailing(() => {
          recent.remove(key, at);
        });
      }
      subscriber.next(value);
    },
  });
}
