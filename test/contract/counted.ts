import assert from 'node:assert/strict';
import {
  debounceTime,
  delay,
  filter,
  groupBy,
  interval,
  merge,
  mergeMap,
  type Observable,
  of,
  Subject,
  take,
  tap,
} from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import type { Demand } from '../../src/demand/Demand.ts';
import {
  codeOf,
  endless,
  failure,
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

const DEMAND = 'src/demand/Demand.ts';

const OUTLET = 'src/demand/Outlet.ts';

const STAGE = 'src/demand/Stage.ts';

const PUSH = 'src/demand/fromPush.ts';
/** The pool of workers. */
const POOL = 'src/work/PoolStage.ts';

/** Runs a flow to its end; answers what it warned of. */
async function warnings(
  sluice: Kernel,
  flow: Observable<unknown>,
  strict = false,
): Promise<readonly string[]> {
  const report = await within(sluice.runFlow(flow, { strict, onWarning: () => undefined }));
  return report.warnings;
}

/** What is counted and told, and how loops yield. */
export const countedLaws: readonly Law[] = [
  {
    rule: 'D7',
    says: 'items that nobody asked for are counted, and told of once, with the name of the stage',
    async check(sluice) {
      const pool = () => sluice.poolMap(takes(5), { concurrency: 1, name: 'workers' });
      const report = await within(
        sluice.runFlow(interval(1).pipe(take(6), pool()), { onWarning: () => undefined }),
      );
      assert.ok((report.stages[0]?.overruns ?? 0) >= 4);
      assert.equal(report.warnings.length, 1);
      assert.match(
        report.warnings[0] ?? '',
        /^workers: .*although 1 is held, with no source that can wait above/,
      );
      const mixed = merge(
        sluice.fromPull(() => endless()),
        interval(1),
      ).pipe(pool(), take(6));
      const [warning, ...others] = await warnings(sluice, mixed);
      assert.match(warning ?? '', /with a source that waits above/);
      assert.deepEqual(others, []);
      const strict = failure(sluice.runFlow(interval(1).pipe(pool()), { strict: true }));
      assert.equal(codeOf(await strict), 'OVERRUN');
    },
    sabotage: [
      without(STAGE, '    this.meter.overruns++;\n'),
      without(STAGE, 'if (demand.held >= demand.limit) this.overrun();', ''),
      without(
        STAGE,
        "demand.fed ? 'a source that waits' : 'no source that can wait'",
        "'no source that can wait'",
      ),
      without(STAGE, '    if (fatal && this.runBelow?.strict) this.fail(error);\n    else if', '    if'),
    ],
  },
  {
    rule: 'D7',
    says: 'a synchronous 1→n operator may exceed the bound by n − 1, silently; what is in groups is told of',
    async check(sluice) {
      const most = { held: 0 };
      const found: { demand?: Demand } = {};
      const work = async (value: number) => {
        most.held = Math.max(most.held, found.demand?.held ?? 0);
        return takes(1)(value);
      };
      const flow = sluice.fromPull(upTo(6)).pipe(
        mergeMap((value) => of(value, value, value)),
        probe(sluice, found),
        sluice.poolMap(work, { concurrency: 2 }),
      );
      assert.deepEqual(await warnings(sluice, flow), []);
      assert.ok(most.held <= 4, `${most.held} were held`);
      const groups = sluice.fromPull(upTo(9)).pipe(
        groupBy((value) => value % 2),
        mergeMap((group) => group.pipe(sluice.poolMap(takes(1), { concurrency: 1, name: 'in a group' }))),
      );
      const told = await warnings(sluice, groups);
      assert.ok(
        told.some((warning) => warning.startsWith('in a group: items arrive although 1 is held')),
        told.join(),
      );
    },
    sabotage: [
      without(
        STAGE,
        'if (demand.pushed || demand.declared || demand.emitting > 0) return;',
        'if (demand.pushed || demand.emitting === 0) return;',
      ),
    ],
  },
  {
    rule: 'D8',
    says: 'a long run of items that do not arrive is told of once, with the operators between; a short one is not',
    async check(sluice) {
      const pool = () => sluice.poolMap((value) => of(value), { concurrency: 2, name: 'workers' });
      const few = sluice.fromPull(upTo(2_000)).pipe(
        filter((value) => value % 900 === 0),
        pool(),
      );
      assert.deepEqual(await warnings(sluice, few), []);
      const many = () => sluice.fromPull(upTo(2_500)).pipe(filter((value) => value === 2_500));
      const [warning, ...others] = await warnings(sluice, many().pipe(pool()));
      assert.match(warning ?? '', /^workers: \d+ items in a row did not arrive/);
      assert.match(warning ?? '', /between them: filter/);
      assert.deepEqual(others, []);
      const strict = failure(sluice.runFlow(many().pipe(pool()), { strict: true }));
      assert.equal(codeOf(await strict), 'UNCLAIMED');
      const wide = many().pipe(sluice.poolMap((value) => of(value), { concurrency: 300 }));
      assert.deepEqual(await warnings(sluice, wide), [], 'the row may be ten times the limit');
    },
    sabotage: [
      without(
        OUTLET,
        'if (demand.claims === claims && demand.owner !== undefined) this.#unclaimed(value);',
        '',
      ),
      without(OUTLET, 'if (demand.claims !== this.#claimsAtRow) this.#row = 0;', ''),
      without(OUTLET, 'Math.max(UNCLAIMED_ROW, 10 * demand.limit)', 'UNCLAIMED_ROW'),
      without(
        OUTLET,
        'a native operator drops or holds them${this.#between()}',
        'a native operator drops or holds them',
      ),
    ],
  },
  {
    rule: 'D8',
    says: 'what an operator of ours drops, or a stage is declared to hold, is not unclaimed',
    async check(sluice) {
      const many = () => sluice.fromPull(upTo(2_500));
      const none = (value: number) => value === 2_500;
      const pool = () => sluice.poolMap((value) => of(value), { concurrency: 2 });
      assert.deepEqual(await warnings(sluice, many().pipe(sluice.drops(filter(none)), pool()), true), []);
      assert.deepEqual(await warnings(sluice, many().pipe(sluice.filterOr(none), pool()), true), []);
      assert.deepEqual(
        await warnings(sluice, many().pipe(sluice.stage('meant', filter(none)), pool()), true),
        [],
      );
    },
    sabotage: [
      without('operators/drops.ts', 'if (below) below.claims++;', ''),
      without(
        'operators/filterOr.ts',
        'if (below) below.claims++;\n      current.ticket?.drop();',
        'current.ticket?.drop();',
      ),
      without('operators/stage.ts', 'if (below) below.declared = true;', ''),
    ],
  },
  {
    rule: 'D8',
    says: 'items that arrive later than they were emitted are told of, unless at most one is held',
    async check(sluice) {
      const slowly = async function* () {
        for (const value of upTo(30)) {
          await sleep(4);
          yield value;
        }
      };
      const pool = () => sluice.poolMap((value) => of(value), { concurrency: 50, name: 'workers' });
      const held = await warnings(sluice, sluice.fromPull(slowly).pipe(delay(10), pool()));
      assert.equal(held.length, 1);
      assert.match(held[0] ?? '', /^workers: items arrive later than they were emitted/);
      assert.deepEqual(
        await warnings(sluice, sluice.fromPull(slowly).pipe(debounceTime(2), pool()), true),
        [],
      );
      const meant = sluice.fromPull(slowly).pipe(sluice.stage('meant', delay(10)), pool());
      assert.deepEqual(await warnings(sluice, meant, true), []);
      const strict = failure(
        sluice.runFlow(sluice.fromPull(slowly).pipe(delay(10), pool()), { strict: true }),
      );
      assert.equal(codeOf(await strict), 'UNCLAIMED');
    },
    sabotage: [
      without(STAGE, 'if (demand.emitting === 0) this.#fromNowhere();', ''),
      without(
        STAGE,
        'demand.declared || demand.unclaimed - demand.late <= 0',
        'demand.unclaimed - demand.late <= 0',
      ),
      without(STAGE, 'demand.unclaimed - demand.late <= 0', 'demand.unclaimed - demand.late < 0'),
    ],
  },
  {
    rule: 'D8',
    says: 'counts are kept for each Demand: what another flow claims meanwhile does not count',
    async check(sluice) {
      const many = sluice.fromPull(upTo(2_500)).pipe(
        tap(() => {
          watch(sluice.fromPull([1]).pipe(sluice.poolMap((value) => of(value), { concurrency: 1 })));
        }),
        filter((value) => value === 2_500),
        sluice.poolMap((value) => of(value), { concurrency: 2, name: 'workers' }),
      );
      const told = await warnings(sluice, many);
      assert.equal(told.length, 1, told.join('; '));
    },
    sabotage: [
      without(
        DEMAND,
        '  claims = 0;',
        '  static all = 0;\n  get claims() { return Demand.all; }\n  set claims(count) { Demand.all = count; }',
      ),
    ],
  },
  {
    rule: 'D9',
    says: 'a synchronous loop lets the event loop turn',
    async check(sluice) {
      const now = performance.now.bind(performance);
      let [yields, busy] = [0, 0];
      performance.now = () => now() + (busy += 4);
      const restore = watchTurns(() => yields++);
      try {
        const direct = watch(sluice.fromPull(upTo(2_000)));
        assert.ok(direct.values.length < 2_000, 'the source kept the event loop');
        await within(direct.ended);
        assert.equal(direct.values.length, 2_000);
        yields = 0;
        const merged = watch(
          merge(sluice.fromPull(upTo(1_000)), sluice.fromPull(upTo(1_000))).pipe(
            sluice.poolMap((value: number) => of(value), { concurrency: 1 }),
          ),
        );
        await within(merged.ended);
        assert.equal(merged.values.length, 2_000);
        assert.ok(yields > 1, `it yielded ${yields} times`);
      } finally {
        restore();
        performance.now = now;
      }
    },
    sabotage: [without('src/clock.ts', 'return at - this.#since > STRETCH_MS;', 'return false;')],
  },
  {
    rule: 'D9',
    says: 'a long row of results, or of what waits in a line, lets the event loop turn',
    async check({ fromPull, fromPush, poolMap, storeTo }) {
      const now = performance.now.bind(performance);
      let busy = 0;
      performance.now = () => now() + (busy += 4);
      const many = upTo(2_000);
      const work = async (value: number): Promise<number> => value;
      const results = fromPull([1]).pipe(poolMap(() => many, { concurrency: 1 }));
      const burst = fromPush(of(...many));
      const flows = {
        stored: fromPull(many).pipe(storeTo(async () => undefined, { maxItems: 2_000 })),
        results,
        'results that are taken one by one': results.pipe(poolMap(work, { concurrency: 2 })),
        line: burst.pipe(poolMap(work, { concurrency: 2 })),
        'line in order': burst.pipe(poolMap(work, { concurrency: 2, ordered: true })),
      };
      try {
        for (const [kind, flow] of Object.entries(flows)) {
          const perTurn = [0];
          let ended = false;
          const turned = (): void => {
            perTurn.push(0);
            if (!ended) setImmediate(turned);
          };
          const seen = watch(flow, () => perTurn.push(perTurn.pop()! + 1));
          setImmediate(turned);
          await within(seen.ended);
          ended = true;
          assert.deepEqual(seen.values, many, kind);
          const most = Math.max(...perTurn);
          assert.ok(most < 500, `${kind}: ${most} in one turn`);
        }
      } finally {
        performance.now = now;
      }
    },
    sabotage: [
      without(STAGE, ' if (++row > SHORT_ROW && this.pauses()) break;', ';'),
      without(STAGE, '    if (this.#pausing) return true;\n'),
      without(POOL, '      if (outbox.size > SHORT_ROW && this.pauses()) return false;\n'),
      without(POOL, 'size > 0 && !(size > SHORT_ROW && this.pauses())', 'size > 0'),
      without(POOL, '    this.#startNext();\n    super.wake();', '    super.wake();'),
    ],
  },
  {
    rule: 'D9',
    says: 'in virtual time a loop does not yield, however long it takes',
    check(sluice) {
      const now = performance.now.bind(performance);
      let busy = 0;
      performance.now = () => now() + (busy += 50);
      try {
        let frames: number[] = [];
        const scheduler = new TestScheduler(() => undefined);
        scheduler.run(() => {
          const flow = merge(sluice.fromPull(upTo(300)), sluice.fromPull(upTo(300)));
          watch(flow.pipe(sluice.poolMap((value: number) => of(value), { concurrency: 1 })), () => {
            frames.push(scheduler.frame);
          });
          assert.equal(frames.length, 600);
        });
        assert.deepEqual([...new Set(frames)], [0]);
        frames = [];
      } finally {
        performance.now = now;
      }
    },
    sabotage: [
      without('src/clock.ts', 'isReplaced() ? asyncScheduler.now() : performance.now()', 'performance.now()'),
    ],
  },
  {
    rule: 'fromPush',
    says: 'a wrapped push source is counted, not warned of, and completes on drain',
    async check(sluice) {
      const input = new Subject<number>();
      const warned: string[] = [];
      const run = sluice.runFlow(
        sluice.fromPush(input).pipe(
          filter((value) => value !== 2),
          sluice.boundedQueue({ capacity: 2, overflow: 'dropNewest' }),
          sluice.poolMap(takes(5), { concurrency: 1 }),
        ),
        { onWarning: (message) => warned.push(message) },
      );
      for (const value of upTo(5)) input.next(value);
      await flush();
      void run.drain();
      assert.equal(input.observed, false);
      const report = await within(run);
      assert.deepEqual([report.itemsIn, report.dropped, report.delivered, report.end], [5, 1, 3, 'drained']);
      assert.deepEqual(warned, []);
    },
    sabotage: [
      without(PUSH, 'this.#out.demand.pushed = true;'),
      without(PUSH, 'if (run && !this.#out.inner) run.itemsIn++;'),
      without(PUSH, '    else this.#out.complete();'),
      without(PUSH, 'subscriber.add(inlet);'),
    ],
  },
];

/** Calls `told` whenever somebody asks to go on when the event loop has turned; the result ends it. */
function watchTurns(told: () => void): () => void {
  const host = globalThis as { setImmediate?: (run: () => void) => unknown };
  const { setImmediate: immediate } = host;
  if (immediate) {
    host.setImmediate = (run) => {
      told();
      return immediate(run);
    };
    return () => {
      host.setImmediate = immediate;
    };
  }
  const { prototype } = MessagePort;
  const post = Object.getOwnPropertyDescriptor(prototype, 'postMessage')!;
  prototype.postMessage = function (this: MessagePort, message: unknown) {
    told();
    (post.value as (message: unknown) => void).call(this, message);
  };
  return () => {
    Object.defineProperty(prototype, 'postMessage', post);
  };
}
