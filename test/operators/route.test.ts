import { lastValueFrom, map, take, toArray, type OperatorFunction } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fromPull, poolMap, retryDelayed, delays, route, runFlow } from 'sluice';
import { settle, sleep } from '../flow/settling.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const takes = (ms: number) =>
  poolMap(
    async (value: number) => {
      await sleep(ms);
      return value;
    },
    { concurrency: 1, name: `takes ${ms}` },
  );
const nameOf = (value: number): 'odd' | 'even' | undefined =>
  value === 0 ? undefined : value % 2 ? 'odd' : 'even';

/** Runs items that are acknowledged through two branches; gives what was settled, and when. */
async function settled(
  items: readonly number[],
  branches: {
    readonly odd: OperatorFunction<number, number>;
    readonly even: OperatorFunction<number, number>;
  },
): Promise<{ told: string[]; out: number[]; rejected: number[]; error: unknown }> {
  const told: string[] = [];
  const out: number[] = [];
  const rejected: number[] = [];
  const from = Date.now();
  const source = fromPull(items, {
    onSettled: ({ value, failure }) =>
      told.push(`${value} ${failure === undefined ? 'done' : 'back'} @${Date.now() - from}`),
  });
  const flow = source.pipe(
    route(nameOf, { branches, rejected: (value) => rejected.push(value) }),
    map((value) => out.push(value)),
  );
  let error: unknown;
  const run = runFlow(flow, { onWarning: () => undefined }).catch((reason: unknown) => {
    error = reason;
  });
  await settle(1_000);
  await run;
  return { told, out, rejected, error };
}

describe('route in an acknowledged flow', () => {
  it('settles each item with the outcome of its branch, and at once what no branch is for', async () => {
    const { told, out, rejected } = await settled([1, 0, 2, 4], { odd: takes(9), even: takes(2) });
    expect(told).toEqual(['0 done @0', '2 done @2', '4 done @4', '1 done @9']);
    expect(out).toEqual([2, 4, 1]);
    expect(rejected).toEqual([0]);
  });

  it('hands back what waits when a branch fails, and lets the other one finish', async () => {
    const even = poolMap(() => Promise.reject<number>(new Error('even')), { concurrency: 1 });
    const { told, out, error } = await settled([1, 3, 2, 5], { odd: takes(9), even });
    expect(error).toEqual(new Error('even'));
    expect(out).toEqual([1]);
    expect(told.toSorted()).toEqual(['1 done @9', '2 back @0', '3 back @0', '5 back @0']);
  });

  it('keeps what waits for a branch until that has subscribed again', async () => {
    let failures = 0;
    const flaky = poolMap(
      async (value: number) => {
        await sleep(1);
        if (failures++ === 0) throw new Error('once');
        return value;
      },
      { concurrency: 1 },
    );
    const again = (source: Parameters<typeof flaky>[0]) => source.pipe(flaky, retryDelayed(delays([20])));
    const { told, out } = await settled([2, 4, 1, 6], { odd: takes(1), even: again });
    expect(out).toEqual([1, 4, 6]);
    expect(told).toEqual(['2 back @1', '1 done @1', '4 done @22', '6 done @23']);
  });
});

describe('route', () => {
  it('counts in its report what went where, and leaves the source after its last branch', async () => {
    const flow = fromPull([0, 1, 2, 3, 4, 5]).pipe(
      route(nameOf, { branches: { odd: take(2), even: take(1) }, maxWaiting: 1 }),
    );
    const { stages, delivered, end } = await runFlow(flow);
    expect(stages[0]).toMatchObject({ name: 'route', in: 4, out: 3, rejected: 1, held: 0 });
    expect({ delivered, end }).toEqual({ delivered: 3, end: 'completed' });
  });

  it('takes numbers and symbols for names as well', async () => {
    const odd = Symbol('odd');
    const times = (factor: number): OperatorFunction<number, number> => map((n) => n * factor);
    const flow = fromPull([1, 2, 3, 4]).pipe(
      route((n) => (n === 4 ? 4 : n % 2 === 0 ? 2 : odd) as never, {
        branches: { 2: times(10), 4: times(100), [odd]: times(1) },
        maxWaiting: 1,
      }),
    );
    expect(await lastValueFrom(flow.pipe(toArray()))).toEqual([1, 20, 3, 400]);
  });

  it('does not take what an object inherits for a branch', async () => {
    const rejected: string[] = [];
    const flow = fromPull(['toString', 'constructor', 'a']).pipe(
      route((name) => name as 'a', {
        branches: { a: take(9) },
        rejected: { next: (name) => rejected.push(name) },
      }),
    );
    expect((await runFlow(flow)).delivered).toBe(1);
    expect(rejected).toEqual(['toString', 'constructor']);
  });
});
