import assert from 'node:assert/strict';
import { install } from '@sinonjs/fake-timers';
import { Observable, type MonoTypeOperatorFunction, type Subscription } from 'rxjs';
import type { Demand } from '../../src/demand/Demand.ts';
import type { Sabotage } from '../support/mutant.ts';
import type * as kernel from './kernel.ts';

/** The module under test: the sources, or a twin with one change. */
export type Kernel = typeof kernel;

export interface Law {
  /** The rule of the kernel that it watches. */
  readonly rule: string;
  /** A fact, in the present tense. */
  readonly says: string;
  /** Throws where the fact does not hold. */
  readonly check: (sluice: Kernel) => void | Promise<void>;
  /** Changes each of which must make `check` throw. */
  readonly sabotage: readonly Sabotage[];
}

/** A change in a source file that breaks a rule. */
export function without(file: string, find: string, replace = ''): Sabotage {
  return { file, find, replace };
}

/** How Node tells of what nobody caught. */
const STRAY = ['unhandledRejection', 'uncaughtException'];
/** Real milliseconds after which a check counts as hanging. */
const WATCHDOG_MS = 4_000;
const { setTimeout: realTimeout, clearTimeout: clearReal, setImmediate: realImmediate } = globalThis;
let clock: ReturnType<typeof install> | undefined;

/** Runs a check in virtual time. What nobody caught counts as a violation, and so does hanging. */
export async function obeys(check: () => void | Promise<void>): Promise<void> {
  const outer = new Map(STRAY.map((event) => [event, process.rawListeners(event)]));
  const stray: unknown[] = [];
  const note = (error: unknown): void => {
    stray.push(error);
  };
  for (const event of STRAY) process.removeAllListeners(event).on(event, note);
  clock = install({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
    now: 1_700_000_000_000,
  });
  let watchdog: NodeJS.Timeout | undefined;
  const hanging = new Promise<never>((_, reject) => {
    watchdog = realTimeout(() => {
      reject(new Error(`hangs: no end after ${WATCHDOG_MS} ms`));
    }, WATCHDOG_MS);
  });
  try {
    await Promise.race([check(), hanging]);
    await flush();
    if (cell().ticket !== undefined) throw new Error('the current ticket was left behind');
    if (stray.length > 0) throw new Error('something was thrown that nobody caught', { cause: stray[0] });
  } finally {
    clearReal(watchdog);
    await flush(); // what a broken kernel leaves behind is thrown while we still listen
    cell().ticket = undefined;
    clock.uninstall();
    clock = undefined;
    for (const [event, listeners] of outer) {
      process.removeAllListeners(event);
      for (const listener of listeners) process.on(event, listener as () => void);
    }
  }
}

/** Where the current ticket is: see `src/tickets/current.ts`. */
function cell(): { ticket: unknown } {
  const holder = globalThis as Record<symbol, { ticket: unknown } | undefined>;
  return holder[Symbol.for('sluice.current/1')] ?? { ticket: undefined };
}

/** Lets every promise that can settle without a timer settle. */
export async function flush(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => realImmediate(resolve));
}

/** Lets `ms` of virtual time pass. */
export async function advance(ms: number): Promise<void> {
  await clock?.tickAsync(ms);
}

/** Lets virtual time jump forward without its timers, as a busy loop does. */
export function jump(ms: number): void {
  clock?.jump(ms);
}

/** Lets virtual time pass until `promise` settles; throws where nothing is left that could settle it. */
export async function within<T>(promise: PromiseLike<T>, ms = 10_000): Promise<T> {
  let settled = false;
  const watched = Promise.resolve(promise).finally(() => {
    settled = true;
  });
  watched.catch(() => undefined);
  await flush();
  const until = performance.now() + ms;
  while (!settled) {
    if (!clock || clock.countTimers() === 0) throw new Error('hangs: it never settles');
    if (performance.now() > until) throw new Error(`hangs: not settled within ${ms} ms of virtual time`);
    await clock.nextAsync();
    await flush();
  }
  return watched;
}

/** Resolves after `ms` of virtual time. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Work that takes `ms` and gives its value back. */
export function takes(ms: number): <T>(value: T) => Promise<T> {
  return async (value) => {
    await sleep(ms);
    return value;
  };
}

/** Whole numbers from 1 to `end`, counted when they are pulled. Throws after 10,000, so that a loop that nothing stops does end. */
export function* endless(pulled: { count: number } = { count: 0 }, end = Infinity): Generator<number, void> {
  for (let i = 1; i <= 10_000; i++) {
    if (i > end) return;
    pulled.count++;
    yield i;
  }
  throw new Error('10,000 values were pulled: nothing stops this loop');
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

/** A promise with its resolvers. */
export interface Gate<T = void> {
  readonly promise: Promise<T>;
  readonly open: (value: T) => void;
  readonly fail: (error: unknown) => void;
}

export function gate<T = void>(): Gate<T> {
  let open!: (value: T) => void;
  let fail!: (error: unknown) => void;
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { promise, open, fail };
}

/** What a stream has given so far. */
export interface Watched<T> {
  readonly values: T[];
  completed: boolean;
  error: unknown;
  /** Settles, never rejects, when it ends. */
  readonly ended: Promise<void>;
  readonly subscription: Subscription;
}

export function watch<T>(stream: Observable<T>, onNext?: (value: T) => void): Watched<T> {
  const { promise, open } = gate();
  const seen = { values: [] as T[], completed: false, error: undefined as unknown, ended: promise };
  const subscription = stream.subscribe({
    next: (value) => {
      seen.values.push(value);
      onNext?.(value);
    },
    error: (error: unknown) => {
      seen.error = error;
      open();
    },
    complete: () => {
      seen.completed = true;
      open();
    },
  });
  return Object.assign(seen, { subscription });
}

/** Waits for the end of a stream; throws where it errors. */
export async function all<T>(stream: Observable<T>): Promise<T[]> {
  const seen = watch(stream);
  await within(seen.ended);
  if (!seen.completed) throw seen.error;
  return seen.values;
}

/** The error that a promise rejects with. */
export async function failure(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    await within(promise);
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: 'it does not fail' });
}

/** The stable code of an error of ours. */
export function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code;
}

/** Passes on, and shows the Demand that a source at this place would find. */
export function probe<T>(
  sluice: Kernel,
  found: { demand?: Demand | undefined },
): MonoTypeOperatorFunction<T> {
  return (source) =>
    new Observable((subscriber) => {
      found.demand = sluice.demandBelow(subscriber);
      return source.subscribe(subscriber);
    });
}
