import { strict as assert } from 'node:assert';
import { concatMap, tap } from 'rxjs';
import { vi } from 'vitest';
import type { FlowReport, FlowRun } from 'sluice';
import { endOf, sleep, upTo, type Scenario } from './Scenario.ts';

const PLACES = ['source', 'tap', 'predicate', 'work', 'batch', 'sink', 'end'] as const;
const POOL_PLACES = ['source', 'key', 'work', 'letter', 'result', 'hook'] as const;

/** F77: the pipeline is told to stop, or offered to, from inside; and what stopping promises. */
export const reentrancy: readonly Scenario[] = [
  {
    says: 'F77: drain() from inside a source, a tap, a predicate, work, a batch, a sink or the end does not deadlock',
    async check(lib) {
      for (const place of PLACES) {
        const asked: Promise<FlowReport>[] = [];
        const at = (here: string, n: number): void => {
          if (here === place && n === 7) for (let i = 0; i < 3; i++) asked.push(run.drain());
        };
        let pulled = 0;
        const settled: number[] = [];
        const stored: number[] = [];
        const source = lib.fromPull(
          function* () {
            for (;;) {
              at('source', ++pulled);
              yield pulled;
            }
          },
          {
            onSettled: ({ value, failure }) => {
              if (failure === undefined) settled.push(value);
            },
          },
        );
        const run: FlowRun = lib.runFlow(
          source.pipe(
            tap((n) => {
              at('tap', n);
            }),
            lib.boundedQueue({ capacity: 3 }),
            lib.filterOr((n) => {
              at('predicate', n);
              return n % 5 !== 0;
            }),
            lib.poolMap(
              async (n) => {
                at('work', n);
                await sleep(n % 3);
                return n;
              },
              { concurrency: 2 },
            ),
            lib.batch({ maxItems: 3 }),
            concatMap((items) => {
              for (const n of items) at('batch', n);
              return items;
            }),
            lib.storeTo(
              async (items) => {
                for (const n of items) at('sink', n);
                stored.push(...items);
              },
              { maxItems: 2, maxWaitMs: 1 },
            ),
            tap((n) => {
              at('end', n);
            }),
          ),
          { drainTimeoutMs: 5_000 },
        );
        const report = await endOf(run, 1_000);
        assert.equal(report.end, 'drained', place);
        assert.deepEqual(report.left, [], place);
        assert.equal(report.delivered + report.rejected, pulled, place);
        assert.equal(settled.length, pulled, place);
        assert.equal(stored.length, report.delivered, place);
        assert.equal(asked.length, 3);
        assert.equal(new Set([...asked, run.drain()]).size, 1);
        assert.equal(vi.getTimerCount(), 0, place);
      }
    },
    twins: [
      {
        says: 'draining does not reach the source',
        file: 'src/demand/Demand.ts',
        find: 'if (!outlet.inner) outlet.emitter.stop();',
        replace: '',
      },
      {
        says: 'each call of drain has a promise of its own',
        file: 'src/flow/runFlow.ts',
        find: `        this.#run.demand.drain();
      }
    }
    return this.#promise;`,
        replace: `        this.#run.demand.drain();
      }
    }
    return this.#promise.then();`,
      },
    ],
  },
  {
    says: 'F77: work that waits for the end of its own run is given up at drainTimeoutMs, and is what is left',
    async check(lib) {
      const run: FlowRun = lib.runFlow(
        lib.fromPull(upTo(50)).pipe(
          lib.poolMap(
            async (n) => {
              if (n === 5) await run.drain();
              await sleep(1);
              return n;
            },
            { concurrency: 2 },
          ),
        ),
        { drainTimeoutMs: 300 },
      );
      const { end, left, itemsIn, delivered } = await endOf(run, 1_350);
      assert.equal(end, 'aborted');
      assert.deepEqual(
        left.map(({ value }) => value),
        [5],
      );
      assert.equal(itemsIn, delivered + 1);
    },
    twins: [
      {
        says: 'draining has no time limit',
        file: 'src/flow/runFlow.ts',
        find: 'this.#deadline ??= after(this.#drainTimeoutMs, () => void this.#drainedTooLong());',
        replace: '',
      },
    ],
  },
  {
    says: 'F77: offers from inside work of the same flow are taken, once each, and refused once it drains',
    async check(lib) {
      const box = lib.intake<number>({ capacity: 4 });
      const refused: number[] = [];
      const seen: number[] = [];
      const run = lib.runFlow(
        box.items$.pipe(
          lib.poolMap(
            async (n) => {
              seen.push(n);
              // Not awaited: an offer that waits for its own slot would wait for itself.
              if (n < 100) box.offer(n * 10).catch(() => refused.push(n * 10));
              if (n < 10) box.offer(n * 10 + 1).catch(() => refused.push(n * 10 + 1));
              await sleep(1);
              return n;
            },
            { concurrency: 2 },
          ),
        ),
      );
      await box.offer(1);
      await box.offer(2);
      await vi.advanceTimersByTimeAsync(50);
      const wanted = [1, 2, 10, 11, 20, 21, 100, 110, 200, 210];
      assert.deepEqual(
        [...seen].sort((a, b) => a - b),
        wanted,
      );
      const drained = run.drain();
      const late = box.offer(3).then(
        () => 'taken',
        () => 'refused',
      );
      const report = await endOf(run, 1_000);
      assert.equal(await late, 'refused');
      assert.deepEqual([report.end, report.delivered, refused], ['drained', wanted.length, []]);
      assert.equal(await drained, await run);
    },
    twins: [
      {
        says: 'a place that is free again is told to nobody',
        file: 'src/work/PoolStage.ts',
        find: 'this.demand.release();',
        replace: 'this.demand.held--;',
      },
      {
        says: 'draining does not close the intake',
        file: 'src/demand/intake.ts',
        find: "close({ refusal: refuseAll('the flow was drained') });",
        replace: "refuseAll('the flow was drained');",
      },
    ],
  },
  {
    says: 'F77: an offer that waits for the slot of its own caller waits until draining refuses it, and then the run ends',
    async check(lib) {
      const box = lib.intake<number>({ capacity: 1 });
      const seen: string[] = [];
      const pool = lib.poolMap(
        async (n: number) => {
          seen.push(`begins ${n}`);
          for (const more of n < 10 ? [n * 10, n * 10 + 1, n * 10 + 2] : []) {
            await box.offer(more).catch(() => seen.push(`refused ${more}`));
          }
          return n;
        },
        { concurrency: 1 },
      );
      const run = lib.runFlow(box.items$.pipe(pool));
      void box.offer(1);
      await vi.advanceTimersByTimeAsync(10_000);
      assert.deepEqual(seen, ['begins 1']); // 10 is in the box, and 11 waits for room there
      void run.drain();
      const report = await endOf(run, 1);
      assert.deepEqual([report.end, report.delivered, report.left], ['drained', 2, []]);
      assert.deepEqual(seen, ['begins 1', 'refused 11', 'refused 12', 'begins 10']);
    },
    twins: [
      {
        says: 'draining does not refuse offers that wait',
        file: 'src/demand/intake.ts',
        find: "close({ refusal: refuseAll('the flow was drained') });",
        replace: 'close({});',
      },
    ],
  },
  {
    says: 'F77: work that awaits its own run keeps its slot, the others go on, and draining from outside gives it up',
    async check(lib) {
      const run: FlowRun = lib.runFlow(
        lib.fromPull(upTo(50)).pipe(
          lib.poolMap(
            async (n) => {
              if (n === 5) await run;
              return n;
            },
            { concurrency: 2, name: 'work' },
          ),
        ),
        { drainTimeoutMs: 300 },
      );
      await vi.advanceTimersByTimeAsync(60_000);
      assert.deepEqual([run.report().delivered, run.report().leftOver], [49, 1]);
      void run.drain();
      const { end, left } = await endOf(run, 1_350);
      assert.deepEqual([end, left], ['aborted', [{ stage: 'work', value: 5 }]]);
    },
    twins: [
      {
        says: 'draining has no time limit',
        file: 'src/flow/runFlow.ts',
        find: 'this.#deadline ??= after(this.#drainTimeoutMs, () => void this.#drainedTooLong());',
        replace: '',
      },
    ],
  },
  {
    says: 'F77: Concurrency.set(), offer() and drain() from inside each callback of a pool do not deadlock, and lose nothing',
    async check(lib) {
      for (const place of POOL_PLACES) {
        const box = lib.intake<number>({ capacity: 100 });
        const workers = new lib.Concurrency(2);
        const refused: number[] = [];
        const settled: number[] = [];
        let calls = 0;
        let offered = 40;
        let run: FlowRun | undefined = undefined as FlowRun | undefined;
        const at = (here: string): void => {
          if (here !== place) return;
          workers.set(++calls % 2 === 0 ? 1 : 64);
          workers.set(1 + (calls % 5));
          const more = ++offered;
          if (more <= 60) box.offer(more).catch(() => refused.push(more));
          if (calls === 30) void run?.drain();
        };
        const source = box.items$.pipe(
          tap(() => {
            at('source');
          }),
        );
        const pool = lib.poolMap(
          (n: number, { signal }) => {
            at('work');
            signal.throwIfAborted();
            if (n % 4 === 0) throw new Error('no');
            return n % 4 === 1 ? [n] : sleep(n % 3).then(() => n);
          },
          {
            concurrency: workers,
            maxWaiting: 8,
            by: (n) => {
              at('key');
              return n % 10;
            },
            onFailure: async ({ value }) => {
              at('letter');
              await sleep(1);
              settled.push(value);
            },
          },
        );
        const end = tap((n: number) => {
          at('result');
          settled.push(n);
        });
        run = lib.runFlow(source.pipe(pool, end), {
          drainTimeoutMs: 5_000,
          debug: () => {
            at('hook');
          },
        });
        for (const n of upTo(40)) box.offer(n).catch(() => refused.push(n));
        await vi.advanceTimersByTimeAsync(200);
        box.end();
        const report = await endOf(run, 1_000);
        assert.ok(['completed', 'drained'].includes(report.end), `${place}: ${report.end}`);
        assert.ok(calls >= 10, `${place}: called ${calls} times`);
        assert.deepEqual([report.leftOver, report.left], [0, []], place);
        const all = [...settled, ...refused].sort((a, b) => a - b);
        assert.deepEqual(all, upTo(Math.min(offered, 60)), place);
        assert.equal(vi.getTimerCount(), 0, place);
      }
    },
    twins: [
      {
        says: 'a pool whose limit is set hears of nothing else',
        file: 'src/work/PoolStage.ts',
        find: '    this.#startNext();\n    this.demand.resize(concurrency',
        replace: '    this.#starting = true;\n    this.demand.resize(concurrency',
      },
    ],
  },
  {
    says: 'drain() sends partial batches at once, ends waits between retries, and finishes the rest',
    async check(lib) {
      const storedAt: number[] = [];
      const letters: { readonly value: number; readonly attempts: number; readonly stage: string }[] = [];
      const startedAt = Date.now();
      const box = lib.intake<number>({ capacity: 10 });
      const tried = lib.withRetry(
        async (n: number) => (n === 3 ? Promise.reject(new Error('busy')) : n),
        lib.delays([60_000]),
      );
      const run = lib.runFlow(
        box.items$.pipe(
          lib.poolMap(tried, { concurrency: 4, onFailure: (letter) => letters.push(letter), name: 'try' }),
          lib.batch({ maxItems: 100, maxWaitMs: 60_000 }),
          concatMap((items) => items),
          lib.storeTo(
            async (items) => {
              storedAt.push(...items.map(() => Date.now() - startedAt));
            },
            { maxItems: 100, maxWaitMs: 60_000 },
          ),
        ),
      );
      for (const n of upTo(5)) await box.offer(n);
      await vi.advanceTimersByTimeAsync(20);
      assert.deepEqual(storedAt, []);
      void run.drain();
      const report = await endOf(run, 0);
      assert.deepEqual(storedAt, [20, 20, 20, 20]);
      assert.deepEqual(
        letters.map(({ value, attempts, stage }) => [value, attempts, stage]),
        [[3, 1, 'try']],
      );
      assert.deepEqual([report.end, report.delivered, report.dead, report.leftOver], ['drained', 4, 1, 0]);
      assert.equal(vi.getTimerCount(), 0);
    },
    twins: [
      {
        says: 'draining does not end the wait of an item',
        file: 'src/work/ItemContext.ts',
        find: 'const forgetDraining = this.slot?.demand.whenDraining(stop);',
        replace: 'const forgetDraining = undefined as (() => void) | undefined;',
      },
      {
        says: 'nothing leaves before it is full',
        file: 'operators/batch.ts',
        find: 'this.#due = this.#values.length;',
        replace: 'this.#due = 0;',
      },
    ],
  },
  {
    says: 'abort() lists each item, by the stage that holds it, be it waiting, at work, gathered, or in the hand of the source',
    async check(lib) {
      let pulled = 0;
      const stuck = (): Promise<never> => new Promise(() => undefined);
      async function* source(): AsyncGenerator<number> {
        for (;;) yield ++pulled;
      }
      const run = lib.runFlow(
        lib.fromPull(source, { name: 'source' }).pipe(
          lib.boundedQueue({ capacity: 2, name: 'queue' }),
          lib.filterOr(async (n) => (n < 12 ? true : stuck()), { concurrency: 2, name: 'filter' }),
          lib.poolMap(async (n) => (n < 8 ? n : stuck()), { concurrency: 2, maxWaiting: 1, name: 'pool' }),
          lib.batch({ maxItems: 3, name: 'batch' }),
          concatMap((items) => items),
          lib.storeTo(stuck, { maxItems: 2, maxWaitMs: 5, name: 'store' }),
        ),
      );
      await vi.advanceTimersByTimeAsync(100);
      void run.abort();
      void run.abort();
      const { end, left, leftOver, stages } = await endOf(run, 1_000);
      assert.equal(end, 'aborted');
      const listed = left.map(({ value }) => value).flat() as number[];
      assert.deepEqual(
        [...listed].sort((a, b) => a - b),
        upTo(pulled),
      );
      const names = new Set(left.map(({ stage }) => stage));
      for (const name of ['queue', 'filter', 'pool', 'batch', 'store'])
        assert.ok(names.has(name), [...names].join());
      assert.equal(
        stages.reduce((sum, { held }) => sum + held, 0),
        leftOver,
      );
    },
    twins: [
      {
        says: 'the queue keeps what it holds to itself',
        file: 'operators/boundedQueue.ts',
        find: 'if (keepFinished) return; // what is in the queue was accepted, and there is no work to abort',
        replace: 'if (!keepFinished) return;',
      },
      {
        says: 'what is left is not listed',
        file: 'src/flow/runFlow.ts',
        find: 'left: [...this.#run.left],',
        replace: 'left: [],',
      },
    ],
  },
];
