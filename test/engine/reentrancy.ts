import { strict as assert } from 'node:assert';
import { concatMap, tap } from 'rxjs';
import { vi } from 'vitest';
import type { FlowReport, FlowRun } from 'sluice';
import { endOf, sleep, upTo, type Scenario } from './Scenario.ts';

const PLACES = ['source', 'tap', 'predicate', 'work', 'batch', 'sink', 'end'] as const;

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
        find: 'if (!outlet.inner) outlet.stop();',
        replace: '',
      },
      {
        says: 'each call of drain has a promise of its own',
        file: 'src/flow/runFlow.ts',
        find: `      this.#end.demand.drain();
    }
    return this.#promise;`,
        replace: `      this.#end.demand.drain();
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
        find: 'this.#deadline = after(this.#drainTimeoutMs, () => void this.abort());',
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
        find: "    refuseAll('the flow was drained');\n    close({});",
        replace: "    refuseAll('the flow was drained');",
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
        find: 'const cancel = this.slot?.demand.whenDraining(stop);',
        replace: 'const cancel = undefined as (() => void) | undefined;',
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
