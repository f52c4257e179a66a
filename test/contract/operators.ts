import assert from 'node:assert/strict';
import { filter, map, Observable, of, range, tap, type OperatorFunction } from 'rxjs';
import type { Demand } from '../../src/demand/Demand.ts';
import {
  advance,
  endless,
  flush,
  probe,
  sleep,
  takes,
  upTo,
  watch,
  within,
  without,
  type Kernel,
  type Law,
} from './law.ts';

interface Case {
  /** The export it is a case of. */
  readonly operator: string;
  readonly make: (sluice: Kernel) => OperatorFunction<number, unknown>;
  /** The same with a callback that throws at 3. */
  readonly throwing?: (sluice: Kernel) => OperatorFunction<number, unknown>;
  /** Items it holds at most. Absent: it holds none, and has no Demand of its own. */
  readonly limit?: number;
  /** The same with what its branches hold. Absent: `limit`. */
  readonly holds?: number;
  /** How many values it gives for these items and the end. Absent: one each. */
  readonly outputs?: (items: readonly number[]) => number;
  /** It settles what it emits itself. */
  readonly stores?: boolean;
}

const at3 = (value: number): number => {
  if (value === 3) throw new Error('at 3');
  return value;
};

const keptOf = (items: readonly number[]): number => items.filter((value) => value % 3 > 0).length;

/** Every operator, in the ways that differ inside. */
export const cases: Record<string, Case> = {
  batch: {
    operator: 'batch',
    make: (sluice) => sluice.batch({ maxItems: 3, maxWaitMs: 2 }),
    throwing: (sluice) => sluice.batch({ maxItems: 3, maxWeight: 9, weigh: at3 }),
    limit: 3,
    outputs: (items) => Math.ceil(items.length / 3),
  },
  boundedQueue: {
    operator: 'boundedQueue',
    make: (sluice) => sluice.boundedQueue({ capacity: 3 }),
    limit: 3,
  },
  'boundedQueue, dropOldest': {
    operator: 'boundedQueue',
    make: (sluice) => sluice.boundedQueue({ capacity: 2, overflow: 'dropOldest' }),
    limit: 2,
  },
  broadcast: {
    operator: 'broadcast',
    make: (sluice) => sluice.broadcast([map((value: number) => value), map((value: number) => -value)]),
    limit: 1,
    outputs: (items) => 2 * items.length,
  },
  'broadcast, a stage in each branch': {
    operator: 'broadcast',
    make: (sluice) =>
      sluice.broadcast([
        sluice.poolMap(async (value: number) => value, { concurrency: 1 }),
        sluice.boundedQueue({ capacity: 1 }),
      ]),
    throwing: (sluice) =>
      sluice.broadcast([
        map((value: number) => value),
        sluice.poolMap(async (value: number) => at3(value), { concurrency: 1 }),
      ]),
    limit: 1,
    holds: 2,
    outputs: (items) => 2 * items.length,
  },
  dedupe: {
    operator: 'dedupe',
    make: (sluice) => sluice.dedupe({ by: (value) => Math.ceil(value / 2), withinMs: Infinity, maxKeys: 9 }),
    throwing: (sluice) => sluice.dedupe({ by: at3, withinMs: 9, maxKeys: 9 }),
    outputs: (items) => new Set(items.map((value) => Math.ceil(value / 2))).size,
  },
  drops: {
    operator: 'drops',
    make: (sluice) => sluice.drops(filter((value: number) => value % 3 > 0)),
    outputs: keptOf,
  },
  filterOr: {
    operator: 'filterOr',
    make: (sluice) => sluice.filterOr((value) => value % 3 > 0),
    throwing: (sluice) => sluice.filterOr((value) => at3(value) > 0),
    outputs: keptOf,
  },
  'filterOr, told of rejections': {
    operator: 'filterOr',
    make: (sluice) => sluice.filterOr((value) => value % 3 > 0, { rejected: () => undefined }),
    throwing: (sluice) => sluice.filterOr(() => false, { rejected: at3 }),
    outputs: keptOf,
  },
  'filterOr, asynchronous': {
    operator: 'filterOr',
    make: (sluice) => sluice.filterOr(async (value) => value % 3 > 0, { concurrency: 2 }),
    throwing: (sluice) => sluice.filterOr(async (value) => at3(value) > 0, { concurrency: 2 }),
    limit: 2,
    outputs: keptOf,
  },
  'filterOr, asynchronous, told of rejections': {
    operator: 'filterOr',
    make: (sluice) =>
      sluice.filterOr(async (value) => value % 3 > 0, { concurrency: 2, rejected: () => undefined }),
    throwing: (sluice) => sluice.filterOr(async () => false, { concurrency: 2, rejected: at3 }),
    limit: 2,
    outputs: keptOf,
  },
  poolMap: {
    operator: 'poolMap',
    make: (sluice) => sluice.poolMap(async (value) => value * 2, { concurrency: 2, maxWaiting: 1 }),
    throwing: (sluice) => sluice.poolMap(async (value) => at3(value), { concurrency: 2 }),
    limit: 3,
  },
  'poolMap, ordered': {
    operator: 'poolMap',
    make: (sluice) =>
      sluice.poolMap((value) => (value % 2 ? takes(1)(value) : of(value)), { concurrency: 2, ordered: true }),
    throwing: (sluice) => sluice.poolMap((value) => of(at3(value)), { concurrency: 2, ordered: true }),
    limit: 2,
  },
  'poolMap, by key': {
    operator: 'poolMap',
    make: (sluice) =>
      sluice.poolMap(async (value) => value, { concurrency: 2, maxWaiting: 2, by: (value) => value % 2 }),
    throwing: (sluice) => sluice.poolMap(async (value) => value, { concurrency: 2, by: at3 }),
    limit: 4,
  },
  'poolMap, Observables': {
    operator: 'poolMap',
    make: (sluice) => sluice.poolMap((value) => of(value, -value), { concurrency: 2 }),
    throwing: (sluice) => sluice.poolMap((value) => of(value).pipe(map(at3)), { concurrency: 2 }),
    limit: 2,
    outputs: (items) => 2 * items.length,
  },
  'poolMap, dead letters': {
    operator: 'poolMap',
    make: (sluice) =>
      sluice.poolMap(async (value) => at3(value % 5), { concurrency: 2, onFailure: async () => sleep(1) }),
    throwing: (sluice) =>
      sluice.poolMap(
        async () => {
          throw new Error('work');
        },
        { concurrency: 2, onFailure: ({ value }) => at3(value) },
      ),
    limit: 2,
    outputs: (items) => items.filter((value) => value % 5 !== 3).length,
  },
  rateLimit: {
    operator: 'rateLimit',
    make: (sluice) => sluice.rateLimit({ limit: 1, perMs: 2 }),
    limit: 1,
  },
  'rateLimit, by key': {
    operator: 'rateLimit',
    make: (sluice) =>
      sluice.rateLimit({ limit: 1, perMs: 2, burst: 2, by: (value) => value % 2, maxWaiting: 3 }),
    throwing: (sluice) => sluice.rateLimit({ limit: 1, perMs: 2, by: at3 }),
    limit: 3,
  },
  retryDelayed: {
    operator: 'retryDelayed',
    make: (sluice) => sluice.retryDelayed(sluice.delays([])),
    throwing: (sluice) => (source) => source.pipe(map(at3), sluice.retryDelayed(sluice.delays([]))),
  },
  route: {
    operator: 'route',
    make: (sluice) =>
      sluice.route((value: number) => (value % 3 === 0 ? undefined : value % 3 > 1 ? 'two' : 'one'), {
        branches: { one: map((value) => value), two: map((value) => -value) },
      }),
    throwing: (sluice) =>
      sluice.route((value: number): 'one' | undefined => (at3(value) > 0 ? 'one' : undefined), {
        branches: { one: map((value) => value) },
      }),
    limit: 2,
    outputs: keptOf,
  },
  'route, a stage in each branch': {
    operator: 'route',
    make: (sluice) =>
      sluice.route((value: number) => (value % 2 ? 'odd' : 'even'), {
        branches: {
          odd: sluice.poolMap(async (value) => value, { concurrency: 1 }),
          even: sluice.boundedQueue({ capacity: 1 }),
        },
        maxWaiting: 3,
      }),
    throwing: (sluice) =>
      sluice.route((): 'one' | undefined => undefined, {
        branches: { one: map((value: number) => value) },
        rejected: at3,
      }),
    limit: 3,
    holds: 5,
  },
  stage: {
    operator: 'stage',
    make: (sluice) =>
      sluice.stage(
        'named',
        map((value: number) => value * 2),
        filter((value) => value > 2),
      ),
    throwing: (sluice) => sluice.stage('named', map(at3)),
    outputs: (items) => items.filter((value) => value > 1).length,
  },
  storeTo: {
    operator: 'storeTo',
    make: (sluice) => sluice.storeTo(async () => sleep(1), { maxItems: 2, maxWaitMs: 3 }),
    throwing: (sluice) =>
      sluice.storeTo(
        async (values) => {
          values.forEach(at3);
        },
        { maxItems: 1 },
      ),
    limit: 4,
    stores: true,
  },
};

/** Runs a check for each operator; the operator's name is in the message. */
async function each(
  sluice: Kernel,
  check: (name: string, entry: Case) => void | Promise<void>,
): Promise<void> {
  for (const [name, entry] of Object.entries(cases)) {
    try {
      await check(name, entry);
    } catch (error) {
      throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
    }
  }
  assert.equal(sluice.current.ticket, undefined);
}

const STAGE = 'src/demand/Stage.ts';
const POOL = 'src/work/PoolStage.ts';
const OUTLET = 'src/demand/Outlet.ts';

/** 100,000 synchronous values, each operator over the kind of source that presses it hardest. */
const flat: Record<string, (sluice: Kernel) => Observable<unknown>> = {
  batch: (sluice) => sluice.fromPull(upTo(100_000)).pipe(sluice.batch({ maxItems: 3 })),
  boundedQueue: (sluice) => range(1, 100_000).pipe(sluice.boundedQueue({ capacity: 3 })),
  broadcast: (sluice) =>
    range(1, 100_000).pipe(
      sluice.broadcast([map((value) => value), sluice.poolMap((value) => of(value), { concurrency: 1 })]),
    ),
  dedupe: (sluice) =>
    range(1, 100_000).pipe(sluice.dedupe({ by: (value) => value >> 1, withinMs: Infinity, maxKeys: 9 })),
  drops: (sluice) => range(1, 100_000).pipe(sluice.drops(filter((value) => value % 2 > 0))),
  filterOr: (sluice) => range(1, 100_000).pipe(sluice.filterOr((value) => value % 2 > 0)),
  'poolMap, synchronous': (sluice) =>
    sluice.fromPull(upTo(100_000)).pipe(sluice.poolMap((value) => of(value), { concurrency: 2 })),
  'poolMap, synchronous, ordered': (sluice) =>
    sluice
      .fromPull(upTo(100_000))
      .pipe(sluice.poolMap((value) => of(value), { concurrency: 2, ordered: true })),
  'poolMap, a line of 100,000': (sluice) =>
    sluice.fromPush(range(1, 100_000)).pipe(sluice.poolMap(async (value) => value, { concurrency: 2 })),
  rateLimit: (sluice) => range(1, 100_000).pipe(sluice.rateLimit({ limit: 1_000, perMs: 1 })),
  retryDelayed: (sluice) => range(1, 100_000).pipe(sluice.retryDelayed(sluice.delays([]))),
  route: (sluice) =>
    range(1, 100_000).pipe(
      sluice.route((value) => (value % 2 ? 'odd' : 'even'), {
        branches: {
          odd: map((value) => value),
          even: sluice.poolMap((value) => of(value), { concurrency: 1 }),
        },
      }),
    ),
  stage: (sluice) =>
    range(1, 100_000).pipe(
      sluice.stage(
        'named',
        map((value) => value * 2),
      ),
    ),
  storeTo: (sluice) =>
    sluice.fromPull(upTo(100_000)).pipe(sluice.storeTo(async () => undefined, { maxItems: 500 })),
  'three stages': (sluice) => {
    const pool = () => sluice.poolMap((value: number) => of(value), { concurrency: 1, maxWaiting: 1 });
    return sluice.fromPull(upTo(100_000)).pipe(pool(), sluice.boundedQueue({ capacity: 9 }), pool());
  },
};

const flatLaws: readonly Law[] = Object.entries(flat).map(([name, make]) => ({
  rule: 'operators',
  says: `100,000 synchronous values keep the stack flat: ${name}`,
  async check(sluice) {
    const frames: number[] = [];
    let count = 0;
    const warn = console.warn;
    console.warn = () => undefined; // of the line that grows
    try {
      const seen = watch(
        make(sluice).pipe(
          tap(() => {
            if (count++ % 10_000 !== 7) return;
            const limit = Error.stackTraceLimit;
            Error.stackTraceLimit = Infinity;
            frames.push((new Error().stack ?? '').split('\n').length);
            Error.stackTraceLimit = limit;
          }),
        ),
      );
      await within(seen.ended, 1e9);
      assert.ok(seen.completed, String(seen.error));
    } finally {
      console.warn = warn;
    }
    assert.ok(count > 33_000);
    assert.ok(Math.max(...frames) - Math.min(...frames) < 60, `frames: ${frames.join()}`);
  },
  sabotage:
    name === 'three stages'
      ? [
          without(
            'src/demand/PullSource.ts',
            '      this.#emit(result.value);\n    }\n',
            '      this.#emit(result.value);\n      return this.#pullNow(iterator);\n    }\n',
          ),
        ]
      : [],
}));

/** What the law suite that users get (test/kit) does not look at: work, and every transition of the bound and the ledger. */
export const operatorLaws: readonly Law[] = [
  ...flatLaws,
  {
    rule: 'operators',
    says: 'unsubscribing reaches work: its signal is aborted, its Observable left; so does an error of other work',
    async check(sluice) {
      for (const how of ['left', 'failed']) {
        let left = 0;
        const signals: AbortSignal[] = [];
        const observable = new Observable<number>(() => () => left++);
        const inner = watch(of(1, 2).pipe(sluice.poolMap(() => observable, { concurrency: 2 })));
        const works = (value: number, { signal }: { readonly signal: AbortSignal }) => {
          signals.push(signal);
          if (value < 3) return new Promise<number>(() => undefined);
          return Promise.reject(new Error('other'));
        };
        const busy = watch(
          of(...upTo(how === 'left' ? 2 : 3)).pipe(sluice.poolMap(works, { concurrency: 3 })),
        );
        const sink = watch(
          of(1).pipe(
            sluice.storeTo(
              (_, { signal }) => {
                signals.push(signal);
                return new Promise<void>(() => undefined);
              },
              { maxItems: 1 },
            ),
          ),
        );
        await flush();
        for (const { subscription } of how === 'left' ? [inner, busy, sink] : [inner, sink])
          subscription.unsubscribe();
        assert.equal(left, 2);
        assert.deepEqual(
          signals.slice(0, 2).map((signal) => signal.aborted),
          [true, true],
        );
        assert.equal(signals.at(-1)?.aborted, true);
      }
    },
    sabotage: [
      without(POOL, '    job.context?.abort(reason);\n'),
      without(POOL, 'if (job.inner) this.#leaveInner(job.inner);'),
      without('src/work/StoreStage.ts', '      batch.context?.abort(reason);\n'),
    ],
  },
  {
    rule: 'The bound',
    says: 'no stage ever holds more than its limit below a source that waits, which holds one more at most',
    async check(sluice) {
      await each(sluice, async (name, { make, limit }) => {
        for (const asynchronous of [false, true]) {
          const found: { demand?: Demand } = {};
          const pulled = { count: 0 };
          const input = async function* () {
            yield* endless(pulled, 60);
          };
          let most = 0;
          let ahead = 0;
          let accepted = 0;
          const look = (): void => {
            most = Math.max(most, found.demand?.held ?? 0);
            ahead = Math.max(ahead, pulled.count - accepted);
          };
          const flow = sluice.fromPull(asynchronous ? input : () => endless(pulled, 60)).pipe(
            tap(() => {
              look();
              accepted++;
            }),
            probe(sluice, found),
            make(sluice),
            sluice.poolMap(
              async (value) => {
                look();
                await sleep(2);
                look();
                return value;
              },
              { concurrency: 1 },
            ),
            tap(look),
          );
          const seen = watch(flow);
          await within(seen.ended);
          assert.ok(seen.completed, String(seen.error));
          assert.equal(pulled.count, 60);
          assert.equal(found.demand?.limit, limit ?? 1, name);
          assert.ok(most <= (limit ?? 1), `${most} were held, with a limit of ${limit ?? 1}`);
          assert.ok(ahead <= 1, `${ahead} were pulled ahead`);
        }
      });
    },
    sabotage: [
      without(OUTLET, 'if (demand.open && (', 'if (('),
      without(
        'operators/batch.ts',
        'super(identity, subscriber, bounds.maxItems);',
        'super(identity, subscriber, bounds.maxItems + 1);',
      ),
      without(
        'operators/route.ts',
        'super(identity, subscriber, maxWaiting,',
        'super(identity, subscriber, maxWaiting + 1,',
      ),
      without(
        'operators/rateLimit.ts',
        'super(identity, subscriber, maxWaiting);',
        'super(identity, subscriber, maxWaiting + 1);',
      ),
      without(
        POOL,
        'super(identity, subscriber, settings.concurrency + settings.maxWaiting);',
        'super(identity, subscriber, settings.concurrency + settings.maxWaiting + 1);',
      ),
      without('src/work/StoreStage.ts', 'maxItems * (concurrency + 1)', 'maxItems * (concurrency + 2)'),
    ],
  },
  {
    rule: 'The ledger',
    says: 'in = out + rejected + dropped + dead + held at every transition, and what is left over is listed',
    async check(sluice) {
      await each(sluice, async (name, { operator, make, limit }) => {
        for (const how of ['completed', 'aborted', 'drained', 'failed'] as const) {
          const found: { demand?: Demand } = {};
          const running: { run?: ReturnType<Kernel['runFlow']> } = {};
          let looks = 0;
          const look = (): void => {
            const stage = running.run
              ?.report()
              .stages.find((stats) => stats.operator === operator && stats.name !== 'last');
            looks++;
            if (!stage) return;
            const held = limit === undefined ? 0 : (found.demand?.held ?? 0);
            const { rejected, dropped, dead, out } = stage;
            assert.equal(
              stage.in,
              out + rejected + dropped + dead + held,
              `${how}: ${JSON.stringify(stage)}, it holds ${held}`,
            );
            assert.equal(stage.held, held);
          };
          const input = function* () {
            for (const value of upTo(40)) {
              look();
              if (value === 30 && how === 'failed') throw new Error('input');
              yield value;
            }
          };
          let thrown: unknown;
          const guarded = (): void => {
            try {
              look();
            } catch (error) {
              thrown ??= error;
            }
          };
          const flow = sluice.fromPull(input).pipe(
            probe(sluice, found),
            make(sluice),
            tap(guarded),
            sluice.poolMap(
              async (value: unknown) => {
                guarded();
                await sleep(1);
                guarded();
                return value;
              },
              { concurrency: 2, name: 'last' },
            ),
            tap(guarded),
          );
          running.run = sluice.runFlow(flow, { onWarning: () => undefined });
          const { run } = running;
          run.then(undefined, () => undefined);
          await flush();
          guarded();
          await advance(6);
          guarded();
          if (how === 'aborted') void run.abort();
          if (how === 'drained') void run.drain();
          const error = await within(
            run.then(
              () => undefined,
              (reason: unknown) => reason,
            ),
          );
          if (thrown) throw thrown;
          assert.ok(looks > 10, `${looks} looks`);
          assert.equal((error as Error | undefined)?.message, how === 'failed' ? 'input' : undefined);
          const report = run.report();
          assert.equal(report.leftOver, report.left.length, how);
          if (how !== 'aborted') assert.equal(report.leftOver, 0, `${how}: ${name}`);
          const [first] = report.stages;
          if (report.stages.length > 1) assert.equal(first?.in, report.itemsIn, how);
          await advance(10);
          assert.deepEqual(run.report().stages, report.stages, 'counted after the end');
        }
      });
    },
    sabotage: [
      without(
        POOL,
        "    if (!job.more || job.outcome === 'out') this.meter.out++;\n    else this.meter[job.outcome]++;",
      ),
      without('operators/batch.ts', '    this.meter.out += size;'),
      without('operators/boundedQueue.ts', '    this.meter.out++;'),
      without('operators/filterOr.ts', '      meter.rejected++;'),
      without('operators/route.ts', '    this.meter.rejected++;'),
      without('src/demand/FanStage.ts', '    this.meter.out++;'),
      without('operators/dedupe.ts', '        meter.dropped++;'),
      without('operators/rateLimit.ts', '    this.meter.out++;'),
      without(STAGE, 'this.run?.left.push({ stage: this.name, value });'),
      without('src/work/StoreStage.ts', '    this.meter[outcome]++;'),
    ],
  },
];
