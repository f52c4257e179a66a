import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type * as time from '../../src/testing/laws/time.ts';

// The timers that the checks are watched with are those of when the module was loaded: here, ones that a test moves.
let laws: typeof time;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  vi.resetModules();
  laws = await import('../../src/testing/laws/time.ts');
});
afterEach(() => {
  vi.useRealTimers();
  vi.resetModules();
});

test('a check may take as long as it gets what it waits for, on a machine that is slow', async () => {
  let ended = false;
  const check = async (): Promise<void> => {
    for (let i = 0; i < 100; i++) await laws.within(laws.sleep(1_000));
    ended = true;
  };
  const watched = laws.supervised(check, 'real');
  for (let i = 0; i < 110; i++) await vi.advanceTimersByTimeAsync(1_000);
  await watched;
  expect(ended).toBe(true);
});

test('one hangs in which nothing comes any more', async () => {
  const check = async (): Promise<void> => {
    await laws.within(laws.sleep(20_000), 60_000);
    await new Promise(() => undefined);
  };
  const failure = laws.supervised(check, 'real').catch(String);
  for (let i = 0; i < 60; i++) await vi.advanceTimersByTimeAsync(1_000);
  expect(await failure).toBe('Error: hangs: no end after 30000 ms');
});
