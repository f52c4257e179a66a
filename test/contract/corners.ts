import assert from 'node:assert/strict';
import {
  bufferCount,
  catchError,
  concat,
  concatMap,
  map,
  mergeMap,
  NEVER,
  retry,
  groupBy,
  Subject,
  type Observable,
  takeUntil,
  tap,
} from 'rxjs';
import type { FlowRun } from '../../src/flow/runFlow.ts';
import {
  acknowledged,
  assertSettledOnce,
  early,
  items,
  lost,
  run,
  settled,
  store,
  type Log,
} from './acknowledged.ts';
import {
  advance,
  endless,
  failure,
  flush,
  sleep,
  takes,
  upTo,
  watch,
  within,
  without,
  type Law,
} from './law.ts';

const DEMAND = 'src/demand/Demand.ts';
const OUTLET = 'src/demand/Outlet.ts';
const PULL = 'src/demand/PullSource.ts';
const INTAKE = 'src/demand/intake.ts';
const STAGE = 'src/demand/Stage.ts';
const POOL = 'src/work/PoolStage.ts';
const RUN = 'src/flow/Run.ts';
const BATCH = 'operators/batch.ts';
const DROPS = 'operators/drops.ts';
const FILTER_OR = 'operators/filterOr.ts';

/** What goes wrong for a reason that nobody gave, or in the middle of a callback. */
export const cornerLaws: readonly Law[] = [
  {
    rule: 'T4',
    says: 'a failure without a reason is a failure: nothing is acknowledged for it',
    async check(sluice) {
      const nothing = (): never => {
        throw undefined;
      };
      const fails = {
        sink: sluice.storeTo<string>(async () => nothing(), { maxItems: 2 }),
        work: sluice.poolMap(async (value: string) => (value === 'i3' ? nothing() : nothing()), {
          concurrency: 2,
        }),
        by: sluice.poolMap(async (value: string) => value, { concurrency: 1, by: nothing }),
      };
      for (const [name, operator] of Object.entries(fails)) {
        const log: Log = [];
        await run(sluice, acknowledged(sluice, log, items(3)).pipe(operator));
        assert.deepEqual(settled(log, 'ack'), [], name);
        assert.ok(settled(log, 'nak').length > 0, name);
      }
      const log: Log = [];
      const broken = function* (): Generator<string> {
        yield* items(3);
        nothing();
      };
      await run(sluice, acknowledged(sluice, log, broken).pipe(bufferCount(10), store(sluice, log)));
      assert.deepEqual(settled(log, 'nak'), items(3));
    },
    sabotage: [
      without(STAGE, 'ticket.release(reasonOf(reason));', 'ticket.release(reason);'),
      without(OUTLET, 'this.handBack(reasonOf(error));', 'this.handBack(error);'),
    ],
  },
  {
    rule: 'T4',
    says: 'an item on which the flow is stopped inside drops(…) is handed back; one that ends the flow by itself is dropped',
    async check(sluice) {
      const log: Log = [];
      const stop = new Subject<void>();
      const stops = tap((value: string) => {
        if (value === 'i2') stop.next();
      });
      await run(
        sluice,
        acknowledged(sluice, log, items(3)).pipe(sluice.drops(stops), takeUntil(stop), store(sluice, log)),
      );
      assert.equal(log.includes('ack i2'), false);
      assert.equal(log.includes('nak i2'), true);
    },
    sabotage: [without(DROPS, ' || (top.closed && !completed)')],
  },
  {
    rule: 'T3',
    says: 'what `rejected` throws on is not rejected: the item is handed back, and listed',
    async check(sluice) {
      const down = new Error('down');
      const rejected = (): never => {
        throw down;
      };
      for (const concurrency of [undefined, 2]) {
        const log: Log = [];
        const filters = concurrency === undefined ? { rejected } : { rejected, concurrency };
        const flow = acknowledged(sluice, log, items(1)).pipe(
          sluice.filterOr(() => false, filters as { concurrency: number }),
        );
        const running = sluice.runFlow(flow);
        assert.equal(await failure(running), down);
        assert.deepEqual(log, ['nak i1']);
        const report = running.report();
        assert.deepEqual([report.rejected, report.leftOver, report.left.length], [0, 1, 1]);
      }
    },
    sabotage: [
      without(
        FILTER_OR,
        '        below?.leave(meter.name, value);\n        throw error;',
        '        throw error;',
      ),
      without(
        POOL,
        '      this.#fail(job, error);\n      return;\n    }\n    this.#done(job);',
        '      this.fail(error);\n    }\n    this.#done(job);',
      ),
    ],
  },
  {
    rule: 'filterOr',
    says: 'a promise of `rejected` that fails is an error of the stream, not one that nobody caught',
    async check(sluice) {
      const rejected = async (): Promise<never> => {
        throw new Error('down');
      };
      const source = concat(sluice.fromPull([1, 2]), NEVER);
      const seen = watch(source.pipe(sluice.filterOr(() => false, { rejected })));
      await within(seen.ended);
      assert.equal((seen.error as Error).message, 'down');
    },
    sabotage: [without('src/work/toldOf.ts', '.catch(failed)', '.catch(() => undefined)')],
  },
  {
    rule: 'D6',
    says: 'an item during whose key or weight the flow is stopped is handed back and listed, and the run ends at once',
    async check(sluice) {
      const stages = (stop: (value: string) => number) => [
        sluice.poolMap(async (value: string) => value, { concurrency: 2, by: stop }),
        sluice.batch<string>({ maxItems: 5, maxWeight: 100, weigh: stop, maxWaitMs: 50_000 }),
      ];
      for (const which of [0, 1] as const) {
        const log: Log = [];
        let running: FlowRun | undefined = undefined as FlowRun | undefined;
        const stop = (value: string): number => {
          if (value === 'i12') void running?.abort();
          return 1;
        };
        const source = async function* (): AsyncGenerator<string> {
          await sleep(1);
          yield* items(30);
        };
        running = sluice.runFlow(
          acknowledged(sluice, log, source).pipe(stages(stop)[which] as ReturnType<typeof store<string>>),
        );
        const report = await within(running, 900);
        assert.equal(settled(log, 'ack').length + settled(log, 'nak').length, report.itemsIn);
        assert.equal(report.left.length, report.leftOver);
      }
    },
    sabotage: [
      without(POOL, 'if (!this.over) return true;', 'if (this.demand) return true;'),
      without(BATCH, 'if (this.over) {', 'if (this.over && value === undefined) {'),
    ],
  },
  {
    rule: 'T7',
    says: 'a source stays at its window only while somebody works: parts that come later, groups and branches let go as well',
    async check(sluice) {
      const parts = async function* (value: string): AsyncGenerator<string> {
        yield `${value}a`;
        await sleep(1);
        yield `${value}b`;
      };
      const flows: Record<string, (log: Log) => Observable<unknown>> = {
        parts: (log: Log) =>
          acknowledged(sluice, log, items(3), 1).pipe(
            sluice.poolMap(parts, { concurrency: 1 }),
            sluice.batch({ maxItems: 10 }),
            store(sluice, log),
          ),
        'taken apart': (log: Log) =>
          acknowledged(sluice, log, items(6), 3).pipe(
            sluice.batch({ maxItems: 10 }),
            sluice.poolMap(async (group: string[]) => group, { concurrency: 1 }),
            mergeMap((group) => group),
            sluice.storeTo<string>(async (all) => void log.push(`store ${all.join()}`), {
              maxItems: 100,
              maxWaitMs: Infinity,
            }),
          ),
        branches: (log: Log) =>
          acknowledged(sluice, log, items(3), 2).pipe(
            groupBy((value) => Number(value.slice(1)) % 2),
            mergeMap((group) => group.pipe(sluice.batch<string>({ maxItems: 10 }))),
            tap((group) => log.push(`store ${group.join()}`)),
          ),
      };
      for (const [name, flow] of Object.entries(flows)) {
        const log: Log = [];
        assert.equal((await run(sluice, flow(log))).end, 'completed', name);
        assertSettledOnce(log, items(name === 'taken apart' ? 6 : 3));
        assert.deepEqual([early(log), lost(log)], [[], []], name);
      }
      const log: Log = [];
      const sizes: number[] = [];
      const grouped = sluice.batch<string>({ maxItems: 3 });
      const counted = tap((group: string[]) => void sizes.push(group.length));
      await run(sluice, acknowledged(sluice, log, items(9), 3).pipe(grouped, counted, store(sluice, log)));
      assert.deepEqual(sizes, [3, 3, 3], 'once the window is open, batches fill again');
    },
    sabotage: [
      without(DEMAND, 'for (const outlet of [...this.outlets]) outlet.emitter.urged?.();', ';'),
      without(STAGE, ' || this.demand.urges > 0 || this.out.demand.urges > 0'),
      without(PULL, 'if (this.#pending < this.#window) this.#urge(-1);', ''),
    ],
  },
  {
    rule: 'D12',
    says: 'a source that takes the place of one that failed is not inner: it is counted, and drains',
    async check(sluice) {
      let failures = 0;
      const failing = map((value: number) => {
        if (value === 5 && failures++ < 1) throw new Error('once');
        return value;
      });
      const flows = {
        retry: sluice.fromPull(() => endless()).pipe(failing, retry()),
        catchError: sluice
          .fromPull(() => endless())
          .pipe(
            failing,
            catchError(() => sluice.fromPull(() => endless())),
          ),
      };
      for (const [name, flow] of Object.entries(flows)) {
        failures = 0;
        const running = sluice.runFlow(flow.pipe(sluice.poolMap(takes(1), { concurrency: 2 })));
        await advance(20);
        const report = await within(running.drain(), 100);
        assert.equal(report.end, 'drained', name);
        assert.equal(report.itemsIn, report.delivered + 1, name); // and the one that was thrown on
      }
    },
    sabotage: [without('src/demand/Place.ts', 'if (!emitter.closed) return', 'return')],
  },
  {
    rule: 'Run',
    says: 'stages inside items are counted as one, however many items there are',
    async check(sluice) {
      const inside = (value: number) =>
        sluice.fromPull([value]).pipe(sluice.poolMap(takes(1), { concurrency: 1, name: 'inside' }));
      const report = await within(sluice.runFlow(sluice.fromPull(upTo(50)).pipe(concatMap(inside))));
      assert.deepEqual(
        report.stages.map(({ name, in: taken, out, held }) => [name, taken, out, held]),
        [['inside', 50, 50, 0]],
      );
    },
    sabotage: [without(RUN, 'if (inner) this.#inner.set(label, meter);')],
  },
  {
    rule: 'Run',
    says: 'an item that was on its way when the run was aborted is listed',
    async check(sluice) {
      let running: FlowRun | undefined = undefined as FlowRun | undefined;
      const source = async function* (): AsyncGenerator<number> {
        await sleep(1);
        yield* upTo(10);
      };
      running = sluice.runFlow(
        sluice.fromPull(source).pipe(
          tap((value) => {
            if (value === 5) void running?.abort();
          }),
          sluice.poolMap(takes(1), { concurrency: 1 }),
        ),
      );
      const report = await within(running);
      assert.equal(report.itemsIn, report.delivered + report.leftOver);
      assert.deepEqual(
        report.left.map(({ value }) => value),
        [5],
      );
    },
    sabotage: [
      without(OUTLET, 'if (this.closed) demand.owner?.run?.lostOnTheWay(demand.owner.name, value);'),
    ],
  },
  {
    rule: 'Run',
    says: 'a debug hook that throws changes nothing, and is told of',
    async check(sluice) {
      const warned: string[] = [];
      const debug = (): never => {
        throw new Error('hook');
      };
      const report = await within(
        sluice.runFlow(sluice.fromPull([1, 2]).pipe(sluice.poolMap(takes(1), { concurrency: 1 })), {
          debug,
          onWarning: (message) => warned.push(message),
        }),
      );
      assert.equal(report.delivered, 2);
      assert.match(warned[0] ?? '', /debug failed: hook/);
    },
    sabotage: [without(RUN, 'debug && this.#harmless(debug)', 'debug')],
  },
  {
    rule: 'D4',
    says: 'raising a limit lets those who wait go on',
    check(sluice) {
      const demand = new sluice.Demand(1);
      demand.held = 1;
      let resumed = 0;
      const waiting = {
        called: () => resumed++,
        queued: false,
        waits: false,
        behind: undefined,
        before: undefined,
      };
      demand.joinLine(waiting as never);
      demand.resize(2);
      assert.equal(resumed, 1);
    },
    sabotage: [without(DEMAND, '    this.limit = limit;\n    this.pump();', '    this.limit = limit;')],
  },
  {
    rule: 'D11',
    says: 'an item that was pulled from an intake when its flow is left stays for the next subscriber',
    async check(sluice) {
      const { items$, offer, end } = sluice.intake<number>({ capacity: 3 });
      const first = sluice.runFlow(items$);
      await flush();
      void offer(1);
      const aborted = first.abort();
      const second = watch(items$);
      void offer(2);
      end();
      await within(second.ended);
      assert.deepEqual(second.values, [1, 2]);
      assert.deepEqual((await within(aborted)).left, []);
    },
    sabotage: [
      without(INTAKE, 'inside.putBack(handing.value as T);'),
      without(INTAKE, 'handing.done = true;'),
    ],
  },
  {
    rule: 'intake',
    says: 'when the run that took from it is over, offers are refused, until the items are subscribed to again',
    async check(sluice) {
      const box = sluice.intake<number>({ capacity: 1 });
      const boom = new Error('boom');
      const running = sluice.runFlow(
        box.items$.pipe(
          sluice.poolMap(
            async () => {
              await sleep(1);
              throw boom;
            },
            { concurrency: 1 },
          ),
        ),
      );
      const offers = upTo(4).map((value) => box.offer(value));
      const refused = Promise.allSettled(offers);
      assert.equal(await failure(running), boom);
      assert.deepEqual(
        (await within(refused)).map(({ status }) => status),
        ['fulfilled', 'fulfilled', 'rejected', 'rejected'],
      );
      assert.match(String(await failure(box.offer(9))), /the flow has failed/);
      const again = watch(box.items$);
      await flush();
      await within(box.offer(10));
      box.end();
      await within(again.ended);
      assert.equal(again.values.at(-1), 10);
    },
    sabotage: [
      without(
        INTAKE,
        "    stopped = refuseAll(failure ? 'the flow has failed' : 'the flow was stopped', failure?.error);",
      ),
      without(INTAKE, '    stopped = undefined;\n'),
      without(
        RUN,
        'for (const tell of this.#whenOver) tell(',
        'for (const tell of [...this.#whenOver].slice(0, 1)) tell(',
      ),
    ],
  },
  {
    rule: 'intake',
    says: 'what is inside is given under drain, also where the items are subscribed to only then',
    async check(sluice) {
      const box = sluice.intake<number>({ capacity: 2 });
      void box.offer(101);
      void box.offer(102);
      const seen: number[] = [];
      const running = sluice.runFlow(
        concat(
          sluice.fromPull(() => endless()),
          box.items$,
        ).pipe(
          sluice.poolMap(takes(1), { concurrency: 1 }),
          tap((value) => seen.push(value)),
        ),
      );
      await advance(3);
      const report = await within(running.drain(), 100);
      assert.equal(report.end, 'drained');
      assert.deepEqual(seen.slice(-2), [101, 102]);
      assert.match(String(await failure(box.offer(3))), /the flow was drained/);
    },
    sabotage: [without(PULL, 'if (draining) this.stop();', 'if (draining) this.#stopping = true;')],
  },
  {
    rule: 'Run',
    says: 'work whose teardown throws gives its slot back, and the run tells of it, once in the same words',
    async check(sluice) {
      const warned: string[] = [];
      const { Observable } = await import('rxjs');
      const work = (value: number) =>
        new Observable<number>((subscriber) => {
          subscriber.next(value);
          setTimeout(() => {
            subscriber.complete();
          }, 1);
          return () => {
            throw new Error('teardown');
          };
        });
      const report = await within(
        sluice.runFlow(sluice.fromPull([1, 2, 3]).pipe(sluice.poolMap(work, { concurrency: 1 })), {
          onWarning: (message) => warned.push(message),
        }),
      );
      assert.deepEqual([report.delivered, warned.length], [3, 1]);
      assert.deepEqual(report.warnings, warned);
    },
    sabotage: [
      without('src/flow/Run.ts', '    if (this.#warnings.has(message)) return;\n'),
      without(
        POOL,
        '      () => {\n        this.#leaveInner(inner);\n',
        '      () => {\n        inner.unsubscribe();\n',
      ),
    ],
  },
  {
    rule: 'Run',
    says: 'a wait that is not a number ends the retries: nothing waits for ever',
    async check(sluice) {
      const work = sluice.withRetry(
        async () => {
          throw new Error('busy');
        },
        sluice.exponential({ initialMs: 1, maxRetries: 3, random: () => NaN }),
      );
      const seen = watch(sluice.fromPull([1]).pipe(sluice.poolMap(work, { concurrency: 1 })));
      await within(seen.ended, 100);
      assert.equal((seen.error as Error).message, 'busy');
    },
    sabotage: [without('src/retry/RetryPolicy.ts', ' || !(wait >= 0)')],
  },
];
