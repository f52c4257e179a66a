import { concat, defer, map, of, Subject, takeUntil, timer, type Observable, type Subscription } from 'rxjs';
import { after, now } from '../clock.ts';
import type { StageMeter } from '../metrics/StageMeter.ts';
import { atLeast, callable, oneOf, refuse, timerMs } from '../options.ts';
import type { Closable, SinkEnding } from '../work/Sink.ts';
import { warnOnConsole } from '../warnOnConsole.ts';
import { debugTracer } from './debug.ts';
import { explain, statsOf, type FlowReport, type FlowStats, type Stand } from './report.ts';
import { Run, whenClosed, type Failure, type ItemEvent } from './Run.ts';

export interface RunFlowOptions {
  /** Drains when it is aborted: takes in no more, finishes what is inside. */
  readonly drainSignal?: AbortSignal;
  /** Aborts when it is aborted, as in `fetch`. */
  readonly signal?: AbortSignal;
  /** Milliseconds that draining may take before what is left is aborted; 0 or more. @defaultValue 30_000 */
  readonly drainTimeoutMs?: number;
  /** What an error does to the rest: `'drain'` finishes what other stages hold, `'abort'` stops all. @defaultValue 'drain' */
  readonly onError?: 'drain' | 'abort';
  /**
   * Told of what endangers the promises, once a kind and stage, of nothing twice in the same words, and of 1,000 things at
   * most. @defaultValue a line on the console
   */
  readonly onWarning?: (message: string) => void;
  /** Makes errors of the warnings about native operators that hold or lose items. @defaultValue false */
  readonly strict?: boolean;
  /** Told of each step in the life of each item. @defaultValue a log on the console where SLUICE_DEBUG=1 is set */
  readonly debug?: (event: ItemEvent) => void;
  /** Milliseconds between two values of `stats$`, above 0. @defaultValue 250 */
  readonly statsEveryMs?: number;
}

/**
 * Runs a flow: subscribes at once, and gives a handle to watch it and to stop it.
 *
 *     source  abc!
 *     a       ----A|
 *     b        -----B|
 *     c            --C|
 *     output  ----A-BC|
 *     drain   ---!
 *     runFlow(source.pipe(boundedQueue({ capacity: 1 }), poolMap(work, { concurrency: 2 }))).drain()
 *
 * Awaiting it gives the report; if the flow errored, it rejects with that error itself, and `report()` still tells.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function runFlow(flow: Observable<unknown>, options: RunFlowOptions = {}): FlowRun {
  return new FlowRun(flow, options);
}

/** A handler may say what it expects, as with a Promise: a method's parameter may be of a narrower type than is declared. */
type Rejected<B> = { rejected(error: unknown): B | PromiseLike<B> }['rejected'] | null;

/** A flow that runs. Awaitable. */
export class FlowRun implements PromiseLike<FlowReport> {
  /** Figures of the run, the first at once, then at an interval and at the end. Never errors. */
  readonly stats$: Observable<FlowStats>;
  readonly #run: Run;
  /** Emits when the flow has ended; what is closing may still take its time. */
  readonly #flowEnded = new Subject<void>();
  readonly #ended = new Subject<never>();
  readonly #drainTimeoutMs: number;
  readonly #promise: Promise<FlowReport>;
  readonly #forget: (() => void)[] = [];
  #elapsedMs: number | undefined;
  /** Of the flow, or of a sink that could not be closed. */
  #failure: Failure | undefined;
  #stopped: 'drained' | 'aborted' | undefined;
  /** Aborted since draining took too long. */
  #late = false;
  /** Waits for sinks no longer. Absent: it does not wait for any. */
  #giveUp: (() => void) | undefined;
  #deadline: Subscription | undefined;

  constructor(flow: Observable<unknown>, options: RunFlowOptions) {
    const { drainTimeoutMs = 30_000, onError = 'drain', strict = false, statsEveryMs = 250 } = options;
    const { onWarning = warnOnConsole, debug = debugTracer() } = options;
    if (typeof (flow as { subscribe?: unknown } | undefined)?.subscribe !== 'function') {
      refuse('runFlow: flow', 'an Observable', flow);
    }
    atLeast('runFlow: drainTimeoutMs', drainTimeoutMs, 0);
    oneOf('runFlow: onError', onError, ['drain', 'abort']);
    callable('runFlow: onWarning', onWarning);
    timerMs('runFlow: statsEveryMs', statsEveryMs, 1);
    if (debug !== undefined) callable('runFlow: debug', debug);

    this.#drainTimeoutMs = drainTimeoutMs;
    this.#run = new Run({ strict, abortsOnError: onError === 'abort', onWarning, debug });
    const over = new Promise<void>((resolve) => {
      this.#run.whenOver((failure) => {
        this.#over(failure);
        resolve();
      });
    });
    this.#promise = over.then(() => this.#close());
    const once = of(undefined);
    // It ends with the flow, at once: in virtual time nothing waits for a promise.
    const live = timer(0, statsEveryMs).pipe(takeUntil(this.#flowEnded));
    const all = concat(once, live, this.#ended, once);
    this.stats$ = defer(() => (this.#elapsedMs === undefined ? all : once)).pipe(map(() => this.#stats()));
    this.#listen('runFlow: signal', options.signal, (reason) => void this.abort(reason));
    this.#listen('runFlow: drainSignal', options.drainSignal, () => void this.drain());
    if (this.#stopped === undefined) this.#run.connect(flow); // drained before it began: nothing is in it
  }

  then<A = FlowReport, B = never>(
    fulfilled?: ((report: FlowReport) => A | PromiseLike<A>) | null,
    rejected?: Rejected<B>,
  ): Promise<A | B> {
    return this.#promise.then(fulfilled, rejected);
  }

  catch<B = never>(rejected?: Rejected<B>): Promise<FlowReport | B> {
    return this.#promise.catch(rejected);
  }

  finally(settled?: (() => void) | null): Promise<FlowReport> {
    return this.#promise.finally(settled);
  }

  /**
   * Takes in no more and finishes what is inside; after `drainTimeoutMs` what is left is aborted. What it lets go of at
   * once, such as a batch that was not full, is in the async context of the caller.
   *
   * May be called from inside the flow, but not awaited there: work that awaits the end of its own run waits for itself,
   * keeps its slot, and is what is left at `drainTimeoutMs`. Call `void run.drain()`, and let the work end.
   */
  drain(): Promise<FlowReport> {
    const runs = this.#elapsedMs === undefined;
    if (this.#stopped === undefined && (runs || this.#giveUp)) {
      this.#deadline ??= after(this.#drainTimeoutMs, () => void this.#drainedTooLong());
      if (runs) {
        this.#stopped = 'drained';
        this.#run.demand.drain();
      }
    }
    return this.#promise;
  }

  /**
   * Stops now: aborts what is at work, and hands back all that is inside. Where only sinks are still closing, they are not
   * waited for.
   */
  abort(reason?: unknown): Promise<FlowReport> {
    if (this.#elapsedMs !== undefined) this.#giveUp?.();
    else if (this.#stopped !== 'aborted') {
      this.#stopped = 'aborted';
      this.#run.abort(reason);
    }
    return this.#promise;
  }

  /** The figures as they stand now; complete once the run has ended. */
  report(): FlowReport {
    const stats = this.#stats();
    const stand = this.#stand();
    return {
      ...stats,
      end: this.#ending(),
      left: [...this.#run.left],
      warnings: this.#run.warnings,
      explain: () => explain(stats, stand),
    };
  }

  #drainedTooLong(): Promise<FlowReport> {
    this.#late = this.#stopped === 'drained';
    return this.abort();
  }

  #stand(): Stand {
    if (this.#elapsedMs === undefined) return 'running';
    const end = this.#ending();
    return end === 'aborted' && this.#late ? 'late' : end;
  }

  #stats(): FlowStats {
    return statsOf(this.#run, this.#elapsedMs ?? now() - this.#run.startedAt);
  }

  #over(failure: Failure | undefined): void {
    this.#elapsedMs = now() - this.#run.startedAt;
    this.#failure = failure;
    this.#flowEnded.next();
  }

  /** Waits for the sinks, and then for what else closes, and for the last settlements, for a bounded time. */
  async #close(): Promise<FlowReport> {
    // A turn after the end: `take` completes first, and unsubscribes from what is above after that.
    const open = await this.#closeSinks();
    await this.#run.closed();
    this.#deadline?.unsubscribe();
    if (open.size > 0) this.#stopped = 'aborted';
    for (const forget of this.#forget) forget();
    this.#ended.complete();
    if (this.#failure) throw this.#failure.error;
    return this.report();
  }

  /**
   * Closes the sinks, and gives those that are not closed yet. Where all was stored they are waited for as long as they
   * take, or until somebody does not want to wait: what was stored may be whole only then.
   */
  async #closeSinks(): Promise<ReadonlyMap<unknown, StageMeter>> {
    const open = new Map(this.#run.sinks);
    const isWhole = this.#failure === undefined && this.#stopped !== 'aborted';
    const closed = [...open].map(async ([sink, { name }]) => {
      await whenClosed(this.#run, () => this.#closeSink(sink), name, `${name}: its sink is still closing`);
      open.delete(sink);
    });
    if (isWhole && open.size > 0) {
      const givenUp = new Promise<void>((resolve) => {
        this.#giveUp = resolve;
      });
      await Promise.race([Promise.all(closed), givenUp]);
      this.#giveUp = undefined;
    }
    return open;
  }

  /** What a sink says at its end decides on the run: a file may become visible only then. */
  async #closeSink(sink: Closable): Promise<void> {
    try {
      await sink.close?.(this.#ending());
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    }
  }

  #ending(): SinkEnding {
    return this.#failure ? 'failed' : (this.#stopped ?? 'completed');
  }

  #listen(key: string, signal: AbortSignal | undefined, stop: (reason: unknown) => void): void {
    if (!signal) return;
    if (typeof signal.addEventListener !== 'function') refuse(key, 'an AbortSignal', signal);
    const listener = (): void => {
      stop(signal.reason);
    };
    if (signal.aborted) {
      listener();
      return;
    }
    signal.addEventListener('abort', listener, { once: true });
    this.#forget.push(() => {
      signal.removeEventListener('abort', listener);
    });
  }
}
