import { Observable, Subscription, type ObservableInput } from 'rxjs';
import { after, now } from '../clock.ts';
import { TimeoutError } from '../errors.ts';
import { connectionsOf, counting } from '../metrics/connections.ts';
import { callable, given, positive } from '../options.ts';
import { isPromiseLike } from './isPromiseLike.ts';
import { ItemContext } from './ItemContext.ts';
import { streamOf } from './streamOf.ts';
import type { Work, WorkContext } from './Work.ts';

export interface TimeoutOptions {
  /** How long the work may take, in milliseconds, above 0. */
  readonly timeoutMs: number;
}

/**
 * Bounds the time of `work`: after `timeoutMs` its signal is aborted and the result is a `TimeoutError`, which may be
 * retried. Inside `withRetry` it bounds an attempt, outside it the item with all its attempts and waits.
 *
 *     source  a--!
 *     a       ---!
 *     output  ---#
 *     poolMap(withTimeout(work, { timeoutMs: 3 }), { concurrency: 1 })
 *
 * An array takes no time. The clock of an Observable or an iterable runs until its end, but stands while a result waits
 * in the pool, for room below or for its turn. That holds for an Observable of RxJS as well, which works on meanwhile.
 * What was emitted before the timeout stays. Outside a pool nobody tells of such waits, and they count.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function withTimeout<T, O extends ObservableInput<unknown>>(
  work: Work<T, O>,
  options: TimeoutOptions,
): Work<T, O> {
  const { timeoutMs } = given(options);
  callable('withTimeout: work', work);
  positive('withTimeout: timeoutMs', timeoutMs);

  const wrapped = (value: T, context?: WorkContext) =>
    ItemContext.with(context, (outer, done) => {
      const item = outer.fork();
      const expire = (fail: (error: TimeoutError) => void) => () => {
        const error = new TimeoutError('withTimeout', timeoutMs);
        fail(error); // first the outcome: what the work throws because of the signal comes second, and is not heard
        item.abort(error);
      };
      const result = work(value, item);
      if (isPromiseLike(result)) {
        return new Promise((resolve, reject) => {
          let forget = (): void => undefined;
          const ended = (): void => {
            timer.unsubscribe();
            forget();
            done();
          };
          const timedOut = expire((error) => {
            reject(error);
            ended();
          });
          const timer = after(timeoutMs, timedOut);
          forget = item.whenAborted(ended); // nothing of an item that is aborted keeps the process
          const answer = Promise.resolve(result); // a query that runs when it is awaited runs once
          answer.then(resolve, reject);
          answer.then(ended, ended);
        }) as unknown as O;
      }
      if (Array.isArray(result)) {
        done();
        return result;
      }
      return new Observable((subscriber) => {
        const timedOut = expire((error) => {
          subscriber.error(error);
        });
        subscriber.add(afterWork(item, timeoutMs, timedOut));
        subscriber.add(done);
        streamOf(result, 'withTimeout').subscribe(subscriber);
      }) as unknown as O;
    });
  return counting(wrapped, connectionsOf(work));
}

/** Calls `run` when work on `item` has taken `ms`: the clock stands while a result of it waits. Unsubscribing cancels it. */
function afterWork(item: ItemContext, ms: number, run: () => void): Subscription {
  let leftMs = ms;
  let since = now();
  let timer = after(leftMs, run);
  const blocked = (isBlocked: boolean): void => {
    if (isBlocked) {
      timer.unsubscribe();
      leftMs -= now() - since;
    } else {
      since = now();
      timer = after(Math.max(0, leftMs), run);
    }
  };
  const forget = item.watch({ blocked });
  return new Subscription(() => {
    forget();
    timer.unsubscribe();
  });
}
