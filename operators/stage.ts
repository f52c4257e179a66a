import { Observable, type OperatorFunction } from 'rxjs';
import { meterOf } from '../src/demand/meterOf.ts';
import { nonEmpty } from '../src/options.ts';
import { demandBelow } from '../src/rx/chain.ts';
import { link } from '../src/rx/link.ts';

/**
 * Gives native operators a name in reports, counts what goes in and comes out, and says that what they hold or swallow
 * is meant, so that it is not warned of. It changes nothing else: what they do to the bound and to tickets stays.
 *
 *     source  abcd|
 *     output  -b-d|
 *     stage('every other', filter((value, index) => index % 2 === 1))
 *
 * - **Emits when** the operators emit. **Waits when** they wait. **Drops** what they drop; in an acknowledged flow
 *   `drops` says so. **Completes**, **errors** and **unsubscribes** as they do.
 */
export function stage<T, A>(name: string, a: OperatorFunction<T, A>): OperatorFunction<T, A>;
export function stage<T, A, B>(
  name: string,
  a: OperatorFunction<T, A>,
  b: OperatorFunction<A, B>,
): OperatorFunction<T, B>;
export function stage<T, A, B, C>(
  name: string,
  a: OperatorFunction<T, A>,
  b: OperatorFunction<A, B>,
  c: OperatorFunction<B, C>,
): OperatorFunction<T, C>;
export function stage<T, A, B, C, D>(
  name: string,
  a: OperatorFunction<T, A>,
  b: OperatorFunction<A, B>,
  c: OperatorFunction<B, C>,
  d: OperatorFunction<C, D>,
): OperatorFunction<T, D>;
export function stage(
  name: string,
  ...operators: readonly OperatorFunction<never, unknown>[]
): OperatorFunction<unknown, unknown> {
  nonEmpty('stage: name', name);
  const identity = { operator: 'stage', name, slots: 0 };
  return (source) =>
    new Observable((subscriber) => {
      const below = demandBelow(subscriber);
      if (below) below.declared = true;
      const meter = meterOf(identity, subscriber, below);
      const counted = new Observable((top) =>
        source.subscribe(
          link(top, {
            next(value) {
              meter.in++;
              meter.out++; // what native operators hold is theirs: nothing is held here
              top.next(value);
            },
          }),
        ),
      );
      const through = operators.reduce<Observable<unknown>>(
        (stream, operator) => (operator as OperatorFunction<unknown, unknown>)(stream),
        counted,
      );
      through.subscribe(
        link(subscriber, {
          next(value) {
            meter.emitted++;
            subscriber.next(value);
          },
        }),
      );
    });
}
