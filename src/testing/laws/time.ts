import { install } from '@sinonjs/fake-timers';

/** What a law waits with: a clock that moves only when nothing else is left to do, or the real one. */
export type Time = 'virtual' | 'real';

/** How Node tells of what nobody caught. */
const STRAY = ['unhandledRejection', 'uncaughtException'];
/**
 * Real milliseconds after which a check counts as hanging in which nothing has come that it waited for, and in how many
 * steps: those in which all stands still are one.
 */
const WATCHDOG_MS = { virtual: 4_000, real: 30_000 };
const WATCHDOG_STEPS = 40;
/** Real milliseconds in which what is under way comes to rest. */
const QUIET_MS = 50;
/** Real milliseconds after which nothing more comes of what has given many. */
const REST_MS = 3_000;
/** Turns of the event loop within which a busy loop has gone on. */
const TURNS = 100;

const { setTimeout: realTimeout, clearTimeout: clearReal } = globalThis;
/** Absent in browsers. */
const realImmediate = (globalThis as { setImmediate?: (run: () => void) => unknown }).setImmediate;
/** Milliseconds on the real clock, whatever clock is installed. */
export const realNow = /* @__PURE__ */ (() => performance.now.bind(performance))();
let clock: ReturnType<typeof install> | undefined;
/** How much has come that checks waited for. */
let came = 0;

/** Runs a check. What nobody caught counts as a violation, and so do hanging and a current ticket that is left behind. */
export async function supervised(check: () => void | Promise<void>, time: Time = 'virtual'): Promise<void> {
  if (time === 'virtual') {
    clock = install({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
      now: 1_700_000_000_000,
    });
  }
  const stray = new Strays();
  let watchdog: ReturnType<typeof setTimeout> | undefined;
  const hanging = new Promise<never>((_, reject) => {
    const wait = (steps: number, before = came): void => {
      watchdog = realTimeout(() => {
        if (came > before) wait(WATCHDOG_STEPS);
        else if (steps > 1) wait(steps - 1);
        else reject(new Error(`hangs: no end after ${WATCHDOG_MS[time]} ms`));
      }, WATCHDOG_MS[time] / WATCHDOG_STEPS);
    };
    wait(WATCHDOG_STEPS);
  });
  try {
    await Promise.race([check(), hanging]);
    await flush();
    if (cell().ticket !== undefined) throw new Error('the current ticket was left behind');
    stray.rethrow();
  } finally {
    clearReal(watchdog);
    await flush(); // what a broken check leaves behind is thrown while we still listen
    cell().ticket = undefined;
    clock?.uninstall();
    clock = undefined;
    stray.stop();
  }
}

/** Listens, alone, for what nobody caught. */
class Strays {
  readonly #host = (globalThis as { process?: NodeJS.Process }).process;
  readonly #outer = new Map(STRAY.map((event) => [event, this.#host?.rawListeners(event) ?? []]));
  readonly #errors: unknown[] = [];

  constructor() {
    const note = (error: unknown): void => {
      this.#errors.push(error);
    };
    for (const event of STRAY) this.#host?.removeAllListeners(event).on(event, note);
  }

  rethrow(): void {
    if (this.#errors.length === 0) return;
    throw new Error('something was thrown that nobody caught', { cause: this.#errors[0] });
  }

  stop(): void {
    for (const [event, listeners] of this.#outer) {
      this.#host?.removeAllListeners(event);
      for (const listener of listeners) this.#host?.on(event, listener as () => void);
    }
  }
}

/** Where the current ticket is: see `src/tickets/current.ts`. Read by its symbol, so that it is that of every copy. */
function cell(): { ticket: unknown } {
  const holder = globalThis as Record<symbol, { ticket: unknown } | undefined>;
  return holder[Symbol.for('sluice.current/1')] ?? { ticket: undefined };
}

/** Lets every promise that can settle without a timer settle. */
export async function flush(): Promise<void> {
  for (let i = 0; i < 2; i++) {
    await new Promise<void>((resolve) => {
      if (realImmediate) realImmediate(resolve);
      else realTimeout(resolve, 0);
    });
  }
}

/** Lets `ms` pass. */
export async function advance(ms: number): Promise<void> {
  if (clock) await clock.tickAsync(ms);
  else await sleep(ms);
}

/** Lets virtual time jump forward without its timers, as a busy loop does. */
export function jump(ms: number): void {
  clock?.jump(ms);
}

/** Lets what is under way come to rest: for a second, or as long as is said, where time is virtual. */
export async function quiet(virtualMs = 1_000): Promise<void> {
  await flush();
  await advance(clock ? virtualMs : QUIET_MS);
  await flush();
}

/** Timers that are still to fire; undefined where time is real. */
export function timersLeft(): number | undefined {
  return clock?.countTimers();
}

/** Lets time pass until `promise` settles; throws where it takes longer, or nothing is left that could settle it. */
export async function within<T>(promise: PromiseLike<T>, ms = 10_000): Promise<T> {
  let settled = false;
  const watched = Promise.resolve(promise).finally(() => {
    settled = true;
  });
  watched.catch(() => undefined);
  await flush();
  const until = performance.now() + ms;
  while (!settled) {
    // A loop that lets the event loop turn goes on without a timer.
    for (let turn = 0; turn < TURNS && !settled && clock?.countTimers() === 0; turn++) await flush();
    if (settled) break;
    if (clock?.countTimers() === 0) throw new Error('hangs: it never settles');
    if (performance.now() > until) throw new Error(`hangs: not settled within ${ms} ms`);
    if (clock) await clock.nextAsync();
    await flush();
  }
  came++;
  return watched;
}

/**
 * Lets time pass until `promise` settles, or nothing is left that could settle it; for `ms` on the real clock at most, but
 * so many turns at least, on a machine that has more to do. Where time is real, others have their part in it: three times
 * as long.
 */
export async function forAWhile(promise: PromiseLike<unknown>, ms = 1_500): Promise<void> {
  let settled = false;
  const done = (): void => {
    settled = true;
  };
  promise.then(done, done);
  const until = realNow() + (clock ? ms : 3 * ms);
  await flush();
  for (let turn = 0; !settled && (turn < TURNS || realNow() < until) && clock?.countTimers() !== 0; turn++) {
    clock?.next();
    await flush();
  }
}

/**
 * Lets time pass until `promise` settles, which may take as long as `count` goes up and no check hangs. False: it has not,
 * and nothing goes on any more.
 */
export async function whileCounting(promise: PromiseLike<unknown>, count: () => number): Promise<boolean> {
  let settled = false;
  const done = (): void => {
    settled = true;
  };
  promise.then(done, done);
  const time = clock ? 'virtual' : 'real';
  const startedAt = realNow();
  let seen = count();
  let seenAt = startedAt;
  for (let still = 0; !settled; still++) {
    clock?.next();
    await flush();
    if (count() !== seen) {
      seen = count();
      seenAt = realNow();
      still = 0;
    }
    const rests = clock ? clock.countTimers() === 0 : realNow() > seenAt + REST_MS;
    if (rests && still > TURNS) return false;
    if (realNow() > startedAt + (WATCHDOG_MS[time] * 3) / 4) return true;
  }
  return true;
}

/** Resolves after `ms`. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
