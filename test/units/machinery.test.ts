import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { delays, exponential } from 'sluice';
import { after, LoopBudget, now } from '../../src/clock.ts';
import { KeyedLine, PlainLine } from '../../src/pool/lines.ts';
import { RingQueue } from '../../src/queue/RingQueue.ts';
import { RetryClock } from '../../src/retry/RetryPolicy.ts';

describe('RingQueue', () => {
  it('is an array with push, shift and pop, whatever the order of calls', () => {
    const call = fc.oneof(
      { weight: 3, arbitrary: fc.constant('push' as const) },
      fc.constant('take' as const),
      fc.constant('takeLast' as const),
      fc.constant('peek' as const),
    );
    fc.assert(
      fc.property(fc.array(call, { maxLength: 200 }), (calls) => {
        const [queue, model] = [new RingQueue<number>(), [] as number[]];
        for (const [i, name] of calls.entries()) {
          if (name === 'push') {
            queue.push(i);
            model.push(i);
          } else if (model.length > 0) {
            if (name === 'take') expect(queue.take()).toBe(model.shift());
            if (name === 'takeLast') expect(queue.takeLast()).toBe(model.pop());
            if (name === 'peek') expect(queue.peek()).toBe(model[0]);
          }
          expect(queue.size).toBe(model.length);
        }
        while (model.length > 0) expect(queue.take()).toBe(model.shift());
      }),
      { numRuns: 300 },
    );
  });
});

describe('PlainLine', () => {
  it('is first come, first served, and gives nothing when it is empty', () => {
    const line = new PlainLine<number>();
    line.push(1);
    line.push(2);
    line.push(3);
    expect([line.take(), line.size]).toEqual([1, 2]);
    line.done();
    expect(line.clear()).toEqual([2, 3]);
    expect([line.take(), line.size]).toEqual([undefined, 0]);
  });
});

describe('KeyedLine', () => {
  it('lets one of a key go at a time, keeps its order, and loses nobody', () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 0, max: 3 }) }),
      fc.constant('take' as const),
      fc.record({ done: fc.nat({ max: 5 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const line = new KeyedLine<{ key: number; n: number }>();
        const atWork: { key: number; n: number }[] = [];
        const started = new Map<number, number[]>();
        let [pushed, taken] = [0, 0];
        const take = (): boolean => {
          const entry = line.take();
          if (!entry) return false;
          taken++;
          expect(atWork.map(({ key }) => key)).not.toContain(entry.key);
          atWork.push(entry);
          started.set(entry.key, [...(started.get(entry.key) ?? []), entry.n]);
          return true;
        };
        for (const wanted of steps) {
          if (wanted === 'take') take();
          else if ('push' in wanted) line.push({ key: wanted.push, n: pushed++ });
          else if (atWork.length > 0) line.done(atWork.splice(wanted.done % atWork.length, 1)[0]!);
          expect(line.size).toBe(pushed - taken);
        }
        // Once all that is at work is done, every one that waits has its turn.
        while (atWork.length > 0 || line.size > 0) {
          if (!take()) {
            expect(atWork.length).toBeGreaterThan(0);
            line.done(atWork.shift()!);
          }
        }
        expect(taken).toBe(pushed);
        for (const order of started.values()) expect(order).toEqual([...order].sort((a, b) => a - b));
      }),
      { numRuns: 300 },
    );
  });

  it('gives back all that waits when it is cleared, in order per key', () => {
    const line = new KeyedLine<{ key: string; n: number }>();
    for (const [n, key] of ['a', 'b', 'a', 'b'].entries()) line.push({ key, n });
    const first = line.take()!;
    expect(line.clear().map(({ n }) => n)).toEqual([2, 1, 3]);
    line.done(first);
    expect([line.size, line.take()]).toEqual([0, undefined]);
  });

  it('takes any value for a key', () => {
    const line = new KeyedLine<{ key: unknown }>();
    for (const key of [NaN, NaN, undefined, undefined, null]) line.push({ key });
    expect([line.take(), line.take(), line.take(), line.take()]).toEqual([
      { key: NaN },
      { key: undefined },
      { key: null },
      undefined,
    ]);
  });
});

describe('retry policies', () => {
  it('delays: one retry for each', () => {
    const { delayMs } = delays([10, 20]);
    expect([delayMs(1, 0), delayMs(2, 10), delayMs(3, 20)]).toEqual([10, 20, undefined]);
  });

  it('delays: does not see what becomes of the array afterwards', () => {
    const waits = [10];
    const { delayMs } = delays(waits);
    waits.push(20);
    expect(delayMs(2, 10)).toBe(undefined);
  });

  it('exponential: from initialMs by factor up to maxMs, maxRetries times', () => {
    const { delayMs } = exponential({
      initialMs: 100,
      factor: 3,
      maxMs: 1_000,
      jitter: 'none',
      maxRetries: 4,
    });
    expect([1, 2, 3, 4, 5].map((retry) => delayMs(retry, 0))).toEqual([100, 300, 900, 1_000, undefined]);
  });

  it('exponential: full jitter takes a part of the wait, by the chance it is given', () => {
    const chances = [0, 0.5, 0.25];
    const { delayMs } = exponential({ initialMs: 100, maxRetries: 3, random: () => chances.shift() ?? 1 });
    expect([1, 2, 3].map((retry) => delayMs(retry, 0))).toEqual([0, 100, 100]);
  });

  it('exponential, decorrelated: between the first wait and three times the last one, up to maxMs', () => {
    const bounds = (chance: number, retries: number): number[] => {
      const clock = new RetryClock(
        exponential({
          initialMs: 100,
          maxMs: 1_000,
          maxRetries: 9,
          jitter: 'decorrelated',
          random: () => chance,
        }),
        0,
      );
      return Array.from({ length: retries }, () => clock.waitMs({}, 0) ?? NaN);
    };
    expect(bounds(0, 3)).toEqual([100, 100, 100]);
    expect(bounds(1, 4)).toEqual([300, 900, 1_000, 1_000]);
    expect(bounds(0.5, 3)).toEqual([200, 350, 575]);
    const wide = exponential({ initialMs: 100, maxMs: 50, maxRetries: 1, jitter: 'decorrelated' });
    expect([wide.delayMs(1, 0), wide.delayMs(2, 50)]).toEqual([50, undefined]);
  });

  it('exponential: never beyond its bounds', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10_000 }),
        fc.double({ min: 1, max: 10, noNaN: true }),
        fc.integer({ min: 0, max: 100_000 }),
        fc.integer({ min: 1, max: 2_000 }),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        (initialMs, factor, maxMs, retry, chance) => {
          const policy = exponential({ initialMs, factor, maxMs, maxRetries: 2_000, random: () => chance });
          const wait = policy.delayMs(retry, 0);
          expect(wait).toBeGreaterThanOrEqual(0);
          expect(wait).toBeLessThanOrEqual(maxMs);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('the clock: retryAfterMs is a floor, and a nonsensical one is none', () => {
    const clock = new RetryClock(delays([10, 10, 10]), 0);
    expect(clock.waitMs({ retryAfterMs: 50 }, 0)).toBe(50);
    expect(clock.waitMs({ retryAfterMs: 5 }, 0)).toBe(10);
    expect(clock.waitMs({ retryAfterMs: NaN }, 0)).toBe(10);
  });

  it('the clock: no retry starts after maxElapsedMs, the floor included', () => {
    const policy = delays([10], { maxElapsedMs: 30 });
    expect(new RetryClock(policy, 100).waitMs({}, 120)).toBe(10);
    expect(new RetryClock(policy, 100).waitMs({}, 121)).toBe(undefined);
    expect(new RetryClock(policy, 100).waitMs({ retryAfterMs: 31 }, 100)).toBe(undefined);
  });

  it('the clock: asks isRetryable, by default the error itself', () => {
    expect(new RetryClock(delays([1]), 0).waitMs({ retryable: false }, 0)).toBe(undefined);
    for (const status of [400, 401, 404, 409, 422, 499]) {
      expect(new RetryClock(delays([1]), 0).waitMs({ status }, 0)).toBe(undefined);
    }
    const statuses = [0, 200, 304, 408, 425, 429, 500, 503, '404', undefined].map((status) => ({ status }));
    const said = { status: 404, retryable: true };
    for (const error of [said, ...statuses, { retryable: true }, {}, undefined, null, 'x', 5]) {
      expect(new RetryClock(delays([1]), 0).waitMs(error, 0)).toBe(1);
    }
  });
});

describe('the clock', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('chains delays that no host timer takes, and does not fire early', () => {
    const run = vi.fn();
    const longMs = 2 ** 31 + 1_000;
    after(longMs, run);
    vi.advanceTimersByTime(longMs - 1);
    expect(run).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(run).toHaveBeenCalledTimes(1);
  });

  it('never fires after Infinity, and keeps no timer for it', () => {
    after(Infinity, () => undefined);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('cancels, also in a later link of a chain', () => {
    const run = vi.fn();
    const waiting = after(2 ** 32, run);
    vi.advanceTimersByTime(2 ** 31);
    waiting.unsubscribe();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(2 ** 32);
    expect(run).not.toHaveBeenCalled();
  });

  it('tells differences of time', () => {
    const start = now();
    vi.advanceTimersByTime(250);
    expect(now() - start).toBe(250);
  });

  it('gives a stretch of work two milliseconds, looked at every 64 turns', () => {
    const clock = vi.spyOn(performance, 'now');
    const budget = new LoopBudget();
    const spentWithin = (turns: number): number | undefined => {
      for (let turn = 1; turn <= turns; turn++) if (budget.spent()) return turn;
      return undefined;
    };
    clock.mockReturnValue(1_000);
    expect(spentWithin(64)).toBe(undefined);
    clock.mockReturnValue(1_003); // and the loop has not turned meanwhile
    expect(spentWithin(64)).toBe(64);
    clock.mockRestore();
  });

  it('begins a new stretch whenever the event loop turns', () => {
    const clock = vi.spyOn(performance, 'now');
    const budget = new LoopBudget();
    for (let at = 0; at < 1_000; at += 15) {
      clock.mockReturnValue(at);
      for (let turn = 1; turn <= 64; turn++) expect(budget.spent()).toBe(false);
      vi.advanceTimersByTime(1);
    }
    clock.mockRestore();
  });
});
