import type { OperatorFunction } from 'rxjs';
import { poolMap, type PoolMapOptions } from '../../../operators/poolMap.ts';
import { withResources } from '../../flow/withResources.ts';
import type { RetryPolicy } from '../../retry/RetryPolicy.ts';
import { withRetry } from '../../work/withRetry.ts';
import type { Work } from '../../work/Work.ts';
import {
  WorkerThreads,
  type TaskName,
  type TaskOptions,
  type TaskResult,
  type TaskValue,
  type WorkerModule,
  type WorkerThreadsOptions,
} from '../workers.ts';
import { checkTask, checkThreads } from './ThreadPool.ts';

/** Which function: it must be said where it is not the default export. */
type Task<K> = K extends 'default' ? { readonly task?: K } : { readonly task: K };

/** The options of `workerMap`, but for the function's name. */
export interface WorkerPoolOptions<T>
  extends Omit<PoolMapOptions<T>, 'concurrency'>, Omit<WorkerThreadsOptions, 'threads'>, TaskOptions<T> {
  /** Threads, and items worked on at once. Whole number, 1 or more. */
  readonly threads: number;
  /** When to try an item again. @defaultValue never */
  readonly retry?: RetryPolicy;
}

export type WorkerMapOptions<T, K = 'default'> = WorkerPoolOptions<T> & Task<K>;

/**
 * Maps each value through a function of `module` in threads of its own, which live as long as the subscription: `poolMap`
 * with `WorkerThreads`.
 *
 *     workerMap<typeof import('./work.js'), 'resize'>(new URL('./work.js', import.meta.url), {
 *       task: 'resize', threads: 4, timeoutMs: 5_000,
 *     })
 *
 * - **Emits when** a thread gives a result, and the stage below has room.
 * - **Waits when** `threads + maxWaiting` items wait, are at work, or are finished and not delivered.
 * - **Drops** nothing; with `onFailure: 'drop'` the items that failed.
 * - **Completes when** the source has completed and every item is delivered. Then the threads end.
 * - **Errors when** the source errors, or an item fails under `onFailure: 'fail'`. A thread that dies fails its one item.
 * - **Unsubscribing** terminates the threads, and hands back what it holds.
 *
 * @param module Where the functions are: the default export is called, or the one named `task`.
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function workerMap<M = WorkerModule, K extends TaskName<M> = 'default' & TaskName<M>>(
  module: URL,
  options: WorkerMapOptions<TaskValue<M, K>, K>,
): OperatorFunction<TaskValue<M, K>, TaskResult<M, K>> {
  type T = TaskValue<M, K>;
  type R = TaskResult<M, K>;
  const pooled: WorkerPoolOptions<T> = options;
  const { threads, transfer, timeoutMs, retry, worker, closeTimeoutMs = 5_000, ...rest } = pooled;
  const task = (options.task ?? 'default') as K;
  checkThreads('workerMap', module, threads, closeTimeoutMs);
  checkTask('workerMap', task, pooled);
  const called = { ...(transfer && { transfer }), ...(timeoutMs && { timeoutMs }) };
  const settings = { threads, closeTimeoutMs, ...(worker && { worker }) };
  const mapped = (call: Work<T, Promise<R>>): OperatorFunction<T, R> => {
    const work = retry === undefined ? call : withRetry(call, retry);
    return poolMap(work, { name: 'workerMap', ...rest, concurrency: threads });
  };
  mapped(() => Promise.reject(new Error('never called'))); // so that wrong options are told of at call time
  return (source) =>
    withResources(
      ({ use }) => use(new WorkerThreads<M>(module, settings)),
      (pool) => source.pipe(mapped(pool.run(task, called))),
    );
}
