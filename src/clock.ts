import { asyncScheduler, Subscription } from 'rxjs';
import { LONGEST_TIMER_MS } from './options.ts';

/** Where `asyncScheduler.now()` differs from the wall clock by more than this, RxJS's clock has been replaced. */
const REPLACED_CLOCK_MS = 60_000;

/**
 * Milliseconds on a clock that never goes back: `performance.now()`, or virtual time where RxJS's clock is replaced
 * (`TestScheduler.run`). Only differences mean anything.
 */
export function now(): number {
  return isReplaced() ? asyncScheduler.now() : performance.now();
}

/** Whether RxJS's clock has been replaced: then time is virtual, and no promise settles while it passes. */
export function isReplaced(): boolean {
  return Math.abs(Date.now() - asyncScheduler.now()) > REPLACED_CLOCK_MS;
}

/** Gives what `now` gives, by one reading instead of three: for one subscription, which has one clock. */
export function subscriptionClock(): () => number {
  return isReplaced() ? () => asyncScheduler.now() : () => performance.now();
}

/** Calls `run` after `delayMs`, never early: delays above 2^31 − 1 ms are chained. Unsubscribing cancels it. */
export function after(delayMs: number, run: () => void): Subscription {
  if (delayMs <= LONGEST_TIMER_MS) return asyncScheduler.schedule(run, delayMs);
  const waiting = new Subscription();
  const rest = (): void => {
    waiting.add(after(delayMs - LONGEST_TIMER_MS, run));
  };
  if (delayMs !== Infinity) waiting.add(asyncScheduler.schedule(rest, LONGEST_TIMER_MS));
  return waiting;
}

/**
 * Calls `run` when the event loop has turned, which takes no longer than that: a timer of 0 ms would take 1 ms, in a
 * browser 4.
 */
export function nextTurn(run: () => void): void {
  const { setImmediate: immediate } = globalThis as { setImmediate?: (run: () => void) => unknown };
  if (isReplaced()) after(0, run);
  else if (immediate) immediate(run);
  else if (typeof MessageChannel === 'function') post(run);
  else after(0, run);
}

function post(run: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    run();
  };
  port2.postMessage(undefined);
}

/** How long one stretch of work may keep the event loop from turning, in milliseconds. */
const STRETCH_MS = 2;
/** Turns of a loop between two looks at the clock. */
const LOOK_EVERY = 64;

/**
 * Tells a loop when to let the event loop turn, be it synchronous or driven by promises that are resolved already. In
 * virtual time the clock stands still, so it never does.
 */
export class LoopBudget {
  #turns = 0;
  /** When the event loop was last seen to turn; undefined: it has turned since the last look. */
  #since: number | undefined = undefined;

  /** Call once a turn; true: stop here, and go on at the `nextTurn`. */
  spent(): boolean {
    return (++this.#turns & (LOOK_EVERY - 1)) === 0 && this.#look();
  }

  #look(): boolean {
    const at = now();
    if (this.#since !== undefined) return at - this.#since > STRETCH_MS;
    this.#since = at;
    nextTurn(() => {
      this.#since = undefined;
    });
    return false;
  }
}
