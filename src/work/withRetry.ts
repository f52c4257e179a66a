import { defer, Observable, retry, throwError, type ObservableInput } from 'rxjs';
import { after, now } from '../clock.ts';
import { connectionsOf, counting } from '../metrics/connections.ts';
import { callable } from '../options.ts';
import { checkPolicy, RetryClock, type RetryPolicy } from '../retry/RetryPolicy.ts';
import { isPromiseLike } from './isPromiseLike.ts';
import { ItemContext } from './ItemContext.ts';
import { noPromise, streamOf } from './streamOf.ts';
import type { Work, WorkContext } from './Work.ts';

/**
 * Tries `work` again after an error, as the policy says, inside the item's slot. Each attempt has its own signal and, in
 * `context.attempt`, its number among all attempts at the item. The policy gives up with the last error itself; so does a
 * wait that is cut short by draining or abort. Work that returns an Observable is subscribed again by RxJS's `retry`: what
 * it emitted before the error is emitted twice.
 *
 *     source         ab|
 *     a              -#
 *     a                 -A|
 *     b               -B|
 *     output         --B-A|
 *     fetch.active   12-1-0
 *     fetch.retried  0----1
 *     poolMap(withRetry(work, delays([2])), { concurrency: 2, name: 'fetch' })
 *
 * @throws `InvalidOptionError`, at call time, for something that is no policy.
 */
export function withRetry<T, O extends ObservableInput<unknown>>(
  work: Work<T, O>,
  policy: RetryPolicy,
): Work<T, O> {
  callable('withRetry: work', work);
  checkPolicy('withRetry: policy', policy);

  const hasDeadline = policy.maxElapsedMs !== Infinity; // else nobody asks when it began
  let givesPromises = false; // what it gave before is what it gives where work throws at once
  const wrapped = (value: T, context?: WorkContext) =>
    ItemContext.with(context, (item, done) => {
      const startedAt = hasDeadline ? now() : 0;
      const next = (): O => work(value, item.again());
      let first: O;
      try {
        first = work(value, item.fork());
      } catch (error) {
        first = (givesPromises ? Promise.reject(error) : throwError(() => error)) as unknown as O;
      }
      if (Array.isArray(first)) {
        done(); // nothing can fail any more
        return first;
      }
      const clock = new RetryClock(policy, startedAt);
      givesPromises = isPromiseLike(first);
      return (isPromiseLike(first)
        ? retryPromise(first, next, clock, item, done)
        : retryStream(first, next, clock, item, done)) as unknown as O;
    });
  return counting(wrapped, connectionsOf(work));
}

async function retryPromise(
  first: ObservableInput<unknown>,
  next: () => ObservableInput<unknown>,
  clock: RetryClock,
  item: ItemContext,
  done: () => void,
): Promise<unknown> {
  try {
    for (let attempt = (): ObservableInput<unknown> => first; ; attempt = next) {
      try {
        const result = attempt();
        if (!isPromiseLike(result))
          noPromise(result, 'withRetry', 'at its first attempt and none at a later one');
        return await result;
      } catch (error) {
        item.attemptFailed(error);
        await new Promise<void>((resolve, reject) => {
          waitForRetry(error, clock, item, resolve, reject);
        });
      }
    }
  } finally {
    done();
  }
}

function retryStream(
  first: ObservableInput<unknown>,
  next: () => ObservableInput<unknown>,
  clock: RetryClock,
  item: ItemContext,
  done: () => void,
): Observable<unknown> {
  let started = false;
  return new Observable((subscriber) => {
    subscriber.add(done);
    defer(() => {
      const attempt = started ? next() : first;
      started = true;
      return streamOf(attempt, 'withRetry');
    })
      .pipe(
        retry({
          delay: (error) => {
            item.attemptFailed(error);
            return retryNotifier(error, clock, item);
          },
        }),
      )
      .subscribe(subscriber);
  });
}

/** What may end a wait: calls `stop` then, or at once; the result cancels it. */
export interface Stoppable {
  whenStopping(stop: () => void): () => void;
}

/** What RxJS's `retry` takes as its delay: emits when the next attempt may start, errors where there is none. */
export function retryNotifier(error: unknown, clock: RetryClock, stoppable: Stoppable): Observable<true> {
  return new Observable((subscriber) => {
    const go = (): void => {
      subscriber.next(true);
    };
    const giveUp = (): void => {
      subscriber.error(error);
    };
    return waitForRetry(error, clock, stoppable, go, giveUp);
  });
}

/** Calls `go` when the next attempt may start, `giveUp`, with the error, where there is none; the result cancels the wait. */
export function waitForRetry(
  error: unknown,
  clock: RetryClock,
  stoppable: Stoppable,
  go: () => void,
  giveUp: (error: unknown) => void,
): () => void {
  const waitMs = clock.waitMs(error, now());
  if (waitMs === undefined) {
    giveUp(error);
    return () => undefined;
  }
  const timer = after(waitMs, () => {
    forget();
    go();
  });
  let forget = (): void => undefined;
  forget = stoppable.whenStopping(() => {
    timer.unsubscribe();
    forget(); // an item is aborted long before its stage drains: nothing of it stays there
    giveUp(error);
  });
  return () => {
    timer.unsubscribe();
    forget();
  };
}
