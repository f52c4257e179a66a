import { Observable, type ObservableInput } from 'rxjs';
import { after } from '../clock.ts';
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
      const expire = (fail: (error: TimeoutError) => void) =>
        after(timeoutMs, () => {
          const error = new TimeoutError('withTimeout', timeoutMs);
          fail(error); // first the outcome: what the work throws because of the signal comes second, and is not heard
          item.abort(error);
        });
      const result = work(value, item);
      if (isPromiseLike(result)) {
        return new Promise((resolve, reject) => {
          let forget = (): void => undefined;
          const ended = (): void => {
            timer.unsubscribe();
            forget();
            done();
          };
          const timer = expire((error) => {
            reject(error);
            ended();
          });
          forget = item.whenAborted(ended); // nothing of an item that is aborted keeps the process
          result.then(resolve, reject);
          result.then(ended, ended);
        }) as unknown as O;
      }
      return new Observable((subscriber) => {
        subscriber.add(
          expire((error) => {
            subscriber.error(error);
          }),
        );
        subscriber.add(done);
        streamOf(result, 'withTimeout').subscribe(subscriber);
      }) as unknown as O;
    });
  return counting(wrapped, connectionsOf(work));
}
