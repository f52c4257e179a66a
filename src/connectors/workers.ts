import { availableParallelism } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ResourceLimits, Transferable } from 'node:worker_threads';
import { checkTask, checkThreads, ThreadPool } from './workers/ThreadPool.ts';

export { WorkerCrashedError, WorkerDataError, WorkerModuleError, WorkersClosedError } from '../errors.ts';
export { transfer } from './workers/transfer.ts';
export { workerMap, type WorkerMapOptions } from './workers/workerMap.ts';

/** A worker's module of which no more is known: its functions take and give anything. */
export type WorkerModule = Record<string, (value: unknown) => unknown>;

/** The names of what a worker's module exports and a thread can call. */
export type TaskName<M> = {
  [K in keyof M & string]: M[K] extends (value: never) => unknown ? K : never;
}[keyof M & string];

export type TaskValue<M, K extends keyof M> = M[K] extends (value: infer T) => unknown ? T : never;
export type TaskResult<M, K extends keyof M> = M[K] extends (value: never) => infer R ? Awaited<R> : never;

/** What work in threads reads of its context. A whole `WorkContext` will do, and so will none. */
export interface ThreadContext {
  /** Ends the call: its thread is terminated and replaced. */
  readonly signal?: AbortSignal | undefined;
}

/** Work for `poolMap` that is done in a thread. */
export type ThreadWork<T, R> = (value: T, context?: ThreadContext) => Promise<R>;

export interface TaskOptions<T> {
  /** Parts of a value that are moved to the thread, not copied: of no more use here, not even for a retry. @defaultValue none */
  readonly transfer?: (value: T) => readonly Transferable[];
  /**
   * Milliseconds for one call, above 0; then its thread is terminated and replaced, and the call is a `TimeoutError`. They
   * begin when the thread calls the function: to start and to load the module it has 10 s, or this if it is more.
   * @defaultValue no limit
   */
  readonly timeoutMs?: number;
}

export interface WorkerThreadsOptions {
  /**
   * Threads, and calls at once. A whole number of 1 or more.
   * @defaultValue as many as the machine runs in parallel
   */
  readonly threads?: number;
  /**
   * Milliseconds that `close` lets running calls go on. 0 or more.
   * @defaultValue 5_000
   */
  readonly closeTimeoutMs?: number;
  /** What else Node's `Worker` knows. @defaultValue Node's defaults */
  readonly worker?: ThreadSettings;
}

/** How Node starts a thread; its own defaults stand. */
export interface ThreadSettings {
  readonly argv?: string[];
  readonly env?: Record<string, string>;
  readonly execArgv?: string[];
  /** Its memory: a thread that needs more dies, and not the process. */
  readonly resourceLimits?: ResourceLimits;
}

export interface WorkerThreadsStats {
  /** Calls that a thread has. */
  readonly busy: number;
  /** Calls that wait for a thread. */
  readonly waiting: number;
}

const owner = 'WorkerThreads';

/**
 * Keeps threads that run the functions of one module, and makes work for `poolMap` of them: for what computes, and would
 * keep the event loop from turning.
 *
 *     await using threads = new WorkerThreads<typeof import('./work.js')>(new URL('./work.js', import.meta.url));
 *     poolMap(threads.run('resize', { timeoutMs: 5_000 }), { concurrency: 4 })
 *
 * - **Waits when** every thread is busy: first come, first served. The line has no other bound; the `concurrency` of the
 *   stage is its bound.
 * - **Errors when** the function throws: with that error, its name, code, fields, stack and causes, or with the very value
 *   where it is no error; when the thread dies (`WorkerCrashedError`), which fails the one item it had and no other; when
 *   the module cannot be loaded or has no such function (`WorkerModuleError`); or when a value cannot be copied
 *   (`WorkerDataError`).
 * - **Aborting** the context's signal terminates the thread, be it in an endless loop, and
 *   starts another; the promise rejects with the signal's reason.
 *
 * Values and results are copied as by `structuredClone`, or moved (`transfer`).
 *
 * @param module Where the functions are. A `.ts` file will do where Node strips types (22.18 or newer, and not inside
 * `node_modules`); name it as it is called when the program runs, and have a bundler build it as a file of its own.
 * @throws `InvalidOptionError` for an option outside its range.
 */
export class WorkerThreads<M = WorkerModule> {
  readonly #pool: ThreadPool;
  readonly #module: string;

  constructor(module: URL, options: WorkerThreadsOptions = {}) {
    const { threads = availableParallelism(), closeTimeoutMs = 5_000, worker = {} } = options;
    checkThreads(owner, module, threads, closeTimeoutMs);
    this.#module = module.href;
    this.#pool = new ThreadPool({ file: threadFile(), threads, closeTimeoutMs, worker });
  }

  get stats(): WorkerThreadsStats {
    const { busy, waiting } = this.#pool;
    return { busy, waiting };
  }

  /**
   * Makes work of a function that the module exports, by its name.
   *
   * @throws `InvalidOptionError`, at call time, for an option outside its range.
   */
  run<K extends TaskName<M>>(
    task: K,
    options: TaskOptions<TaskValue<M, K>> = {},
  ): ThreadWork<TaskValue<M, K>, TaskResult<M, K>> {
    checkTask(`${owner}.run`, task, options);
    const { transfer = () => [], timeoutMs } = options;
    return async (value, context) => {
      const call = { module: this.#module, task, value };
      const options = { parts: transfer(value), signal: context?.signal, timeoutMs };
      return (await this.#pool.run(call, options)) as TaskResult<M, K>;
    };
  }

  /**
   * Refuses new calls, lets those that run or wait end within `closeTimeoutMs`, then terminates the threads. May be called
   * more than once; all calls give the same promise.
   */
  close(): Promise<void> {
    return this.#pool.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The file that threads run: beside this one, in the sources as in the package. */
function threadFile(): string {
  // CommonJS has the one, and ES modules have the other.
  const here = typeof __filename === 'string' ? __filename : fileURLToPath(import.meta.url);
  const kind = extname(here) === '.ts' ? 'ts' : 'js';
  return join(dirname(here), 'workers', `thread.${kind}`);
}
