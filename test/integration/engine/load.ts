import { strict as assert } from 'node:assert';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { defer, of, repeat, type Observable } from 'rxjs';
import type { Scenario } from '../../engine/Scenario.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes in use, after everything that nobody needs is gone. */
async function heap(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  return process.memoryUsage().heapUsed;
}

function* upTo(count: number): Generator<number> {
  for (let n = 1; n <= count; n++) yield n;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const MILLION = 1_000_000;

/** Faults of the engine that need a million items, in real time. */
export const load: readonly Scenario[] = [
  {
    says: 'F70: one AbortSignal for 100,000 items of 5 retries each bears no more listeners than items at work',
    async check(lib) {
      const items = 100_000;
      const concurrency = 2_000;
      const { signal } = new AbortController();
      let listeners = 0;
      let most = 0;
      const { addEventListener, removeEventListener } = signal;
      signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
        most = Math.max(most, ++listeners);
        assert.ok(listeners <= concurrency, `${listeners} listeners`);
        addEventListener.apply(signal, args);
      };
      signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
        listeners--;
        removeEventListener.apply(signal, args);
      };
      const warned: string[] = [];
      const warn = (warning: Error): unknown => warned.push(warning.message);
      process.on('warning', warn);
      let attempts = 0;
      const busy = new Error('busy');
      const tried = lib.withRetry(
        async (n: number, { attempt, signal: own }) => {
          attempts++;
          own.throwIfAborted();
          return attempt <= 5 ? Promise.reject(busy) : n;
        },
        lib.delays([0, 0, 0, 0, 0]),
      );
      // The work brings the signal itself, as a service does that lives longer than any item.
      const work = (n: number): Promise<number> => tried(n, { index: n, worker: 0, attempt: 1, signal });
      const { delivered } = await lib.runFlow(
        lib.fromPull(upTo(items)).pipe(lib.poolMap(work, { concurrency })),
      );
      await turn(); // the process tells of too many listeners in a later turn
      assert.equal(listeners, 0);
      // And with the signal of the run, which every item asks for its own.
      const run = lib.runFlow(
        lib
          .fromPull(upTo(items / 10))
          .pipe(lib.poolMap((n, context) => tried(n, context), { concurrency, name: 'own' })),
        { signal },
      );
      await run;
      await turn();
      process.off('warning', warn);
      assert.equal(delivered, items);
      assert.equal(attempts, 6 * items * 1.1);
      assert.ok(most > concurrency / 2, `${most} at once`); // else it shows nothing
      assert.equal(listeners, 0);
      assert.deepEqual(warned, []);
    },
    twins: [
      {
        says: 'the link to the signal outlives its item',
        file: 'src/work/ItemContext.ts',
        find: "signal?.removeEventListener('abort', abort);",
        replace: '',
      },
    ],
  },
  {
    says: 'a source that is subscribed to again and again holds nothing of the times before',
    async check(lib) {
      const times = 300;
      const opened: WeakRef<object>[] = [];
      const page = (): Observable<number> => {
        const held = { time: opened.length };
        opened.push(new WeakRef(held));
        const input = async function* (): AsyncGenerator<number> {
          await turn();
          yield held.time;
        };
        return lib.fromPull(input, { name: 'page' });
      };
      const pages = defer(page).pipe(repeat({ count: times }));
      let alive = Infinity;
      const work = async (time: number): Promise<void> => {
        if (time < times - 1) return;
        await heap();
        alive = opened.filter((each) => each.deref() !== undefined).length;
      };
      const report = await lib.runFlow(pages.pipe(lib.poolMap(work, { concurrency: 1 })));
      assert.deepEqual(
        report.sources.map(({ name, items }) => [name, items]),
        [['page', times]],
      );
      assert.ok(alive < 10, `${alive} alive`);
    },
    twins: [
      {
        says: 'each keeps what was on the stack when it began, and so the one before',
        file: 'src/demand/Outlet.ts',
        find: 'detach(reason?: unknown): void {\n    this.#subscribedAt = undefined;',
        replace: 'detach(reason?: unknown): void {',
      },
      {
        says: 'they are counted one by one',
        file: 'src/demand/PullSource.ts',
        find: 'this.#run.source(name)',
        replace: 'this.#run.source(`${name} ${Math.random()}`)',
      },
    ],
  },
  {
    says: 'F71: over 1,000,000 items from a fast source to a slow sink memory is flat, and bounds hold',
    async check(lib) {
      const windows: number[] = [];
      let pulled = 0;
      let stored = 0;
      function* source(): Generator<{ readonly id: number; readonly text: string }> {
        for (let id = 1; id <= MILLION; id++) {
          pulled++;
          // Two batches of 500, 8 in the pool, 64 in the queue, one in the hand of the source.
          assert.ok(pulled - stored <= 1_073, `I1: ${pulled - stored} ahead`);
          yield { id, text: `item ${id}` };
        }
      }
      const store = async (items: readonly unknown[]): Promise<void> => {
        await turn();
        stored += items.length;
        if (Math.floor(stored / (MILLION / 10)) > windows.length) windows.push(await heap());
      };
      const report = await lib.runFlow(
        lib.fromPull(source).pipe(
          lib.boundedQueue({ capacity: 64 }),
          lib.poolMap(async (item) => item, { concurrency: 8 }),
          lib.storeTo(store, { maxItems: 500 }),
        ),
      );
      assert.deepEqual([report.delivered, report.leftOver], [MILLION, 0]);
      const last = windows.slice(-8);
      const growth = (last.at(-1)! - last[0]!) / last[0]!;
      assert.ok(last.length === 8 && growth <= 0.01, `the heap grew by ${(growth * 100).toFixed(2)} %`);
    },
    twins: [
      {
        says: 'each stage remembers what it let in',
        file: 'operators/boundedQueue.ts',
        find: '    this.#values.push(value);\n',
        replace:
          '    this.#values.push(value);\n    ((globalThis as { leak?: unknown[] }).leak ??= []).push(value);\n',
      },
      {
        says: 'demand is never closed',
        file: 'src/demand/Demand.ts',
        find: 'return this.held < this.limit && this.emitting === 0;',
        replace: 'return this.emitting === 0;',
      },
    ],
  },
  {
    says: 'F72: a synchronous firehose of 1,000,000 items leaves the event loop a delay of less than 50 ms at the 99th percentile',
    async check(lib) {
      // Between two ticks of a timer: what the machine gives to others meanwhile is no delay of ours, so it is the
      // processor time of this thread that counts.
      const delays: number[] = [];
      let last = process.threadCpuUsage();
      const tick = (): void => {
        const { user, system } = process.threadCpuUsage(last);
        last = process.threadCpuUsage();
        delays.push((user + system) / 1_000);
      };
      const timer = setInterval(tick, 10);
      const run = lib.runFlow(
        lib.fromPull(upTo(MILLION)).pipe(
          lib.boundedQueue({ capacity: 100 }),
          lib.filterOr((n) => n > 0),
          lib.poolMap((n) => of(n), { concurrency: 4 }),
        ),
      );
      const { delivered } = await run;
      clearInterval(timer);
      tick();
      assert.equal(delivered, MILLION);
      delays.sort((a, b) => a - b);
      const p99 = delays[Math.ceil(delays.length * 0.99) - 1]!;
      assert.ok(p99 < 50, `p99 is ${p99.toFixed(1)} ms`);
      const busyMs = delays.reduce((sum, ms) => sum + ms, 0);
      assert.ok(
        delays.length > busyMs / 50,
        `a timer of 10 ms fired ${delays.length} times in ${busyMs.toFixed(0)} ms`,
      );
    },
    twins: [
      {
        says: 'loops never let the event loop turn',
        file: 'src/clock.ts',
        find: 'return at - this.#since > STRETCH_MS;',
        replace: 'return false;',
      },
    ],
  },
  {
    says: 'F75: 1,000,000 distinct keys leave no memory behind, and the last cost what the first did',
    async check(lib) {
      const before = await heap();
      const marks: number[] = [];
      const work = async (n: number): Promise<number> => {
        // Processor time of this thread: what the machine gives to others is no cost of ours.
        if (n % (MILLION / 10) === 0) {
          const { user, system } = process.threadCpuUsage();
          marks.push(user + system);
        }
        return n;
      };
      const flow = lib
        .fromPull(upTo(MILLION))
        .pipe(lib.poolMap(work, { concurrency: 16, maxWaiting: 16, by: (n) => n }));
      const run = lib.runFlow(flow);
      let during = 0;
      const watch = setInterval(() => {
        during = Math.max(during, run.report().stages[0]!.held);
      }, 5);
      const { delivered } = await run;
      clearInterval(watch);
      assert.equal(delivered, MILLION);
      assert.ok(during <= 32, `${during} held`);
      const grown = (await heap()) - before;
      assert.ok(grown < 2_000_000, `${grown} bytes stay`);
      // The first tenth warms up; of the others the cost is compared, in halves.
      const half = (from: number): number => (marks[from + 4]! - marks[from]!) / 4;
      const ratio = half(5) / half(1);
      assert.ok(ratio < 2, `an item of the second half costs ${ratio.toFixed(2)} of one of the first`);
      assert.equal(run.report().delivered, MILLION); // keeps the flow reachable while memory is read
    },
    twins: [
      {
        says: 'keys are never forgotten',
        file: 'src/pool/lines.ts',
        find: 'else this.#keys.delete(key);',
        replace: '((globalThis as { keys?: unknown[] }).keys ??= []).push([key, this.#keys.get(key)]);',
      },
    ],
  },
];
