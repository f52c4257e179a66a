import { bufferCount, catchError, EMPTY, mergeMap, of, switchMap, tap } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { dedupe, fromPull, poolMap, runFlow, storeTo } from 'sluice';
import { RecentKeys } from '../../src/queue/RecentKeys.ts';
import { TokenBuckets } from '../../src/rate/TokenBuckets.ts';
import { sleep } from '../../src/testing/laws/time.ts';
import { settle } from '../flow/settling.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const forEver = { by: (value: number): number => value, withinMs: Infinity, maxKeys: 10 };

describe('dedupe in an acknowledged flow', () => {
  it('settles a repeat at once', async () => {
    const told: string[] = [];
    const flow = fromPull([1, 1, 2], {
      onSettled: ({ value, failure }) => told.push(`${value} ${failure === undefined ? 'done' : 'back'}`),
    }).pipe(
      dedupe(forEver),
      poolMap(async () => sleep(10), { concurrency: 3 }),
    );
    const run = runFlow(flow, { strict: true });
    await settle(5);
    expect(told).toEqual(['1 done']);
    await settle(9);
    expect(told).toEqual(['1 done', '1 done', '2 done']);
    const { stages, delivered, end } = await run;
    expect({ delivered, end }).toEqual({ delivered: 2, end: 'completed' });
    expect(stages.find(({ name }) => name === 'dedupe')).toMatchObject({
      in: 3,
      out: 2,
      dropped: 1,
      held: 0,
    });
  });

  it('lets an item pass that was handed back, and is given again', async () => {
    const told: string[] = [];
    const again: number[] = [];
    const input = async function* (): AsyncGenerator<number> {
      yield 1;
      await sleep(5);
      yield 2; // the switch gives 1 up
      await sleep(20);
      yield* again;
    };
    const out: number[] = [];
    const flow = fromPull(input, {
      onSettled: ({ value, failure }) => {
        told.push(`${value} ${failure === undefined ? 'done' : 'back'}`);
        if (failure !== undefined) again.push(value);
      },
    }).pipe(
      dedupe(forEver),
      switchMap((value) =>
        of(value).pipe(
          poolMap(
            async (item) => {
              await sleep(10);
              return item;
            },
            { concurrency: 1 },
          ),
        ),
      ),
      tap((item) => out.push(item)),
    );
    const run = runFlow(flow);
    await settle(60);
    await run;
    expect(told).toEqual(['1 back', '2 done', '1 done']);
    expect(out).toEqual([2, 1]);
  });

  it('lets what a native buffer held pass again, where that was handed back', async () => {
    const again: number[] = [];
    const input = async function* (): AsyncGenerator<number> {
      yield* [1, 2];
      await sleep(10);
      yield* [3, 4]; // with which 1 and 2, which nobody has taken, are handed back
      await sleep(10);
      yield* again;
    };
    const stored: number[] = [];
    let failed = false;
    const store = async (items: number[]): Promise<void> => {
      await sleep(1);
      if (!failed) {
        failed = true;
        throw new Error('first');
      }
      stored.push(...items);
    };
    const flow = fromPull(input, {
      onSettled: ({ value, failure }) => {
        if (failure !== undefined) again.push(value);
      },
    }).pipe(
      dedupe(forEver),
      bufferCount(2),
      mergeMap((items) =>
        of(items).pipe(
          poolMap(store, { concurrency: 1 }),
          catchError(() => EMPTY),
        ),
      ),
    );
    const run = runFlow(flow, { onWarning: () => undefined });
    await settle(60);
    await run;
    expect(stored).toEqual([3, 4, 1, 2]);
  });

  it('lets a sink know what its source pulled, for a checkpoint in the same transaction', async () => {
    const origins: unknown[] = [];
    const flow = fromPull([1, 1, 2], { onSettled: () => undefined }).pipe(
      dedupe(forEver),
      storeTo(
        async (_items, context) => {
          await sleep(1);
          origins.push(context.origins?.of(0), context.origins?.settled());
        },
        { maxItems: 2 },
      ),
    );
    const run = runFlow(flow);
    await settle(5);
    await run;
    expect(origins).toEqual([[1], [1, 2]]);
  });
});

describe('the keys that are remembered', () => {
  it('are never more than maxKeys, whatever comes', () => {
    const recent = new RecentKeys(Infinity, 1_000);
    for (let key = 0; key < 100_000; key++) {
      expect(recent.has(key, key)).toBe(false);
      recent.add(key, key);
      if (recent.size > 1_000) throw new Error(`${recent.size} keys`);
    }
    expect(recent.has(99_000, 1e6)).toBe(true);
    expect(recent.has(98_999, 1e6)).toBe(false);
  });

  it('are told apart as those of a Map: objects by identity, NaN as one', () => {
    const recent = new RecentKeys(10, 10);
    const key = {};
    recent.add(key, 0);
    recent.add(NaN, 0);
    expect(recent.has(key, 9)).toBe(true);
    expect(recent.has({}, 9)).toBe(false);
    expect(recent.has(NaN, 9)).toBe(true);
  });

  it('are not forgotten for one that failed before, and came again', () => {
    const recent = new RecentKeys(10, 10);
    recent.add('a', 0);
    expect(recent.has('a', 10)).toBe(false);
    recent.add('a', 10);
    recent.remove('a', 0);
    expect(recent.has('a', 11)).toBe(true);
  });

  it('are forgotten in the order in which they were last asked for', () => {
    const recent = new RecentKeys(Infinity, 3);
    for (const key of ['a', 'b', 'c']) recent.add(key, 0);
    recent.has('a', 1);
    recent.remove('b', 0);
    for (const key of ['d', 'e']) recent.add(key, 2);
    expect(['a', 'b', 'c', 'd', 'e'].filter((key) => recent.has(key, 3))).toEqual(['a', 'd', 'e']);
  });

  // A Map of the host passes over all that was deleted before its first key: this would take minutes.
  it('cost no more where there are many', () => {
    const recent = new RecentKeys(Infinity, 100_000);
    const buckets = new TokenBuckets(1, 1e9, 100);
    for (let key = 0; key < 250_000; key++) {
      if (!recent.has(key, key)) recent.add(key, key);
      buckets.take(key % 100_000, key);
    }
    expect([recent.size, buckets.size]).toEqual([100_000, 100_000]);
  }, 30_000);
});
