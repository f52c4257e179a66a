import { Observable, type ObservableInput } from 'rxjs';
import { BreakerOpenError } from '../errors.ts';
import { connectionsOf, counting } from '../metrics/connections.ts';
import { callable, oneOf, wholeNumber, given, positive } from '../options.ts';
import { retryableByDefault } from '../retry/RetryPolicy.ts';
import { Breaker } from './Breaker.ts';
import { atOnce, isPromiseLike } from './isPromiseLike.ts';
import { ItemContext } from './ItemContext.ts';
import { noPromise, streamOf } from './streamOf.ts';
import { watched } from './watched.ts';
import type { Work, WorkContext } from './Work.ts';

export interface BreakerOptions {
  /** Failures in a row that open it. Whole number, 1 or more. */
  readonly maxFailures: number;
  /** How long it is open before one item is tried, in milliseconds, above 0. */
  readonly openMs: number;
  /**
   * What becomes of items while it is open: `'wait'`, in their slots, so that the source pauses, or `'fail'` at once with
   * a `BreakerOpenError`. @defaultValue 'wait'
   */
  readonly whenOpen?: 'wait' | 'fail';
  /** Whether an error counts, and not the item is to blame. @defaultValue where trying again may help, as for policies */
  readonly isFailure?: (error: unknown) => boolean;
}

/**
 * Leaves a service alone that keeps failing: after `maxFailures` in a row, `work` is not called for `openMs`.
 *
 *     source  a-bcd|
 *     a       -#
 *     b           --B|
 *     c              -C|
 *     d              --D|
 *     output  ------B-CD|
 *     poolMap(withBreaker(work, { maxFailures: 1, openMs: 3 }), { concurrency: 3, onFailure: 'drop' })
 *
 * Then one item is tried. Where it succeeds, or has results that wait for room below or for their turn, all go on; where it
 * fails, be it after that, it is `openMs` again. Items that wait keep their slots, so demand closes and nothing is lost.
 * Draining and abort end the wait: the item fails with a `BreakerOpenError`.
 *
 * Waiting is the default, where breakers of servers fail at once: nobody sits behind an item of a pipeline who would
 * rather have an error soon, and a failure here is a dead letter, or the end of the flow. Say `whenOpen: 'fail'` where
 * there is another way for it, such as a second service, or where items are of no use later.
 *
 * **The order of wrapping**: breaker outside, retry and timeout inside: `withBreaker(withRetry(withTimeout(work, …), …), …)`.
 * Then one item with all its attempts counts once, and nobody waits between attempts on a breaker that is open. All
 * that call the same wrapped work share the breaker: wrap once for each service. What waited goes on in the async context of
 * its own flow (`AsyncLocalStorage`). Let the work give promises each time, or Observables.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 * @see M. Nygard, "Release It!", 2007, for the circuit breaker.
 */
export function withBreaker<T, O extends ObservableInput<unknown>>(
  work: Work<T, O>,
  options: BreakerOptions,
): Work<T, O> {
  const { maxFailures, openMs, whenOpen = 'wait', isFailure = retryableByDefault } = given(options);
  callable('withBreaker: work', work);
  wholeNumber('withBreaker: maxFailures', maxFailures, 1);
  positive('withBreaker: openMs', openMs);
  oneOf('withBreaker: whenOpen', whenOpen, ['wait', 'fail']);
  callable('withBreaker: isFailure', isFailure);
  const breaker = new Breaker(maxFailures, openMs);
  // What it gave before it is what it gives after the wait: `withRetry` is told apart by it.
  let givesPromises = false;

  const call = (value: T, item: ItemContext, pass: number, done: () => void, promised = false): O => {
    const forget =
      breaker.isTrying &&
      item.watch({
        blocked: (blocked) => {
          if (blocked) breaker.answered(pass);
        },
      });
    const watcher = {
      succeeded: () => {
        breaker.succeeded(pass);
      },
      failed: (error: unknown) => {
        if (atOnce('withBreaker', 'isFailure', isFailure(error), error)) breaker.failed(pass);
        else breaker.succeeded(pass);
      },
      left: () => {
        if (forget) forget();
        breaker.left(pass);
      },
    };
    const start = (): O => {
      const result = work(value, item);
      if (promised && !isPromiseLike(result))
        noPromise(result, 'withBreaker', 'before an item waited and none after it');
      return result;
    };
    const result = watched('withBreaker', start, item, watcher, done);
    givesPromises = isPromiseLike(result);
    return result;
  };

  const wrapped = (value: T, context?: WorkContext) =>
    ItemContext.with(context, (item, done) => {
      const pass = breaker.enter();
      if (pass !== undefined) return call(value, item, pass, done);
      if (whenOpen === 'fail') throw new BreakerOpenError(breaker.remainingMs);
      const promised = givesPromises;
      const waited = (go: (result: ObservableInput<unknown>) => void, fail: (error: unknown) => void) => {
        let leave = (): void => undefined;
        const leaveLine = breaker.wait((admitted) => {
          leave();
          try {
            go(call(value, item, admitted, done, promised));
          } catch (error) {
            fail(error);
          }
        });
        leave = item.whenStopping(() => {
          leaveLine();
          leave();
          done();
          fail(new BreakerOpenError(breaker.remainingMs));
        });
        return () => {
          leaveLine();
          leave();
          done();
        };
      };
      if (promised) return new Promise(waited as never) as unknown as O;
      return new Observable((subscriber) =>
        waited(
          (result) => {
            streamOf(result, 'withBreaker').subscribe(subscriber);
          },
          (error) => {
            subscriber.error(error);
          },
        ),
      ) as unknown as O;
    });
  return counting(wrapped, connectionsOf(work));
}
