import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { tap } from 'rxjs';
import type { FlowRun, PoolMapOptions } from 'sluice';
import { endOf, sleep, upTo, type Scenario, type Sluice } from './Scenario.ts';

/** Random runs: fewer than interleavings, since each has more items. */
const SEEDS = Math.ceil(Number(process.env['PROPERTY_RUNS'] ?? 1_000) / 4);
const ITEMS = 120;

/** A pool, how long its work takes, and to what its size is set from outside and from inside, and when. */
interface Plan {
  readonly first: number;
  readonly order: 'ready' | 'ordered' | 'by';
  readonly maxWaiting: number;
  readonly takesMs: readonly number[];
  /** One item of so many fails; 0: none. */
  readonly fails: number;
  readonly sets: readonly { readonly atMs: number; readonly limit: number }[];
  /** The item whose work sets it, and to what. */
  readonly inside: readonly { readonly item: number; readonly limit: number }[];
  readonly drainsAtMs: number | undefined;
}

const limit = fc.oneof(fc.constantFrom(1, 64), fc.integer({ min: 1, max: 64 }));
const plan: fc.Arbitrary<Plan> = fc.record({
  first: limit,
  order: fc.constantFrom('ready' as const, 'ordered' as const, 'by' as const),
  maxWaiting: fc.constantFrom(0, 3, 64),
  takesMs: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 8 }),
  fails: fc.constantFrom(0, 5),
  sets: fc.array(fc.record({ atMs: fc.integer({ min: 0, max: 60 }), limit }), {
    minLength: 3,
    maxLength: 12,
  }),
  inside: fc.array(fc.record({ item: fc.integer({ min: 1, max: ITEMS }), limit }), { maxLength: 6 }),
  drainsAtMs: fc.option(fc.integer({ min: 0, max: 40 }), { nil: undefined }),
});

/** Runs a plan, and looks at every transition. */
async function resized(lib: Sluice, chosen: Plan): Promise<void> {
  const { first, order, maxWaiting, takesMs, fails, sets, inside, drainsAtMs } = chosen;
  const workers = new lib.Concurrency(first);
  const faults = new Set<string>();
  const expect = (holds: boolean, what: string): void => {
    if (!holds) faults.add(what);
  };
  const busy = new Set<number>();
  const pulled: number[] = [];
  const out: number[] = [];
  const dead: number[] = [];
  const acknowledged: number[] = [];
  const watch = (): void => {
    const stage = run?.report().stages[0];
    if (!stage) return;
    const { in: came, out: gone, rejected, dropped, dead: letters, held } = stage;
    expect(came === gone + rejected + dropped + letters + held, 'the ledger does not add up');
  };
  const work = async (item: number): Promise<number> => {
    busy.add(item);
    expect(busy.size <= workers.limit, `I1: ${busy.size} at work of ${workers.limit}`);
    if (order === 'by') {
      expect(
        ![...busy].some((other) => other !== item && other % 7 === item % 7),
        'I5: two of a key at work',
      );
    }
    for (const change of inside) if (change.item === item) workers.set(change.limit);
    watch();
    try {
      await sleep(takesMs[item % takesMs.length]!);
      if (fails > 0 && item % fails === 0) throw new Error('no');
      return item;
    } finally {
      busy.delete(item);
    }
  };
  const options: PoolMapOptions<number> = {
    concurrency: workers,
    maxWaiting,
    ordered: order === 'ordered',
    ...(order === 'by' ? { by: (item: number) => item % 7 } : {}),
    onFailure: async ({ value }) => {
      await sleep(1);
      dead.push(value);
    },
  };
  const source = lib.fromPull(
    function* () {
      for (const item of upTo(ITEMS)) {
        pulled.push(item);
        yield item;
      }
    },
    {
      onSettled: ({ value, failure }) => {
        expect(
          failure === undefined && (out.includes(value) || dead.includes(value)),
          'I2: settled too early',
        );
        acknowledged.push(value);
      },
    },
  );
  const end = tap((item: number) => {
    out.push(item);
    watch();
  });
  let run: FlowRun | undefined = undefined as FlowRun | undefined;
  run = lib.runFlow(source.pipe(lib.poolMap(work, options), end));
  for (const { atMs, limit: next } of sets) {
    setTimeout(() => {
      workers.set(next);
      watch();
    }, atMs);
  }
  if (drainsAtMs !== undefined) setTimeout(() => void run?.drain(), drainsAtMs);
  const report = await endOf(run, 5_000);
  assert.deepEqual([...faults], []);
  assert.deepEqual([report.leftOver, report.left], [0, []]);
  const sorted = (items: readonly number[]): number[] => [...items].sort((a, b) => a - b);
  assert.deepEqual(sorted([...out, ...dead]), pulled, 'I2: each item has one outcome');
  assert.deepEqual(sorted(acknowledged), pulled, 'I2: each item is settled once');
  if (order === 'ordered') assert.deepEqual(out, sorted(out), 'I5: in order');
  if (drainsAtMs === undefined) assert.equal(pulled.length, ITEMS);
}

/** F76: the size of a pool is changed while it runs. */
export const resizing: readonly Scenario[] = [
  {
    says: `F76: over ${SEEDS} random runs the concurrency is set between 1 and 64, from outside and inside, and no instant exceeds it`,
    async check(lib) {
      await fc.assert(
        fc.asyncProperty(plan, (chosen) => resized(lib, chosen)),
        { numRuns: SEEDS, endOnFailure: true },
      );
    },
    twins: [
      {
        says: 'a lowered limit is not heard of',
        file: 'src/work/PoolStage.ts',
        find: '    this.#concurrency = concurrency;\n',
        replace: '    this.#concurrency = Math.max(concurrency, this.#concurrency);\n',
      },
      {
        says: 'a raised limit starts one too many',
        file: 'src/work/PoolStage.ts',
        find: 'while (!this.dead && this.#working < this.#concurrency) {',
        replace: 'while (!this.dead && this.#working <= this.#concurrency) {',
      },
      {
        says: 'a pool that is resized forgets what waits',
        file: 'src/work/PoolStage.ts',
        find: '    this.#freeWorkers.sort((a, b) => b - a);\n',
        replace: '    this.#freeWorkers.sort((a, b) => b - a);\n    this.#line.clear();\n',
      },
    ],
  },
];
