import { expect, test } from 'vitest';
import { PullTimer, SourceMeter } from '../../src/metrics/SourceMeter.ts';

/** A source that is pulled, with a clock. */
function pulled() {
  let at = 5_000;
  const meter = new SourceMeter('source', () => at);
  const timer = new PullTimer(meter);
  return {
    meter,
    timer,
    pass(ms: number) {
      at += ms;
    },
    pull(ms: number, thenMs: number) {
      timer.begins();
      at += ms;
      timer.ends();
      at += thenMs;
    },
    waitedMs() {
      meter.countTime();
      return meter.waitedMs;
    },
  };
}

test('the time of pulls is counted, that of the first as it is, and that of later ones by a sample', () => {
  const { pull, waitedMs } = pulled();
  for (let i = 0; i < 1_000; i++) pull(3, 1);
  expect(waitedMs()).toBe(3_000);
  for (let i = 0; i < 64_000; i++) pull(3, 1);
  expect(waitedMs() / (65_000 * 3)).toBeCloseTo(1, 2);
});

test('a long pull that is sampled counts no more than the time that has passed', () => {
  const { pull, waitedMs } = pulled();
  for (let i = 0; i < 64_000; i++) pull(0, 1);
  pull(10_000, 0); // which is a sampled one
  expect(waitedMs()).toBeGreaterThanOrEqual(10_000);
  expect(waitedMs()).toBeLessThan(10_100);
});

test('a pull that is pending counts up to now, once, and not when its subscription is over', () => {
  const { timer, pass, waitedMs } = pulled();
  timer.begins();
  pass(5);
  expect([waitedMs(), waitedMs()]).toEqual([5, 5]);
  pass(2);
  timer.leave();
  pass(100);
  timer.ends();
  expect(waitedMs()).toBe(7);
  timer.begins(); // by an input that ends its subscription while it is pulled
  pass(100);
  expect(waitedMs()).toBe(7);
});
