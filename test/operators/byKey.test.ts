import { lastValueFrom, map, mergeMap, throwError, timer, toArray, type Observable } from 'rxjs';
import { afterAll, describe, expect, it } from 'vitest';
import { delays, fromPull, poolMap, runFlow, withRetry, type poolMap as PoolMap } from 'sluice';
import { KeyedLine } from '../../src/pool/lines.ts';
import { mutant, removeMutants } from '../support/mutant.ts';
import { virtual } from './virtualTime.ts';

interface Item {
  readonly key: string;
  readonly n: number;
}

/** Nine of ten items are of one hot key, the others of `cold` keys, in an order that is the same each time. */
function* mixed(count: number, cold: number): Generator<Item> {
  let state = 7;
  for (let n = 0; n < count; n++) {
    state = (state * 48_271) % 2_147_483_647;
    yield { key: state % 10 ? 'hot' : `cold ${state % cold}`, n };
  }
}

/** The most turns that an item waited at the head of its key's line, by the keys that were in the window with it. */
function mostTurns(pool: typeof PoolMap, concurrency: number, maxWaiting: number): number {
  /** What is in the window and has not started, in the order of arrival. */
  const waiting: { key: string; n: number; since: number; keys: number }[] = [];
  const keysWaiting = (): number => new Set(waiting.map(({ key }) => key)).size;
  let starts = 0;
  let most = 0;
  virtual(({ flush }) => {
    fromPull(mixed(3_000, 7))
      .pipe(
        pool(
          ({ n }): Observable<number> => {
            const at = waiting.findIndex((item) => item.n === n);
            const [{ since, keys, key }] = waiting.splice(at, 1) as [(typeof waiting)[number]];
            if (key !== 'hot') most = Math.max(most, (starts - since) / keys);
            starts++;
            return timer(1).pipe(
              map(() => {
                const next = waiting.find((item) => item.key === key);
                if (next) Object.assign(next, { since: starts, keys: keysWaiting() }); // its turn may come from now on
                return n;
              }),
            );
          },
          {
            concurrency,
            maxWaiting,
            by: (item) => {
              waiting.push({ ...item, since: starts, keys: 0 });
              waiting.at(-1)!.keys = keysWaiting();
              return item.key;
            },
          },
        ),
      )
      .subscribe();
    flush();
  });
  expect(starts).toBe(3_000);
  return most;
}

describe('poolMap by key', () => {
  it.each([
    [1, 20],
    [2, 50],
    [4, 100],
  ])('serves a cold key in its window within twice its fair share: %i workers, %i waiting', (c, w) => {
    expect(mostTurns(poolMap, c, w)).toBeLessThanOrEqual(2);
  });

  it('keeps the order of a key across retries, many keys at once', () => {
    const failed = new Set<number>();
    const started = new Map<string, number[]>();
    const work = withRetry(
      ({ key, n }: Item): Observable<number> => {
        if (n % 3 === 0 && !failed.has(n)) {
          failed.add(n);
          return timer(n % 4).pipe(mergeMap(() => throwError(() => new Error('busy'))));
        }
        started.set(key, [...(started.get(key) ?? []), n]);
        return timer(n % 5).pipe(map(() => n));
      },
      delays([2]),
    );
    const out: number[] = [];
    const keyOf = new Map([...mixed(500, 7)].map(({ key, n }) => [n, key]));
    virtual(({ flush }) => {
      fromPull(mixed(500, 7))
        .pipe(poolMap(work, { concurrency: 4, maxWaiting: 30, by: ({ key }) => key }))
        .subscribe((n) => out.push(n));
      flush();
    });
    expect(out).toHaveLength(500);
    expect(failed.size).toBeGreaterThan(100);
    for (const [key, order] of started) {
      expect(order).toEqual(order.toSorted((a, b) => a - b));
      expect(out.filter((n) => keyOf.get(n) === key)).toEqual(order);
    }
  });

  it.each([1, 2, 3])('keeps the order of streams, with %i workers', async (concurrency) => {
    async function* work(item: string): AsyncGenerator<string> {
      yield item;
      yield item.toUpperCase();
    }
    const items = ['a1', 'a2', 'b1', 'a3', 'c1', 'b2', 'a4'];
    const pool = poolMap(work, { concurrency, maxWaiting: 10, ordered: true, by: (item) => item[0] });
    const seen = lastValueFrom(fromPull(items).pipe(pool, toArray()));
    expect(await seen).toEqual(items.flatMap((item) => [item, item.toUpperCase()]));
  });

  it('knows a key only while it is active', () => {
    const line = new KeyedLine<{ key: number }>();
    for (let key = 0; key < 10_000; key++) {
      line.push({ key });
      const entry = line.take()!;
      expect(line.keys).toBe(1);
      line.done(entry);
    }
    expect(line.keys).toBe(0);
  });

  it('takes 20,000 keys, one item each', async () => {
    const ids = Array.from({ length: 20_000 }, (_, i) => i);
    const flow = fromPull(ids).pipe(
      poolMap(async (id) => id, { concurrency: 3, maxWaiting: 10, by: (id) => id }),
    );
    expect(await runFlow(flow)).toMatchObject({ delivered: 20_000, leftOver: 0 });
  });

  describe('a twin', () => {
    afterAll(removeMutants);
    it('that serves the key that was served last is found out', async () => {
      const twin = await mutant<{ poolMap: typeof PoolMap }>('operators/index.ts', {
        file: 'src/pool/lines.ts',
        find: 'this.#oldest() : this.#turns.take();',
        replace: 'this.#oldest() : this.#turns.takeLast();',
      });
      expect(mostTurns(twin.poolMap, 1, 20)).toBeGreaterThan(2);
    });
  });
});
