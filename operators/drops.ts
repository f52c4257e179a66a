import { Observable, type OperatorFunction } from 'rxjs';
import { callable } from '../src/options.ts';
import { demandBelow } from '../src/rx/chain.ts';
import { link } from '../src/rx/link.ts';
import { current } from '../src/tickets/current.ts';

/**
 * Says that what a native operator swallows is dropped on purpose: `drops(filter(…))`, `drops(distinct())`. An item for
 * which it emits nothing within the call counts as dropped, and is settled in an acknowledged flow.
 *
 *     source  abcd|
 *     output  -b-d|
 *     drops(filter((value, index) => index % 2 === 1))
 *
 * - **Emits when** the operator emits. **Waits when**: never.
 * - **Drops** what the operator does not pass on within the call. Not for operators that hold: an item that
 *   `bufferCount` or `debounceTime` keeps would be settled before its outcome.
 * - **Completes**, **errors** and **unsubscribes** as the operator does.
 */
export function drops<T, R>(operator: OperatorFunction<T, R>): OperatorFunction<T, R> {
  callable('drops: operator', operator);
  return (source) =>
    new Observable((subscriber) => {
      const below = demandBelow(subscriber);
      let passed = 0;
      /** By the operator itself, as `takeWhile` does. */
      let completed = false;
      const above = new Observable<T>((top) =>
        source.subscribe(
          link<T, T>(top, {
            next(value) {
              const before = passed;
              const ticket = current.ticket;
              top.next(value);
              if (passed !== before || (top.closed && !completed)) return; // stopped meanwhile: nothing was dropped
              if (below) below.claims++;
              ticket?.drop();
            },
          }),
        ),
      );
      operator(above).subscribe(
        link<R, R>(subscriber, {
          next(value) {
            passed++;
            subscriber.next(value);
          },
          complete() {
            completed = true;
            subscriber.complete();
          },
        }),
      );
    });
}
