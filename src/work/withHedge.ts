import { lastValueFrom, Observable, take, toArray, type ObservableInput, type Subscription } from 'rxjs';
import { after, now } from '../clock.ts';
import { InvalidOptionError } from '../errors.ts';
import { connectionsOf, counting } from '../metrics/connections.ts';
import { atLeast, callable, given, positive } from '../options.ts';
import { isPromiseLike } from './isPromiseLike.ts';
import { ItemContext } from './ItemContext.ts';
import type { Work, WorkContext } from './Work.ts';

export interface HedgeOptions {
  /** A second attempt starts where the first takes longer than this share of the latest ones, in %, above 0, below 100. */
  readonly afterPercentile: number;
  /** Second attempts for each item, on average: 0.05 means 5 for each 100 items. 0 up to 1. */
  readonly maxExtraShare: number;
}

/** How many of the latest latencies are known. */
const KNOWN = 128;
/** Below this many nobody can tell what is slow. */
const ENOUGH = 20;
/** Second attempts that may be saved in quick times. */
const MAX_SAVED = 10;

/**
 * Starts a second attempt where the first is slow, and takes what succeeds first; the other one is aborted.
 *
 *     source      ab-|
 *     a           -----!
 *     a             --A|
 *     b            B|
 *     output    ----B--(A|)
 *     poolMap(withHedge(work, { afterPercentile: 90, maxExtraShare: 0.1 }), { concurrency: 2 })    after 20 items of 2 ms
 *
 * An attempt is slow that takes longer than `afterPercentile` % of the latest 128 successes did; before there are 20,
 * nothing is hedged. Each item earns `maxExtraShare` of a second attempt, so that a service that is slow altogether
 * is not asked twice as often. Both attempts are in the slot of the item. It fails when both have failed, or the
 * first fails before the second starts: trying again is for `withRetry`. Each attempt has its number among all attempts at
 * the item in `context.attempt`: of a hedge inside a retry, the first retry may be number 3.
 *
 * For work that may be done twice, such as reading, and that returns promises: a stream cannot be taken back.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 * @see J. Dean, L. A. Barroso, "The Tail at Scale", 2013, for hedged requests.
 */
export function withHedge<T, R>(work: Work<T, Promise<R>>, options: HedgeOptions): Work<T, Promise<R>> {
  const { afterPercentile, maxExtraShare } = given(options);
  callable('withHedge: work', work);
  positive('withHedge: afterPercentile', afterPercentile);
  atLeast('withHedge: maxExtraShare', maxExtraShare, 0);
  if (afterPercentile >= 100 || maxExtraShare > 1) {
    throw new InvalidOptionError('withHedge: afterPercentile must be below 100, and maxExtraShare 1 or less');
  }
  const latencies: number[] = [];
  let known = 0;
  let saved = 0;

  const slowMs = (): number | undefined => {
    if (latencies.length < ENOUGH) return undefined;
    const sorted = [...latencies].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * afterPercentile) / 100))];
  };

  const wrapped = (value: T, context?: WorkContext) =>
    ItemContext.with(
      context,
      (outer, done) =>
        new Promise<R>((resolve, reject) => {
          const attempts: ItemContext[] = [];
          let failed = 0;
          let over = false;
          let stopped = false;
          let timer: Subscription | undefined = undefined;
          let forget = (): void => undefined;
          saved = Math.min(MAX_SAVED, saved + maxExtraShare);
          const end = (): void => {
            over = true;
            timer?.unsubscribe();
            forget();
            done();
          };
          const attempt = (): void => {
            const item = attempts.length === 0 ? outer.fork() : outer.again();
            attempts.push(item);
            const since = now();
            const lost = (error: unknown): void => {
              if (over || ++failed < attempts.length) return; // the other one may still succeed
              end();
              reject(error);
            };
            let result: Promise<R>;
            try {
              result = promised(work(value, item));
            } catch (error) {
              lost(error);
              return;
            }
            result.then((answer) => {
              if (over) return;
              latencies[known++ % KNOWN] = now() - since;
              end();
              resolve(answer);
              for (const other of attempts)
                if (other !== item) other.abort(new Error('the other attempt was quicker'));
            }, lost);
          };
          forget = outer.whenAborted(() => {
            stopped = true;
            timer?.unsubscribe();
            for (const item of attempts) item.abort(outer.signal.reason);
          });
          attempt();
          const slow = over || stopped ? undefined : slowMs();
          if (slow === undefined) return;
          timer = after(slow, () => {
            if (saved < 1) return;
            saved--;
            attempt();
          });
        }),
    );
  return counting(wrapped, connectionsOf(work));
}

/**
 * What work gave, as a promise. A wrapper whose own work has only thrown so far cannot know that it is one of promises, and
 * gives an Observable of the one value.
 */
function promised<R>(result: ObservableInput<R>): Promise<R> {
  if (isPromiseLike(result)) return Promise.resolve(result);
  const noPromise = new InvalidOptionError('withHedge: work must return a promise');
  if (!(result instanceof Observable)) throw noPromise;
  return lastValueFrom(result.pipe(take(2), toArray()), { defaultValue: [] }).then((values) => {
    if (values.length !== 1) throw noPromise;
    return values[0] as R;
  });
}
