import { describe, expect, test } from 'vitest';
import { adviceOf } from '../../src/connectors/http/rateHeaders.ts';

const localMs = Date.parse('2026-01-01T00:00:00Z');
/** What the server has for the time, which is ten minutes behind. */
const date = 'Wed, 31 Dec 2025 23:50:00 GMT';
const quotas = (headers: Record<string, string | string[]>): unknown[] =>
  adviceOf(headers, localMs).quotas.map(({ remaining, resetMs }) => [remaining, resetMs]);

describe('Retry-After', () => {
  const asked = (value: string, headers = {}): unknown =>
    adviceOf({ 'retry-after': value, ...headers }, localMs).retryAfterMs;

  test('in seconds, or as a date in any of its forms', () => {
    expect(asked('3')).toBe(3_000);
    expect(asked('0')).toBe(0);
    expect(asked('Thu, 01 Jan 2026 00:00:30 GMT')).toBe(30_000);
    expect(asked('Thursday, 01-Jan-26 00:00:30 GMT')).toBe(30_000);
    expect(asked('Thu Jan  1 00:00:30 2026')).toBe(30_000);
    expect(asked('Wed, 31 Dec 2025 00:00:00 GMT')).toBe(0);
  });

  test('a date is compared with the clock of the server, where it tells', () => {
    expect(asked('Wed, 31 Dec 2025 23:50:30 GMT', { date })).toBe(30_000);
    expect(asked('Thu, 01 Jan 2026 00:00:30 GMT', { date: 'nonsense' })).toBe(30_000);
  });

  test('nonsense is as if it were not there', () => {
    for (const value of ['', 'soon', '-1', '1.5', '3 s', '99999999999999', 'Mon, nonsense'])
      expect(asked(value), value).toBeUndefined();
  });
});

describe('quotas', () => {
  test('of the draft: a list with parameters, and a window where the time is not said', () => {
    expect(quotas({ ratelimit: '"default";r=50;t=30' })).toEqual([[50, 30_000]]);
    expect(quotas({ ratelimit: '"minute";r=0;t=7, "day";t=80000;r=12;pk=:c2VjcmV0:' })).toEqual([
      [0, 7_000],
      [12, 80_000_000],
    ]);
    expect(quotas({ ratelimit: ['"a,b;r=9";r=1;t=2', 'day;r=3;t=4'] })).toEqual([
      [1, 2_000],
      [3, 4_000],
    ]);
    expect(quotas({ ratelimit: '"burst";r=5', 'ratelimit-policy': '"burst";q=10;w=60' })).toEqual([
      [5, 60_000],
    ]);
  });

  test('of its older versions, and with X-', () => {
    expect(quotas({ ratelimit: 'limit=100, remaining=0, reset=5' })).toEqual([[0, 5_000]]);
    expect(quotas({ 'ratelimit-remaining': '3', 'ratelimit-reset': '9' })).toEqual([[3, 9_000]]);
    expect(quotas({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '20' })).toEqual([[0, 20_000]]);
    expect(quotas({ 'x-rate-limit-remaining': '0', 'x-rate-limit-reset': '20' })).toEqual([[0, 20_000]]);
    expect(quotas({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset-after': '1.5' })).toEqual([[0, 1_500]]);
  });

  test('a moment is compared with the clock of the server', () => {
    const inS = localMs / 1_000 + 60;
    const x = (reset: number | string): Record<string, string> => ({
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': String(reset),
    });
    expect(quotas(x(inS))).toEqual([[0, 60_000]]);
    expect(quotas(x(inS * 1_000))).toEqual([[0, 60_000]]);
    expect(quotas({ ...x(inS), date })).toEqual([[0, 660_000]]);
    expect(quotas(x(inS - 100))).toEqual([[0, 0]]);
  });

  test('half of it, or nonsense, is as if it were not there', () => {
    for (const headers of [
      {},
      { ratelimit: '' },
      { ratelimit: '"default"' },
      { ratelimit: '"default";r=1' },
      { ratelimit: '"default";r=x;t=1' },
      { 'ratelimit-remaining': '0' },
      { 'x-ratelimit-remaining': 'none', 'x-ratelimit-reset': '1' },
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': 'Thu, 01 Jan 2026 00:00:30 GMT' },
    ] as Record<string, string>[])
      expect(quotas(headers), JSON.stringify(headers)).toEqual([]);
  });
});
