import { Observable, retry, type MonoTypeOperatorFunction } from 'rxjs';
import { now } from '../src/clock.ts';
import { checkPolicy, RetryClock, type RetryPolicy } from '../src/retry/RetryPolicy.ts';
import { demandBelow } from '../src/rx/chain.ts';
import { retryNotifier } from '../src/work/withRetry.ts';

/**
 * Subscribes to the source again after an error, as the policy says: RxJS's `retry` with a delay config.
 *
 *     source  -a#
 *     source       -b#
 *     source             -c|
 *     output  -a----b-----c|
 *     retryDelayed(delays([3, 4]))
 *
 * - **Emits when** the source emits. What it emitted before an error is not taken back: a source that starts from the
 *   beginning gives it again. To try one item again, wrap the work: `withRetry`.
 * - **Waits when** an attempt has failed: for the policy's delay. It holds no item.
 * - **Drops** nothing.
 * - **Completes when** the source completes.
 * - **Errors when** the policy gives up, or draining begins during a wait: with the last error itself.
 * - **Unsubscribing** ends the attempt, or the wait.
 *
 * @throws `InvalidOptionError`, at call time, for something that is no policy.
 */
export function retryDelayed<T>(policy: RetryPolicy): MonoTypeOperatorFunction<T> {
  checkPolicy('retryDelayed: policy', policy);
  return (source) =>
    new Observable((subscriber) => {
      const demand = demandBelow(subscriber);
      const whenStopping = (stop: () => void): (() => void) =>
        demand?.whenDraining(stop) ?? (() => undefined);
      const clock = new RetryClock(policy, now());
      source
        .pipe(retry({ delay: (error) => retryNotifier(error, clock, { whenStopping }) }))
        .subscribe(subscriber);
    });
}
