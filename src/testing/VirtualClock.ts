import { install, type Clock } from '@sinonjs/fake-timers';
import { MarblesError } from '../errors.ts';
import { LONGEST_TIMER_MS } from '../options.ts';
import { caller } from './frames.ts';
import { syncExports } from './platform.ts';
import { RealTimers, realTurn } from './RealTimers.ts';

/** Something that is to happen at a virtual time. */
export interface Job {
  /** What it is, for messages. */
  readonly name: () => string;
  readonly run: () => void;
  due: number;
  /** The player's own, or a timer that nobody is expected to clear: not told of as left over. */
  readonly quiet: boolean;
  cancelled: boolean;
}

/** Which of `jobs`, all due at a millisecond and in the order in which they became so, goes first: its index. */
export type Choose = (jobs: readonly Job[], at: number) => number;

type Callback = (...args: readonly unknown[]) => void;
type Handle = ReturnType<Clock['setTimeout']>;

const FAKED = [
  ...(['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] as const),
  ...(['setImmediate', 'clearImmediate', 'Date', 'performance', 'hrtime'] as const),
];
/** So many jobs in one millisecond are a loop that never waits. */
const JOBS_PER_MS = 10_000;

/**
 * The time of a picture: that of `@sinonjs/fake-timers`, with what is due in a millisecond run one by one, each followed
 * by all the microtasks that it sets off. So promises take part, and 0 ms is the same millisecond.
 */
export class VirtualClock {
  /** What callbacks of timers have thrown. */
  readonly uncaught: unknown[] = [];
  readonly #clock: Clock;
  readonly #choose: Choose;
  readonly #real = new RealTimers();
  readonly #turn: () => Promise<void>;
  readonly #fakeTimeout: Clock['setTimeout'];
  readonly #startedAt: number;
  readonly #restore: (() => void)[] = [];
  /** Those that are still to run, by the number of their handle. */
  readonly #jobs = new Map<number, Job>();
  #due: Job[] = [];

  /** Replaces the clocks of this process until `uninstall`. */
  constructor(choose: Choose) {
    if ('clock' in setTimeout || 'isFake' in Date) {
      throw new MarblesError('the timers are faked already (by vi.useFakeTimers, jest.useFakeTimers, …)');
    }
    this.#choose = choose;
    this.#turn = realTurn(this.#real);
    this.#clock = install({
      toFake: [...FAKED],
      ignoreMissingTimers: true,
      shouldClearNativeTimers: true,
      now: Date.UTC(2000, 0),
    });
    this.#startedAt = this.#clock.now;
    this.#fakeTimeout = this.#clock.setTimeout;
    this.#routeTimers();
    this.#replaceAbortTimeout();
    syncExports();
  }

  /** Milliseconds since the start. */
  get now(): number {
    return this.#clock.now - this.#startedAt;
  }

  /** When the next job is due; undefined: nothing will happen. */
  get next(): number | undefined {
    let next: number | undefined;
    for (const { due } of this.#jobs.values()) if (next === undefined || due < next) next = due;
    return next;
  }

  /** Timers that are still to fire. */
  get leftOver(): readonly Job[] {
    return [...this.#jobs.values()].filter(({ quiet }) => !quiet);
  }

  /** What has started a timer that does not go by this clock. */
  get realTimers(): readonly string[] {
    return this.#real.found;
  }

  /** Runs `run` at a millisecond, before what is set later for the same one. The result cancels it. */
  at(ms: number, name: string, run: () => void): () => void {
    const delay = Math.max(0, ms - this.now);
    const handle = this.#add(() => name, delay, run, { quiet: true });
    return () => {
      this.#cancel(handle);
    };
  }

  /** Goes to a millisecond that is not earlier, and settles there. */
  async advanceTo(ms: number): Promise<void> {
    this.#clock.tick(ms - this.now);
    await this.settle();
  }

  /** Runs all that is due, and all the microtasks that it sets off. */
  async settle(): Promise<void> {
    await this.#turn();
    for (let jobs = 0; ; jobs++) {
      this.#clock.tick(0);
      this.#due = this.#due.filter(({ cancelled }) => !cancelled);
      if (this.#due.length === 0) return;
      if (jobs > JOBS_PER_MS) throw new MarblesError(`more than ${JOBS_PER_MS} timers in one millisecond`);
      const [job] = this.#due.splice(this.#due.length > 1 ? this.#choose(this.#due, this.now) : 0, 1);
      if (job) this.#run(job);
      await this.#turn();
    }
  }

  #run(job: Job): void {
    try {
      this.watch(job.run);
    } catch (error) {
      this.uncaught.push(error);
    }
  }

  /** Calls `run` so that the real timers which it sets are told of. */
  watch<R>(run: () => R): R {
    return this.#real.watch(run);
  }

  uninstall(): void {
    for (const restore of this.#restore.reverse()) restore();
    this.#clock.uninstall();
    this.#real.disable();
    syncExports();
  }

  /** Has every timer of the fake clock, and so of `node:timers` and `node:timers/promises`, wait for its turn. */
  #routeTimers(): void {
    const clock = this.#clock;
    const { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate } = clock;
    const originals = { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate };
    Object.assign(clock, {
      setTimeout: (run: Callback, delay: unknown, ...args: readonly unknown[]) =>
        this.#timer('setTimeout', delay, () => run(...args)),
      setInterval: (run: Callback, delay: unknown, ...args: readonly unknown[]) =>
        this.#timer('setInterval', delay, () => run(...args), true),
      setImmediate: (run: Callback, ...args: readonly unknown[]) =>
        this.#timer('setImmediate', 0, () => run(...args)),
    });
    for (const clear of ['clearTimeout', 'clearInterval', 'clearImmediate'] as const) {
      clock[clear] = (handle: Handle | undefined) => {
        if (handle !== undefined) this.#cancel(handle);
      };
    }
    this.#restore.push(() => {
      Object.assign(clock, originals);
    });
  }

  #timer(name: string, delay: unknown, run: () => void, repeats = false): Handle {
    const ms = Math.floor(Number(delay));
    const wait = ms > LONGEST_TIMER_MS ? 1 : Math.max(0, ms || 0); // as Node does
    const at = new Error();
    const every = repeats ? wait : undefined;
    return this.#add(() => `${name} of ${wait} ms${caller(at)}`, wait, run, { every });
  }

  #add(
    name: () => string,
    delay: number,
    run: () => void,
    { every, quiet = false }: { readonly every?: number | undefined; readonly quiet?: boolean },
  ): Handle {
    const job: Job = { name, run: fire, due: 0, quiet, cancelled: false };
    const handle = this.#arm(job, delay);
    const jobs = this.#jobs;
    const id = Number(handle);
    jobs.set(id, job);
    const arm = (ms: number): Handle => this.#arm(job, ms);
    function fire(): void {
      if (every === undefined) jobs.delete(id);
      else arm(every);
      run();
    }
    return handle;
  }

  /** Sets the timer behind a job, which puts it among those that are due. */
  #arm(job: Job, delay: number): Handle {
    job.due = this.now + delay;
    return this.#fakeTimeout(() => this.#due.push(job), delay);
  }

  #cancel(handle: Handle): void {
    const id = Number(handle);
    const job = this.#jobs.get(id);
    if (!job) return;
    job.cancelled = true;
    this.#jobs.delete(id);
  }

  /** `AbortSignal.timeout` has a timer of the host's own. */
  #replaceAbortTimeout(): void {
    const own = Object.getOwnPropertyDescriptor(AbortSignal, 'timeout');
    const timeout = (ms: number): AbortSignal => {
      const controller = new AbortController();
      const run = (): void => {
        controller.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
      };
      this.#add(() => `AbortSignal.timeout(${ms})`, ms, run, { quiet: true });
      return controller.signal;
    };
    Object.defineProperty(AbortSignal, 'timeout', { ...own, value: timeout });
    this.#restore.push(() => {
      if (own) Object.defineProperty(AbortSignal, 'timeout', own);
    });
  }
}
