import { strict as assert } from 'node:assert';
import { from, type Observable, type Observer } from 'rxjs';
import { endOf, sleep, upTo, type Scenario, type Sluice } from './Scenario.ts';

/** A stream of another library, which calls its observer as it likes. */
function foreign(rule: (observer: Observer<number>) => void): Observable<number> {
  const stream = {
    subscribe(observer: Observer<number>) {
      setTimeout(() => {
        rule(observer);
      }, 1);
      return { unsubscribe: () => undefined };
    },
    [Symbol.observable ?? '@@observable']: () => stream,
  };
  return from(stream as unknown as Observable<number>);
}

/** Three stages and a sink, over any source. */
function chain(lib: Sluice, source: Observable<number>, stored: number[]): Observable<number> {
  return source.pipe(
    lib.boundedQueue({ capacity: 4 }),
    lib.poolMap(
      async (n) => {
        await sleep(2);
        return n;
      },
      { concurrency: 2 },
    ),
    lib.storeTo(async (items) => void stored.push(...items), { maxItems: 2, maxWaitMs: 1 }),
  );
}

const rules: readonly (readonly [string, (observer: Observer<number>) => void, unknown])[] = [
  [
    'emits after its end',
    (observer) => {
      observer.next(1);
      observer.complete();
      observer.next(2);
      observer.error(new Error('late'));
    },
    undefined,
  ],
  [
    'ends twice',
    (observer) => {
      observer.next(1);
      observer.complete();
      observer.complete();
    },
    undefined,
  ],
  [
    'errors twice',
    (observer) => {
      observer.next(1);
      observer.error('first');
      observer.error('second');
      observer.next(3);
    },
    'first',
  ],
];

/** F68: sources that break the rules are contained: one end, no hang. */
export const sources: readonly Scenario[] = [
  ...rules.map(([what, rule, error]): Scenario => ({
    says: `F68: a source that ${what} ends its flow once, and adds nothing`,
    async check(lib) {
      const stored: number[] = [];
      const run = lib.runFlow(chain(lib, foreign(rule), stored));
      const failure = run.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      await endOf(run, 100);
      assert.equal(await failure, error);
      assert.deepEqual(stored, [1]);
    },
    twins: [
      {
        says: 'the end waits for what is not there',
        file: 'operators/boundedQueue.ts',
        find: 'return this.#values.size === 0;',
        replace: 'return false;',
      },
      {
        says: 'what comes after the end is received',
        file: 'src/rx/Inlet.ts',
        find: 'if (this.isStopped) super.next(value);\n    else this.#receiver.receive(value);',
        replace: `this.#receiver.receive(1);\n    this.#receiver.receive(value);`,
      },
    ],
  })),
  {
    says: 'F68: a source that emits above demand is one error, and each item that was accepted is accounted for',
    async check(lib) {
      const stored: number[] = [];
      const flow = chain(lib, from(upTo(20)), stored);
      const run = lib.runFlow(flow);
      const failure = run.then(
        () => 'none',
        (error: unknown) => (error as { code?: string }).code,
      );
      const report = await endOf(run, 100);
      assert.equal(await failure, 'QUEUE_OVERFLOW');
      for (const { in: came, out, held } of report.stages) assert.equal(came, out + held);
      assert.deepEqual(
        [...stored, ...report.left.map(({ value }) => value as number)].sort((a, b) => a - b),
        upTo(stored.length + report.left.length),
      );
      assert.ok(report.stages.every(({ held }) => held <= 7));
    },
    twins: [
      {
        says: 'the queue overflows in silence',
        file: 'operators/boundedQueue.ts',
        find: 'if (demand.held > demand.limit && pushed && !this.dead) this.#overflows();',
        replace: '',
      },
    ],
  },
  {
    says: 'F68: an iterator whose return() throws, rejects or never settles does not keep a run from its end',
    async check(lib) {
      const fates: readonly (() => unknown)[] = [
        () => {
          throw new Error('no');
        },
        () => Promise.reject(new Error('no')),
        () => new Promise(() => undefined),
      ];
      for (const fate of fates) {
        let n = 0;
        const iterator = {
          next: async () => ({ done: false, value: ++n }),
          return: fate,
          [Symbol.asyncIterator]: () => iterator,
        };
        const stored: number[] = [];
        const source = lib.fromPull(() => iterator as unknown as AsyncIterable<number>);
        const run = lib.runFlow(chain(lib, source, stored), { onWarning: () => undefined });
        setTimeout(() => void run.drain(), 10);
        const report = await endOf(run, 1_500);
        assert.equal(report.end, 'drained');
        assert.equal(report.delivered, n);
        assert.equal(report.warnings.length, 1);
      }
    },
    twins: [
      {
        says: 'the end waits for what closes for ever',
        file: 'src/flow/Run.ts',
        find: '  closeWithinMs = 1_000;',
        replace: '  closeWithinMs = 1e9;',
      },
    ],
  },
  {
    says: 'F68: an iterator whose next() never settles is given up at drainTimeoutMs',
    async check(lib) {
      let n = 0;
      const iterator = {
        next: () => (n < 3 ? Promise.resolve({ done: false, value: ++n }) : new Promise(() => undefined)),
        [Symbol.asyncIterator]: () => iterator,
      };
      const stored: number[] = [];
      const source = lib.fromPull(() => iterator as unknown as AsyncIterable<number>);
      const run = lib.runFlow(chain(lib, source, stored), { drainTimeoutMs: 500 });
      setTimeout(() => void run.drain(), 10);
      const report = await endOf(run, 1_510);
      assert.deepEqual([report.delivered, stored, report.left], [3, [1, 2, 3], []]);
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
];
