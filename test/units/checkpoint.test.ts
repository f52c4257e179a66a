import * as fc from 'fast-check';
import { of } from 'rxjs';
import { expect, test } from 'vitest';
import { broadcast, batch, filterOr, fromPull, poolMap, runFlow, storeTo, type SinkContext } from 'sluice';
import { Progress } from '../../src/checkpoint/Progress.ts';
import { Ranges } from '../../src/checkpoint/Ranges.ts';

test('ranges hold what was added, with a gap before each', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(40), fc.nat(3))), (added) => {
      const ranges = new Ranges();
      const numbers = new Set<number>();
      for (const [from, more] of added) {
        ranges.add(from, from + more);
        for (let n = from; n <= from + more; n++) numbers.add(n);
      }
      for (let n = 0; n < 50; n++) expect(ranges.has(n)).toBe(numbers.has(n));
      let last = -Infinity;
      for (const { from, to } of ranges) {
        expect(from).toBeGreaterThan(last + 1);
        expect(to).toBeGreaterThanOrEqual(from);
        last = to;
      }
    }),
  );
});

test('progress goes on after what is done without a gap, and knows what is done beyond', () => {
  const progress = new Progress<string>({ position: 0, cursor: undefined, done: [] });
  for (let n = 0; n < 6; n++) progress.begin(n, `c${n}`);
  for (const n of [1, 2, 4, 0]) progress.settle(n);
  expect(progress.point).toEqual({ position: 3, cursor: 'c2' });
  expect(progress.stateWith()).toEqual({ position: 3, cursor: 'c2', done: [[4, 4, 'c4', 'c4']] });
  expect(progress.stateWith([5])).toEqual({ position: 3, cursor: 'c2', done: [[4, 5, 'c4', 'c5']] });
  expect(progress.stateWith([3])).toEqual({ position: 5, cursor: 'c4', done: [] });
  expect([3, 5].map((n) => progress.isTaken(n))).toEqual([true, true]);
  progress.handBack(3);
  expect(progress.isTaken(3)).toBe(false);
  progress.handBack(4);
  expect(progress.isDone(4)).toBe(true);
});

test('what is stored after it was handed back, since its COMMIT was answered meanwhile, has its cursor still', () => {
  const progress = new Progress<string>({ position: 0, cursor: undefined, done: [] });
  for (const n of [0, 1]) progress.begin(n, `c${n}`);
  progress.handBack(0);
  expect(progress.isTaken(0)).toBe(false);
  progress.settle(0);
  expect(progress.stateWith()).toEqual({ position: 1, cursor: 'c0', done: [] });
});

test('whatever the order in which items are done, a copy of what is written down goes on in the same place', () => {
  fc.assert(
    fc.property(
      fc.shuffledSubarray([...Array(20).keys()], { minLength: 0 }),
      fc.shuffledSubarray([...Array(20).keys()]),
      (first, second) => {
        const before = new Progress<number>({ position: 0, cursor: undefined, done: [] });
        for (let n = 0; n < 20; n++) before.begin(n, n * 10);
        for (const n of first) before.settle(n);
        const state = before.stateWith(second);
        const after = new Progress<number>(JSON.parse(JSON.stringify(state)) as typeof state);
        const done = new Set([...first, ...second]);
        for (let n = 0; n < 20; n++) expect(after.isDone(n)).toBe(done.has(n));
        const { position, cursor } = after.point;
        expect(cursor).toBe(position === 0 ? undefined : (position - 1) * 10);
        for (const [from, to, a, b] of state.done) expect([a, b]).toEqual([from * 10, to * 10]);
      },
    ),
  );
});

/** What each batch of a flow says it settles. */
async function settledBy(
  flow: (store: ReturnType<typeof storeTo<number>>) => ReturnType<typeof fromPull<number>>,
) {
  const batches: { items: number[]; of: unknown[]; settled: unknown[] }[] = [];
  const store = storeTo(
    async (items: readonly number[], { origins }: SinkContext) => {
      await Promise.resolve();
      batches.push({
        items: [...items],
        of: items.map((_, i) => origins?.of(i)),
        settled: [...(origins?.settled() ?? ['none'])],
      });
    },
    { maxItems: 2 },
  );
  await runFlow(flow(store), { onWarning: () => undefined });
  return batches;
}

const acknowledged = (values: readonly number[]) => fromPull(values, { onSettled: () => undefined });

test('a sink is told what its items come from, and what has its outcome with them', async () => {
  expect(await settledBy((store) => acknowledged([1, 2, 3]).pipe(store))).toEqual([
    { items: [1, 2], of: [[1], [2]], settled: [1, 2] },
    { items: [3], of: [[3]], settled: [3] },
  ]);
});

test('an item that becomes several is settled by the last of them', async () => {
  const triple = poolMap((n: number) => of(n, n * 10, n * 100), { concurrency: 1 });
  expect(await settledBy((store) => acknowledged([1, 2]).pipe(triple, store))).toEqual([
    { items: [1, 10], of: [[1], [1]], settled: [] },
    { items: [100, 2], of: [[1], [2]], settled: [1] },
    { items: [20, 200], of: [[2], [2]], settled: [2] },
  ]);
});

test('several items that become one are settled together; what was filtered natively, with the next', async () => {
  const sums = poolMap(async (numbers: readonly number[]) => numbers.reduce((a, b) => a + b), {
    concurrency: 1,
  });
  const batches = await settledBy((store) =>
    acknowledged([1, 2, 3]).pipe(batch({ maxItems: 2 }), sums, store),
  );
  expect(batches).toEqual([{ items: [3, 3], of: [[1, 2], [3]], settled: [1, 2, 3] }]);

  const odd = filterOr((n: number) => n % 2 === 1);
  expect(await settledBy((store) => acknowledged([1, 2, 3]).pipe(odd, store))).toEqual([
    { items: [1, 3], of: [[1], [3]], settled: [1, 3] },
  ]);
});

test('an item that goes to two branches is settled by neither alone', async () => {
  const [a, b] = [storeTo<number>(async () => undefined), storeTo<number>(async () => undefined)];
  const batches = await settledBy((store) => acknowledged([1, 2]).pipe(broadcast([store, a, b])));
  expect(batches.flatMap(({ settled }) => settled)).toEqual([]);
});

test('a flow without an acknowledged source has no origins', async () => {
  const batches = await settledBy((store) => fromPull([1]).pipe(store));
  expect(batches).toEqual([{ items: [1], of: [undefined], settled: ['none'] }]);
});
