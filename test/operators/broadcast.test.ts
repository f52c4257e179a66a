import {
  concat,
  map,
  merge,
  NEVER,
  pipe,
  share,
  Subject,
  switchMap,
  take,
  takeUntil,
  tap,
  timer,
  type Observable,
  type OperatorFunction,
} from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { batch, broadcast, filterOr, fromPull, intake, poolMap, route, runFlow } from 'sluice';
import { settle, sleep } from '../flow/settling.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const takes = (ms: number, name = `takes ${ms}`) =>
  poolMap(
    async (value: number) => {
      await sleep(ms);
      return value;
    },
    { concurrency: 1, name },
  );

/** Runs items that are acknowledged through branches; gives what was settled, and when. */
async function settled(
  items: readonly number[],
  branches: readonly OperatorFunction<number, unknown>[],
  options: { maxPending?: number } = {},
): Promise<{ told: string[]; error: unknown }> {
  const told: string[] = [];
  const from = Date.now();
  const source = fromPull(items, {
    onSettled: ({ value, failure }) =>
      told.push(`${value} ${failure === undefined ? 'done' : 'back'} @${Date.now() - from}`),
    ...options,
  });
  let error: unknown;
  const run = runFlow(source.pipe(broadcast(branches)), { onWarning: () => undefined }).catch(
    (reason: unknown) => {
      error = reason;
    },
  );
  await settle(1_000);
  await run;
  return { told: told.toSorted(), error };
}

describe('broadcast in an acknowledged flow', () => {
  it('settles an item when every branch is done with it', async () => {
    const { told } = await settled([1, 2], [takes(1), takes(5)]);
    expect(told).toEqual(['1 done @5', '2 done @10']);
  });

  it('settles with the worst outcome: done in one branch, failed in another', async () => {
    const failing = poolMap(
      async (value: number) => {
        await sleep(2);
        if (value === 2) throw new Error('no 2');
      },
      { concurrency: 1 },
    );
    const { told, error } = await settled([1, 2, 3], [takes(1), failing]);
    expect(told).toEqual(['1 done @2', '2 back @4', '3 back @4']);
    expect(error).toEqual(new Error('no 2'));
  });

  it('takes a drop in one branch, and what another stored, for done', async () => {
    const { told } = await settled([1, 2], [filterOr((value) => value > 1), takes(3)]);
    expect(told).toEqual(['1 done @3', '2 done @6']);
  });

  it('does not stall at the window of the source: a batch in a branch lets go', async () => {
    const { told } = await settled([1, 2, 3], [batch({ maxItems: 100 }), takes(1)], { maxPending: 1 });
    expect(told).toEqual(['1 done @1', '2 done @2', '3 done @3']);
  });

  it('takes back the haste of a full window through a branch that has left meanwhile', async () => {
    const out: number[][] = [];
    const input = async function* (): AsyncGenerator<number> {
      yield* [1, 2, 3];
      await sleep(50);
      yield 4;
      await sleep(20);
      yield 5;
    };
    const leaves = pipe(
      filterOr<number>(() => false),
      takeUntil(timer(5)),
    );
    const flow = fromPull(input, { onSettled: () => undefined, maxPending: 3 }).pipe(
      broadcast([poolMap((value) => timer(10).pipe(map(() => value)), { concurrency: 3 }), leaves]),
      batch({ maxItems: 2 }),
      tap((values) => out.push(values)),
    );
    const run = runFlow(flow);
    await settle(200);
    await run;
    expect(out.at(-1)).toEqual([4, 5]);
    expect(out.flat()).toEqual([1, 2, 3, 4, 5]);
  });

  it('hands an item back once that waits for two branches when a third fails', async () => {
    const failing = poolMap(() => Promise.reject(new Error('no')), { concurrency: 1 });
    const { told, error } = await settled([1, 2], [takes(9), takes(9), failing]);
    expect(told).toEqual(['1 back @9', '2 back @0']);
    expect(error).toEqual(new Error('no'));
  });

  it('refuses a branch that cuts the chain, also where it is subscribed to again', async () => {
    const later = (source: Observable<number>) =>
      concat(source.pipe(take(1), takes(1)), source.pipe(share(), takes(1)));
    expect((await settled([1, 2, 3], [later])).error).toMatchObject({ code: 'TICKET_PATH' });
  });

  it('refuses a branch that cuts the chain', async () => {
    const cut = pipe(share<number>(), takes(1));
    const { told, error } = await settled([1], [takes(1), cut]);
    expect(error).toMatchObject({ code: 'TICKET_PATH' });
    expect(told.filter((line) => line.includes('done'))).toEqual([]);
  });

  it('hands back what it holds when it is stopped, once', async () => {
    const told: string[] = [];
    const source = fromPull([1, 2, 3, 4], {
      onSettled: ({ value, failure }) => told.push(`${value} ${failure === undefined ? 'done' : 'back'}`),
    });
    const run = runFlow(source.pipe(broadcast([takes(1), takes(10)])));
    await settle(2);
    void run.abort();
    await settle();
    const { left } = await run;
    // 1 is in the slow branch, 2 is through the fast one and waits for the slow one.
    expect(told.toSorted()).toEqual(['1 back', '2 back']);
    expect(left.toSorted((a, b) => Number(a.value) - Number(b.value))).toEqual([
      { stage: 'takes 10', value: 1 },
      { stage: 'broadcast', value: 2 },
    ]);
  });
});

describe('the branches of broadcast', () => {
  it('are listed below it in the report, and what each takes counts as one item', async () => {
    const run = runFlow(fromPull([1, 2]).pipe(broadcast([takes(1, 'a'), takes(2, 'b')])));
    await settle(9);
    const { stages, delivered, leftOver } = await run;
    expect(stages[0]).toMatchObject({ name: 'broadcast', in: 2, out: 2, emitted: 4, held: 0 });
    expect(stages.map(({ name }) => name).toSorted()).toEqual(['a', 'b', 'broadcast']);
    expect({ delivered, leftOver }).toEqual({ delivered: 4, leftOver: 0 });
  });

  it('may each stop at any time, also within the call, without stalling the others', async () => {
    const out: number[] = [];
    const seen = pipe(
      takes(1),
      tap((value) => out.push(value)),
    );
    const run = runFlow(fromPull([1, 2, 3]).pipe(broadcast([take(1), pipe(take(2), takes(5)), seen])));
    await settle(30);
    expect(out).toEqual([1, 2, 3]);
    expect((await run).end).toBe('completed');
  });

  it('leave others beside them their turn, also one that asks for it within the call', async () => {
    const out: number[] = [];
    const { offer, items$ } = intake<number>({ capacity: 1 });
    const work = (value: number): number[] => {
      if (value === 1) void offer(-1);
      return [value];
    };
    const beside = (source: Observable<number>) =>
      merge(source, items$).pipe(poolMap(work, { concurrency: 1 }));
    const subscription = concat(fromPull([1]), NEVER)
      .pipe(broadcast([beside]))
      .subscribe((value) => out.push(value));
    await settle();
    expect(out).toEqual([1, -1]);
    subscription.unsubscribe();
  });

  const fans: Record<string, OperatorFunction<number, number>> = {
    broadcast: broadcast([takes(1), takes(2)]),
    route: route((n: number) => (n % 2 ? 'odd' : 'even'), { branches: { odd: takes(1), even: takes(2) } }),
  };
  it.each(Object.entries(fans))('are cut off from nothing where nothing is below: %s', async (_, fan) => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    const told: string[] = [];
    const source = fromPull([1, 2], {
      onSettled: ({ value, failure }) => told.push(failure === undefined ? `${value} done` : `${value} back`),
    });
    const ended = vi.fn();
    source.pipe(fan).subscribe({ error: ended, complete: () => ended('complete') });
    await settle(20);
    expect(ended.mock.calls).toEqual([['complete']]);
    expect(told.toSorted()).toEqual(['1 done', '2 done']);
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('need a stage, or a run, below an acknowledged source', async () => {
    const ended = vi.fn();
    const source = fromPull([1, 2], { onSettled: () => undefined });
    source.pipe(broadcast([takes(1), map((n) => -n)])).subscribe({ error: ended });
    await settle(20);
    expect(ended.mock.calls.flat()).toMatchObject([
      {
        code: 'TICKET_PATH',
        message: expect.stringContaining(
          'a branch needs a stage of sluice in it, or runFlow below',
        ) as string,
      },
    ]);
  });

  it('subscribe to their items once at a time', async () => {
    const twice = (source: ReturnType<typeof fromPull<number>>) => merge(source, source);
    await expect(runFlow(fromPull([1]).pipe(broadcast([twice])))).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    });
  });

  it.each(['alone', 'first', 'last'])('end the flow when one throws as it is applied: %s', async (place) => {
    const bad = (): never => {
      throw new Error('a wrong option');
    };
    const pulled: number[] = [];
    const branches = { alone: [bad], first: [bad, takes(1)], last: [takes(1), bad] }[place]!;
    const source = fromPull([1, 2]).pipe(tap((value) => pulled.push(value)));
    await expect(runFlow(source.pipe(broadcast(branches)))).rejects.toThrow('a wrong option');
    expect(pulled).toEqual([]);
  });

  it('drain over a source that pushes and never ends', async () => {
    const source = new Subject<number>();
    const run = runFlow(source.pipe(broadcast([takes(1), takes(2)])), {
      drainTimeoutMs: 100,
    });
    source.next(1);
    void run.drain();
    await settle(9);
    const { end, delivered } = await run;
    expect({ end, delivered }).toEqual({ end: 'drained', delivered: 2 });
  });

  it('wait for each other when one of them is given up by a switch below', async () => {
    const out: number[] = [];
    const flow = fromPull([1, 2]).pipe(
      switchMap(() => fromPull([1, 2]).pipe(broadcast([takes(1), takes(2)]))),
      tap((value) => out.push(value)),
    );
    const run = runFlow(flow, { onWarning: () => undefined });
    await settle(20);
    expect((await run).end).toBe('completed');
    expect(out).toEqual([1, 1, 2, 2]);
  });
});

describe('a broadcast whose branches have all completed', () => {
  it('takes nothing more in, also where the stage below is full', async () => {
    const run = runFlow(fromPull(Array(100).keys()).pipe(broadcast([take(3)]), takes(5)), { strict: true });
    await settle(100);
    expect(await run).toMatchObject({ end: 'completed', itemsIn: 3, delivered: 3, warnings: [] });
  });
});
