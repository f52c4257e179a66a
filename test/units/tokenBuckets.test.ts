import { expect, test } from 'vitest';
import { TokenBuckets } from '../../src/rate/TokenBuckets.ts';

/** When `count` items that are all there leave, on a clock of whole milliseconds. */
function leaveAt(count: number, limit: number, perMs: number, burst: number): number[] {
  const buckets = new TokenBuckets(limit, perMs, burst);
  let at = 0;
  return Array.from({ length: count }, () => {
    at = Math.max(at, Math.ceil(buckets.dueAt('key')));
    buckets.take('key', at);
    return at;
  });
}

test.each([
  [1, 7, 1],
  [3, 100, 1],
  [3, 100, 3],
  [10, 1_000, 4],
  [500, 1_000, 1],
  [5_000, 1_000, 5],
])(
  '%i in %i ms with a burst of %i: no stretch of that length has more than allowed',
  (limit, perMs, burst) => {
    const times = leaveAt(limit * 4, limit, perMs, burst);
    const tooFar = times.filter((from, i) => (times[i + limit + burst - 1] ?? Infinity) < from + perMs);
    expect(tooFar).toEqual([]);
    const ideal = ((limit * 4 - burst) * perMs) / limit;
    expect(times.at(-1)).toBeLessThan(ideal * 1.1 + 2); // and it is not slow, either
  },
);

test('each key has its own bucket', () => {
  const buckets = new TokenBuckets(1, 10, 1);
  buckets.take('a', 5);
  expect(buckets.dueAt('a')).toBe(15);
  expect(buckets.dueAt('b')).toBe(-Infinity);
});

test('a million keys: only those of late are remembered', () => {
  const buckets = new TokenBuckets(1, 10, 1);
  let most = 0;
  for (let key = 0; key < 1_000_000; key++) {
    buckets.take(key, key / 10);
    most = Math.max(most, buckets.size);
  }
  expect(most).toBeLessThanOrEqual(101);
});
