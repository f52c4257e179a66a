import { bufferCount, concatMap, filter, map, mergeMap, take, timer, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { boundedQueue, fromPull, poolMap, runFlow, storeTo, type PullInput, type Settlement } from 'sluice';
import { settle } from './settling.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** An acknowledged source that notes each settlement. */
function acknowledged<T>(input: PullInput<T>, settled: Settlement<T>[]): ReturnType<typeof fromPull<T>> {
  return fromPull(input, { onSettled: (settlement) => settled.push(settlement) });
}

const store = storeTo(async () => undefined, { maxItems: 1 });
const quiet = { onWarning: () => undefined };

describe('an acknowledged source', () => {
  it('is settled when the item is stored, and not before', async () => {
    const settled: Settlement<number>[] = [];
    const run = runFlow(
      acknowledged([1, 2], settled).pipe(
        storeTo(() => new Promise((resolve) => setTimeout(resolve, 10)), { maxItems: 2 }),
      ),
    );
    await settle(9);
    expect(settled).toEqual([]);
    await settle(1);
    await run;
    expect(settled).toEqual([
      { value: 1, failure: undefined },
      { value: 2, failure: undefined },
    ]);
  });

  it('warns, once, that onSettled failed, where it has ended and cannot error any more', async () => {
    const warnings: string[] = [];
    const run = runFlow(
      fromPull([1, 2], {
        onSettled: () => {
          throw new Error('no connection');
        },
      }).pipe(poolMap(async (value) => value, { concurrency: 3 })),
      { onWarning: (message) => warnings.push(message) },
    );
    expect(await run).toMatchObject({ end: 'completed', delivered: 2 });
    expect(warnings).toEqual(['fromPull: onSettled failed: no connection']);
  });

  it('is settled as done at its end for items that a native filter swallowed last', async () => {
    const settled: Settlement<number>[] = [];
    await runFlow(
      acknowledged([1, 2, 3], settled).pipe(
        filter((value) => value === 1),
        poolMap(async (value) => value, { concurrency: 1 }),
      ),
      quiet,
    );
    expect(settled.map(({ value, failure }) => [value, failure])).toEqual([
      [1, undefined],
      [2, undefined],
      [3, undefined],
    ]);
  });

  it('is settled once where an item has several results, and a native filter swallows the first of them', async () => {
    const settled: Settlement<number[]>[] = [];
    await runFlow(
      acknowledged([[1, 2]], settled).pipe(
        mergeMap((values) => values),
        boundedQueue({ capacity: 2 }),
        filter((value) => value === 2),
        poolMap(async (value) => value, { concurrency: 1 }),
      ),
      quiet,
    );
    expect(settled).toEqual([{ value: [1, 2], failure: undefined }]);
  });

  // a waits, and rides on b; b waits, and rides on a: neither settles, and at its window the source stands still.
  it('is settled where two items with several results each wait for the other', async () => {
    const settled: Settlement<string>[] = [];
    const run = runFlow(
      acknowledged(['a', 'b'], settled).pipe(
        poolMap(
          (item) => {
            const [first, second] = item === 'a' ? [1, 4] : [2, 3];
            return timer(first, second - first).pipe(
              take(2),
              map((part) => `${item}${part}`),
            );
          },
          { concurrency: 2 },
        ),
        filter((part) => part !== 'a0' && part !== 'b1'),
        poolMap(async (part) => part, { concurrency: 4 }),
      ),
      quiet,
    );
    await settle(100);
    await run;
    expect(settled.map(({ value, failure }) => [value, failure]).sort()).toEqual([
      ['a', undefined],
      ['b', undefined],
    ]);
  });

  // A documented limit ("lag" in docs/native-operators.md): 3 comes in a call in which the items before it are stored, and
  // is itself still in the second buffer then. Under strict the first item that is held is an error.
  it('is settled early by an operator that emits earlier items in its call, but not under strict', async () => {
    const play = async (strict: boolean): Promise<{ early: number[]; error: unknown }> => {
      const stored = new Set<number>();
      const early: number[] = [];
      const run = runFlow(
        fromPull([0, 1, 2, 3], {
          onSettled: ({ value, failure }) => {
            if (failure === undefined && !stored.has(value)) early.push(value);
          },
        }).pipe(
          bufferCount(2),
          mergeMap((values) => values),
          bufferCount(3),
          mergeMap((values) => values),
          storeTo(
            async (items) => {
              for (const item of items) stored.add(item);
            },
            { maxItems: 1 },
          ),
        ),
        { ...quiet, strict },
      );
      const error = run.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      await settle(100);
      return { early, error: await error };
    };
    expect(await play(false)).toEqual({ early: [3], error: undefined });
    expect(await play(true)).toMatchObject({ early: [], error: { code: 'TICKET_UNCLAIMED' } });
  });

  it('errors where onSettled throws or rejects, while it reads', async () => {
    function* endless(): Generator<number> {
      for (let n = 1; ; n++) yield n;
    }
    const fail = (): never => {
      throw new Error('not acknowledged');
    };
    for (const onSettled of [fail, () => Promise.reject(new Error('not acknowledged'))]) {
      const run = runFlow(
        fromPull(endless, { onSettled, maxPending: 2 }).pipe(
          storeTo(() => new Promise((resolve) => setTimeout(resolve, 5))),
        ),
        quiet,
      );
      const failed = expect(run).rejects.toThrow('not acknowledged');
      await settle(100);
      await failed;
    }
  });

  it('warns where onSettled throws or rejects once it has ended', async () => {
    for (const onSettled of [
      (): never => {
        throw new Error('not acknowledged');
      },
      () => Promise.reject(new Error('not acknowledged')),
    ]) {
      const run = runFlow(
        fromPull([1], { onSettled }).pipe(
          storeTo(() => new Promise((resolve) => setTimeout(resolve, 5))),
          poolMap(() => new Promise((resolve) => setTimeout(resolve, 5)), { concurrency: 1 }),
        ),
        quiet,
      );
      await settle(200);
      const { end, warnings } = await run;
      expect({ end, warnings }).toEqual({
        end: 'completed',
        warnings: ['fromPull: onSettled failed: not acknowledged'],
      });
    }
  });

  it('is handed back what a failure left, with the reason', async () => {
    const settled: Settlement<number>[] = [];
    const boom = new Error('boom');
    const run = runFlow(
      acknowledged(async function* () {
        yield* [1, 2, 3];
      }, settled).pipe(
        boundedQueue({ capacity: 1 }),
        poolMap((value) => (value === 2 ? Promise.reject(boom) : Promise.resolve(value)), { concurrency: 1 }),
      ),
    );
    await expect(run).rejects.toBe(boom);
    const failures = new Map(settled.map(({ value, failure }) => [value, failure]));
    expect(failures.get(1)).toBe(undefined);
    expect(failures.get(2)).toBe(boom);
    if (failures.has(3)) expect(failures.get(3)).toMatchObject({ code: 'HANDED_BACK' });
  });

  it('keeps at most maxPending items without an outcome', async () => {
    let pending = 0;
    let most = 0;
    let pulled = 0;
    function* endless(): Generator<number> {
      for (;;) {
        most = Math.max(most, ++pending);
        yield pulled++;
      }
    }
    const run = runFlow(
      fromPull(endless, { maxPending: 3, onSettled: () => pending-- }).pipe(
        boundedQueue({ capacity: 50 }),
        poolMap(
          async (value) => {
            await new Promise((resolve) => setTimeout(resolve, 5));
            return value;
          },
          { concurrency: 10 },
        ),
      ),
    );
    await settle(100);
    void run.abort();
    await run;
    expect(pulled).toBeGreaterThan(30);
    expect(most).toBe(3);
  });

  it('errors at once where no stage and no run is below', () => {
    const error = vi.fn();
    acknowledged([1], []).subscribe({ error });
    expect(error).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'TICKET_PATH' }));
  });

  it('says so where it is the work of a stage, which has no place for it', async () => {
    const run = runFlow(fromPull([1]).pipe(poolMap(() => acknowledged([1], []), { concurrency: 1 })));
    await expect(run).rejects.toMatchObject({
      code: 'TICKET_PATH',
      message: expect.stringMatching(
        /the work of a stage.*; use concatMap or mergeMap, or put storeTo inside the work$/,
      ),
    });
  });

  it.each([
    ['below concatMap', (source: Observable<number>) => concatMap(() => source)],
    [
      'with storeTo inside the work',
      (source: Observable<number>) => poolMap(() => source.pipe(store), { concurrency: 1 }),
    ],
  ])('for each item is acknowledged %s', async (_, of) => {
    const settled: Settlement<number>[] = [];
    await runFlow(fromPull([1]).pipe(of(acknowledged([7], settled)), store));
    expect(settled).toEqual([{ value: 7, failure: undefined }]);
  });
});
