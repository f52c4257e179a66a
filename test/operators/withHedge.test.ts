import { EMPTY, of } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  delays,
  fromPull,
  poolMap,
  runFlow,
  withBreaker,
  withHedge,
  withRetry,
  type FlowReport,
  type Work,
  type WorkContext,
} from 'sluice';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** How long attempt `attempt` at item `n` takes; below 0: it fails after as long. */
type Takes = (n: number, attempt: number) => number;

async function trial(
  takes: Takes,
  maxExtraShare: number,
  items: number,
): Promise<{ report: FlowReport; attempts: number; hedged: number[]; aborted: string[]; elapsedMs: number }> {
  const hedged: number[] = [];
  const aborted: string[] = [];
  let attempts = 0;
  const work = (n: number, { attempt, signal }: WorkContext): Promise<number> => {
    attempts++;
    if (attempt === 2) hedged.push(n);
    const ms = takes(n, attempt);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        if (ms < 0) reject(new Error(`attempt ${attempt} failed`));
        else resolve(n);
      }, Math.abs(ms));
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        aborted.push(`${n}, attempt ${attempt}`);
      });
    });
  };
  const startedAt = performance.now();
  const run = runFlow(
    fromPull(Array.from({ length: items }, (_, i) => i)).pipe(
      poolMap(withHedge(work, { afterPercentile: 90, maxExtraShare }), {
        concurrency: 1,
        onFailure: 'drop',
      }),
    ),
  );
  let elapsedMs = 0;
  const ended = run.then(() => (elapsedMs = performance.now() - startedAt));
  await vi.advanceTimersByTimeAsync(1_000_000);
  await ended;
  expect(vi.getTimerCount()).toBe(0);
  return { report: await run, attempts, hedged, aborted, elapsedMs };
}

describe('withHedge', () => {
  it('starts a second attempt where the first is slow, takes the quicker one, and aborts the other', async () => {
    const takes: Takes = (n, attempt) => (n === 30 && attempt === 1 ? 1_000 : 10);
    const { report, hedged, aborted, elapsedMs } = await trial(takes, 0.1, 40);
    expect(report).toMatchObject({ delivered: 40, dropped: 0, retried: 1 });
    expect([hedged, aborted]).toEqual([[30], ['30, attempt 1']]);
    expect(elapsedMs).toBeCloseTo(39 * 10 + 20, 0);
  });

  it('takes the first one where that is quicker after all', async () => {
    const takes: Takes = (n, attempt) => (n === 30 ? (attempt === 1 ? 15 : 100) : 10);
    const { report, aborted } = await trial(takes, 0.1, 40);
    expect(report.delivered).toBe(40);
    expect(aborted).toEqual(['30, attempt 2']);
  });

  it('hedges nothing while nobody knows what is slow', async () => {
    const { hedged } = await trial((n) => (n === 5 ? 1_000 : 10), 1, 20);
    expect(hedged).toEqual([]);
  });

  it('has no more second attempts than maxExtraShare, where the service is slow altogether', async () => {
    const { attempts, hedged } = await trial((n) => (n < 100 ? 10 : 10 + n), 0.05, 1_000);
    expect(hedged.length).toBeGreaterThan(10);
    expect(attempts).toBeLessThanOrEqual(1_050);
  });

  it.each([
    [1, 0],
    [2, 0.01],
    [3, 0.05],
    [4, 0.2],
    [5, 1],
  ])(
    'keeps to its share, has no loser at work, and loses no item: seed %i, share %d',
    async (seed, share) => {
      let state = seed * 7_919;
      const chance = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
      const running = new Set<AbortSignal>();
      const starts: number[] = [];
      let begun = 0;
      let hedged = 0;
      const bothFailed = new Set<number>();
      const failures = new Map<number, number>();
      const work = (n: number, { attempt, signal }: WorkContext): Promise<number> => {
        if (attempt === 1) begun++;
        else hedged++;
        expect(hedged, 'at every instant').toBeLessThanOrEqual(begun * share + 1e-9);
        starts.push(n);
        running.add(signal);
        const slow = n % 400 > 300; // slow altogether, in bursts
        const ms = slow ? 100 + 200 * chance() : 5 + 10 * chance() ** 4 * 20;
        const fails = chance() < 0.05;
        return new Promise((resolve, reject) => {
          const timer = setTimeout(() => {
            running.delete(signal);
            if (fails) failures.set(n, (failures.get(n) ?? 0) + 1);
            if (fails) reject(new Error('unlucky'));
            else resolve(n);
          }, ms);
          signal.addEventListener('abort', () => {
            clearTimeout(timer);
            running.delete(signal);
          });
        });
      };
      const run = runFlow(
        fromPull(Array.from({ length: 2_000 }, (_, i) => i)).pipe(
          poolMap(withHedge(work, { afterPercentile: 80, maxExtraShare: share }), {
            concurrency: 7,
            onFailure: ({ value }) => void bothFailed.add(value),
          }),
        ),
      );
      await vi.advanceTimersByTimeAsync(1_000_000);
      const { delivered, dead, retried } = await run;
      expect(delivered + dead).toBe(2_000);
      expect([retried, starts.length]).toEqual([hedged, 2_000 + hedged]);
      expect(running.size).toBe(0);
      expect(vi.getTimerCount()).toBe(0);
      if (share === 0) expect(hedged).toBe(0);
      else expect(hedged).toBeGreaterThan(2_000 * Math.min(share, 0.1) * 0.8);
      // Dead are only those of whom every attempt has failed.
      for (const n of bothFailed) expect(failures.get(n)).toBe(starts.filter((other) => other === n).length);
    },
  );

  it('fails where both fail, and where the first does before the second starts', async () => {
    const takes: Takes = (n, attempt) => {
      if (n === 30) return attempt === 1 ? -20 : -15; // both
      if (n === 50) return attempt === 1 ? -20 : 15; // only the first
      return n === 70 ? -5 : 10; // before the second
    };
    const { report, hedged } = await trial(takes, 0.5, 80);
    expect(report).toMatchObject({ delivered: 78, dropped: 2 });
    expect(hedged).toEqual([30, 50]);
  });

  it('aborts both where the item is aborted', async () => {
    const signals: AbortSignal[] = [];
    const work = (n: number, { signal }: WorkContext): Promise<number> => {
      if (n === 30) signals.push(signal);
      return n === 30 ? new Promise(() => undefined) : new Promise((done) => setTimeout(done, 10, n));
    };
    const hedge = withHedge(work, { afterPercentile: 50, maxExtraShare: 0.5 });
    const run = runFlow(
      fromPull(Array.from({ length: 31 }, (_, i) => i)).pipe(poolMap(hedge, { concurrency: 1 })),
    );
    await vi.advanceTimersByTimeAsync(500);
    await run.abort();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('numbers its attempts on from those that withRetry has made before', async () => {
    const seen: string[] = [];
    const work = async (n: number, { attempt }: WorkContext): Promise<number> => {
      if (n < 30) return n;
      seen.push(`${n}: ${attempt}`);
      // The second attempt is hedged; the one after it is a retry.
      if (n === 30 && attempt === 1) await new Promise((done) => setTimeout(done, 50));
      if (attempt < 3) throw new Error('busy');
      return n;
    };
    const letters: number[] = [];
    const hedged = withHedge(work, { afterPercentile: 90, maxExtraShare: 0.1 });
    const run = runFlow(
      fromPull(Array.from({ length: 32 }, (_, i) => i)).pipe(
        poolMap(withRetry(hedged, delays([1, 1])), {
          concurrency: 1,
          onFailure: ({ attempts }) => letters.push(attempts),
        }),
      ),
    );
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await run).toMatchObject({ delivered: 32, retried: 4 });
    expect(seen).toEqual(['30: 1', '30: 2', '30: 3', '31: 1', '31: 2', '31: 3']);
    expect(letters).toEqual([]);
  });

  it.each<[string, (work: Work<number, Promise<number>>) => Work<number, Promise<number>>]>([
    ['withBreaker', (work) => withBreaker(work, { maxFailures: 1, openMs: 20 })],
    ['withRetry', (work) => withRetry(work, delays([20]))],
    ['both', (work) => withBreaker(withRetry(work, delays([20])), { maxFailures: 1, openMs: 20 })],
  ])('goes round %s, whose work throws at its first call', async (_, wrap) => {
    let calls = 0;
    const work = (n: number): Promise<number> => {
      if (++calls === 1) throw new Error('down');
      return Promise.resolve(n);
    };
    const letters: unknown[] = [];
    const run = runFlow(
      fromPull([1, 2, 3]).pipe(
        poolMap(withHedge(wrap(work), { afterPercentile: 90, maxExtraShare: 0.1 }), {
          concurrency: 1,
          onFailure: ({ error }) => letters.push((error as Error).message),
        }),
      ),
    );
    await vi.advanceTimersByTimeAsync(100);
    const { delivered, dead } = await run;
    expect([delivered + dead, calls]).toEqual([3, delivered + 1]);
    expect(letters).toEqual(dead === 0 ? [] : ['down']);
  });

  it.each([1, [1], of(1, 2), EMPTY])('fails where work gives no promise: %o', async (result) => {
    const hedged = withHedge(() => result as unknown as Promise<number>, {
      afterPercentile: 90,
      maxExtraShare: 0.1,
    });
    await expect(runFlow(fromPull([1]).pipe(poolMap(hedged, { concurrency: 1 })))).rejects.toThrow(
      'withHedge: work must return a promise',
    );
  });

  it('refuses options outside their range', () => {
    const work = async (): Promise<number> => 1;
    expect(() => withHedge(work, { afterPercentile: 100, maxExtraShare: 0.1 })).toThrow('below 100');
    expect(() => withHedge(work, { afterPercentile: 95, maxExtraShare: 2 })).toThrow(
      'maxExtraShare 1 or less',
    );
    expect(() => withHedge(work, { afterPercentile: 0, maxExtraShare: 0.1 })).toThrow('afterPercentile');
  });
});
