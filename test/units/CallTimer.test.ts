import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CallTimer } from '../../src/connectors/workers/CallTimer.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

/** A timer that is told of its thread after so many milliseconds, or never: when it expires. */
function expiry(
  timeoutMs: number,
  begunAfterMs: number,
): { at: number | undefined; limit: number | undefined } {
  let at: number | undefined;
  let limit: number | undefined;
  const timer = new CallTimer(timeoutMs, (error) => {
    at = Date.now() - since;
    limit = error.timeoutMs;
  });
  const since = Date.now();
  vi.advanceTimersByTime(begunAfterMs);
  timer.begin();
  vi.advanceTimersByTime(100_000);
  timer.stop();
  return { at, limit };
}

test('the time of a call begins with its thread', () => {
  expect(expiry(300, 4_000)).toEqual({ at: 4_300, limit: 300 });
});

test('a thread that never begins is waited for 10 s, or for the time of the call where it is longer', () => {
  expect(expiry(300, 20_000)).toEqual({ at: 10_000, limit: 10_000 });
  expect(expiry(30_000, 40_000)).toEqual({ at: 30_000, limit: 30_000 });
});

test('what has ended does not expire', () => {
  const expire = vi.fn();
  const timer = new CallTimer(300, expire);
  timer.begin();
  timer.stop();
  timer.begin();
  vi.advanceTimersByTime(20_000);
  expect(expire).not.toHaveBeenCalled();
});
