import type { Transferable } from 'node:worker_threads';
import { Piscina } from 'piscina';
import {
  InvalidOptionError,
  WorkerCrashedError,
  WorkerDataError,
  WorkerModuleError,
  WorkersClosedError,
} from '../../errors.ts';
import { callable, nonEmpty, positive, timerMs, wholeNumber } from '../../options.ts';
import { Slots } from '../Slots.ts';
import type { ThreadSettings } from '../workers.ts';
import { CallTimer } from './CallTimer.ts';
import type { Answer, Began, Call } from './thread.ts';
import { thrownOf } from './thrown.ts';

export interface ThreadPoolSettings {
  /** What runs in each thread. */
  readonly file: string;
  readonly threads: number;
  readonly closeTimeoutMs: number;
  readonly worker: ThreadSettings;
}

/** What a call is given besides what it is to call. */
export interface CallOptions {
  readonly parts: readonly Transferable[];
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
}

/**
 * Threads on piscina, which starts, stops and replaces them. It is given no more calls than it has threads: who waits, waits
 * in our line, and can leave it.
 */
export class ThreadPool {
  readonly #pool: Piscina<Call, Answer>;
  readonly #slots: Slots;
  readonly #closeTimeoutMs: number;
  readonly #running = new Set<AbortController>();
  /** Calls whose time is limited, by their numbers. */
  readonly #timers = new Map<number, CallTimer>();
  #calls = 0;
  /** Threads that have ended so far. */
  #ended = 0;
  #closing: Promise<void> | undefined;

  constructor({ file, threads, closeTimeoutMs, worker }: ThreadPoolSettings) {
    this.#slots = new Slots({ max: threads, closed: () => new WorkersClosedError() });
    this.#closeTimeoutMs = closeTimeoutMs;
    this.#pool = new Piscina<Call, Answer>({
      ...worker,
      filename: file,
      name: 'run',
      minThreads: threads,
      maxThreads: threads,
      // Else a thread sleeps between two calls, and what the user's module keeps open there (sockets, timers) with it.
      atomics: 'disabled',
      recordTiming: false,
    });
    this.#pool.on('error', () => undefined); // a thread that failed while it was idle is replaced
    this.#pool.on('message', (message: Partial<Began> | undefined) => {
      this.#timers.get(message?.sluiceBegan ?? -1)?.begin();
    });
    this.#pool.on('workerDestroy', () => {
      this.#ended++;
      queueMicrotask(() => {
        this.#failWithoutThreads();
      });
    });
  }

  get busy(): number {
    return this.#running.size;
  }

  get waiting(): number {
    return this.#slots.waiting;
  }

  async run(call: Call, { parts, signal, timeoutMs }: CallOptions): Promise<unknown> {
    await this.#slots.enter(signal);
    const controller = new AbortController();
    const began = timeoutMs === undefined ? undefined : this.#limit(timeoutMs, controller);
    const stop = (): void => {
      controller.abort(signal?.reason);
    };
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted === true) stop();
    this.#running.add(controller);
    const ended = this.#ended;
    let answer: Answer;
    try {
      const options = { signal: controller.signal, transferList: parts as never };
      answer = await this.#pool.run({ ...call, began }, options);
    } catch (error) {
      if (controller.signal.aborted) throw controller.signal.reason;
      // Where no thread has died, the call did not come to one: the value cannot be read or moved.
      throw ended === this.#ended ? new WorkerDataError(error) : failureOf(error);
    } finally {
      if (began !== undefined) this.#unlimit(began);
      this.#running.delete(controller);
      signal?.removeEventListener('abort', stop);
      this.#slots.leave();
    }
    if ('thrown' in answer) throw thrownOf(answer.thrown);
    if ('unusable' in answer)
      throw new WorkerModuleError(answer.unusable, answer.why && thrownOf(answer.why));
    return answer.result;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Gives the call a number, by which its thread says that it begins. */
  #limit(timeoutMs: number, controller: AbortController): number {
    const number = this.#calls++;
    const timer = new CallTimer(timeoutMs, (error) => {
      controller.abort(error);
    });
    this.#timers.set(number, timer);
    return number;
  }

  #unlimit(number: number): void {
    this.#timers.get(number)?.stop();
    this.#timers.delete(number);
  }

  /** piscina starts no thread in the place of one that failed before it was ready; what it was given would wait for ever. */
  #failWithoutThreads(): void {
    if (this.#pool.threads.length > 0 || this.#closing !== undefined) return;
    for (const call of this.#running) call.abort(new WorkerCrashedError('start', undefined));
  }

  async #close(): Promise<void> {
    await this.#slots.close(this.#closeTimeoutMs);
    for (const call of this.#running) call.abort(new WorkersClosedError());
    await this.#pool.destroy();
  }
}

/** What `WorkerThreads` and `workerMap` are given alike. */
export function checkThreads(who: string, module: URL, threads: number, closeTimeoutMs: number): void {
  if (typeof (module as Partial<URL> | undefined)?.href !== 'string') {
    throw new InvalidOptionError(`${who}: module must be a URL, as new URL('./work.js', import.meta.url)`);
  }
  wholeNumber(`${who}: threads`, threads, 1);
  timerMs(`${who}: closeTimeoutMs`, closeTimeoutMs, 0);
}

/** What each gives a call. */
export function checkTask(
  who: string,
  task: string,
  { transfer, timeoutMs }: { readonly transfer?: unknown; readonly timeoutMs?: number },
): void {
  nonEmpty(`${who}: task`, task);
  if (transfer !== undefined) callable(`${who}: transfer`, transfer);
  if (timeoutMs !== undefined) positive(`${who}: timeoutMs`, timeoutMs);
}

/** What piscina rejects with, as ours. Its own errors have no codes, and those of a thread no class: only texts tell. */
function failureOf(error: unknown): Error {
  const { name = '', message = '', stack = '', code } = error as Partial<Error> & { code?: unknown };
  if (name === 'DataCloneError' || stack.startsWith('DataCloneError')) return new WorkerDataError(error);
  const exit = /^worker exited with code: (\d+)$/.exec(message);
  if (exit) return new WorkerCrashedError('exit', undefined, Number(exit[1]));
  return new WorkerCrashedError(code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'memory' : 'uncaught', error);
}
