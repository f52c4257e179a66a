import assert from 'node:assert/strict';
import {
  BehaviorSubject,
  concatMap,
  defer,
  lastValueFrom,
  map,
  merge,
  NEVER,
  repeat,
  Subject,
  take,
  tap,
  toArray,
  type Observable,
} from 'rxjs';
import {
  advance,
  all,
  codeOf,
  endless,
  flush,
  gate,
  sleep,
  takes,
  upTo,
  watch,
  within,
  without,
  type Gate,
  type Law,
} from './law.ts';

const CHAIN = 'src/rx/chain.ts';

const DEMAND = 'src/demand/Demand.ts';

const OUTLET = 'src/demand/Outlet.ts';

const STAGE = 'src/demand/Stage.ts';

const PULL = 'src/demand/PullSource.ts';

const PULL_INPUT = 'src/demand/pullInput.ts';

/** Work that goes on until the test says so. */
function byHand<T>(): {
  readonly work: (value: T) => Promise<T>;
  readonly started: T[];
  finish(value: T): Promise<void>;
} {
  const gates = new Map<T, Gate<T>>();
  const started: T[] = [];
  return {
    started,
    work(value) {
      const entry = gate<T>();
      gates.set(value, entry);
      started.push(value);
      return entry.promise;
    },
    async finish(value) {
      gates.get(value)?.open(value);
      await flush();
    },
  };
}

const never = (): Promise<never> => new Promise(() => undefined);

/** Sources, draining, work and the run. */
export const endingLaws: readonly Law[] = [
  {
    rule: 'S2',
    says: 'leaving calls return() of the iterator at once, waiting or not, and aborts the signal',
    async check(sluice) {
      let returned = 0;
      const waiting: AsyncIterator<number> = {
        next: () => new Promise(() => undefined),
        return: () => {
          returned++;
          return Promise.resolve({ done: true, value: undefined });
        },
      };
      let signal: AbortSignal | undefined;
      const pending = watch(
        sluice.fromPull((given) => {
          signal = given;
          return { [Symbol.asyncIterator]: () => waiting };
        }),
      );
      await flush();
      pending.subscription.unsubscribe();
      assert.deepEqual([returned, signal?.aborted], [1, true]);
      let closed = 0;
      const idle = watch(
        sluice
          .fromPull(function* () {
            try {
              yield* endless();
            } finally {
              closed++;
            }
          })
          .pipe(sluice.poolMap(never, { concurrency: 1 })),
      );
      idle.subscription.unsubscribe();
      assert.equal(closed, 1);
    },
    sabotage: [
      without(PULL, '    this.#close();\n    this.#out.detach(reason);', '    this.#out.detach(reason);'),
      without(PULL_INPUT, "controller?.abort(new DOMException('The source was closed', 'AbortError'));"),
    ],
  },
  {
    rule: 'S3',
    says: 'a one-shot input fails a second subscription; a factory does not',
    async check(sluice) {
      const inputs = [endless(undefined, 3), new ReadableStream({ start: (stream) => stream.close() })];
      for (const input of inputs) {
        const source = sluice.fromPull<number>(input as never);
        await all(source);
        const again = watch(source);
        await within(again.ended);
        assert.equal(codeOf(again.error), 'SOURCE_USED');
      }
      const factory = sluice.fromPull(() => upTo(3));
      assert.deepEqual(
        [await all(factory), await all(factory)],
        [
          [1, 2, 3],
          [1, 2, 3],
        ],
      );
      const list = sluice.fromPull([1, 2]);
      assert.deepEqual(
        [await all(list), await all(list)],
        [
          [1, 2],
          [1, 2],
        ],
      );
    },
    sabotage: [
      without(PULL_INPUT, 'if (used.has(input)) throw new SourceUsedError(name);'),
      without(
        PULL_INPUT,
        'if ((iterator as unknown) === input) readOnce(iterator, name);\n  const close = (): undefined',
        'readOnce(input, name);\n  const close = (): undefined',
      ),
    ],
  },
  {
    rule: 'D10',
    says: 'draining completes the sources, and finishes what is inside',
    async check(sluice) {
      const done: number[] = [];
      const pulled = { count: 0 };
      const run = sluice.runFlow(
        sluice
          .fromPull(() => endless(pulled))
          .pipe(
            sluice.poolMap(takes(3), { concurrency: 2 }),
            sluice.boundedQueue({ capacity: 3 }),
            sluice.poolMap(takes(9), { concurrency: 1 }),
            tap((value) => done.push(value)),
          ),
      );
      await advance(20);
      const before = pulled.count;
      const report = await within(run.drain());
      assert.equal(pulled.count, before, 'it went on pulling');
      assert.deepEqual([report.end, report.leftOver, report.left], ['drained', 0, []]);
      assert.deepEqual(done, upTo(before));
    },
    sabotage: [
      without(
        DEMAND,
        'if (!outlet.inner) outlet.emitter.stop();',
        'if (outlet.inner) outlet.emitter.stop();',
      ),
      without(STAGE, '  stop(): void {\n    this.demand.drain();', '  stop(): void {'),
    ],
  },
  {
    rule: 'D10',
    says: 'a source that is subscribed again while draining completes without pulling, then parks',
    async check(sluice) {
      for (const kind of ['alone', 'below a stage', 'made anew each time'] as const) {
        const pulled = { count: 0 };
        let subscriptions = 0;
        const make = (): Observable<number> => sluice.fromPull(() => endless(pulled, 2));
        const same = make();
        const source = defer(() => {
          if (subscriptions++ > 500) throw new Error('subscribed 500 times');
          return kind === 'made anew each time' ? make() : same;
        });
        const pool = sluice.poolMap((value: number) => takes(1)(value), { concurrency: 1, name: 'repeated' });
        const repeated = (kind === 'below a stage' ? source.pipe(pool) : source).pipe(repeat());
        const run = sluice.runFlow(repeated.pipe(sluice.poolMap(takes(2), { concurrency: 1 })));
        await advance(21);
        const before = [pulled.count, subscriptions] as const;
        const report = await within(run.drain());
        assert.equal(report.end, 'drained');
        assert.deepEqual(report.left, []);
        assert.ok(pulled.count <= before[0] + 1);
        if (kind !== 'made anew each time') assert.ok(subscriptions <= before[1] + 3, `${subscriptions}`);
      }
    },
    sabotage: [
      without(DEMAND, '!this.#completedOnce.has(source) && ', ''),
      without(DEMAND, 'this.#completions++;\n', ''),
      without(DEMAND, '    this.#parked++;\n', ''),
      without(
        STAGE,
        'if (below.draining && !inner && !below.completesUnderDrain(this.meter.identity, this.out)) return;',
        '',
      ),
      without(PULL, 'if (draining && !(', 'if (!demand && !('),
    ],
  },
  {
    rule: 'D10',
    says: 'a stage that never had a source that waits leaves its native source when draining begins',
    async check(sluice) {
      const input = new BehaviorSubject(1);
      const run = sluice.runFlow(input.pipe(sluice.poolMap(takes(2), { concurrency: 1 })));
      const report = await within(run.drain());
      assert.deepEqual([report.end, report.delivered, input.observed], ['drained', 1, false]);
    },
    sabotage: [without(DEMAND, 'if (this.#parked > 0 || !this.fed)', 'if (this.#parked > 0)')],
  },
  {
    rule: 'D10',
    says: 'a flow that is to drain before it begins takes nothing in and leaves nothing subscribed',
    async check(sluice) {
      const input = new BehaviorSubject(1);
      const drainSignal = AbortSignal.abort();
      const native = await within(sluice.runFlow(input.pipe(map(String)), { drainSignal }));
      assert.deepEqual([native.end, native.delivered, input.observed], ['drained', 0, false]);
      const pulled = { count: 0 };
      const pull = sluice.fromPull(() => endless(pulled));
      const report = await within(sluice.runFlow(pull, { drainSignal }));
      assert.deepEqual([report.end, pulled.count], ['drained', 0]);
    },
    sabotage: [
      without(
        'src/flow/runFlow.ts',
        'if (this.#stopped === undefined) this.#run.connect(flow);',
        "if (this.#stopped !== 'aborted') this.#run.connect(flow);",
      ),
    ],
  },
  {
    rule: 'D11',
    says: 'an item that is pulled, or being pulled, when draining begins is delivered',
    async check(sluice) {
      for (const inHand of [true, false]) {
        const pulls: Gate<IteratorResult<number, undefined>>[] = [];
        const input = {
          [Symbol.asyncIterator]: () => ({
            next() {
              const pull = gate<IteratorResult<number, undefined>>();
              pulls.push(pull);
              return pull.promise;
            },
          }),
        };
        const push = new Subject<number>();
        const jobs = byHand<number>();
        const done: number[] = [];
        const run = sluice.runFlow(
          merge(sluice.fromPull(input), push).pipe(
            sluice.poolMap(jobs.work, { concurrency: 1 }),
            tap((value) => done.push(value)),
          ),
          { onWarning: () => undefined },
        );
        assert.equal(pulls.length, 1);
        push.next(0); // takes the place for which the item is being pulled
        if (inHand) pulls[0]?.open({ done: false, value: 1 });
        await flush();
        void run.drain();
        push.complete();
        if (!inHand) pulls[0]?.open({ done: false, value: 1 });
        await flush();
        await jobs.finish(0);
        await jobs.finish(1);
        const report = await within(run);
        assert.deepEqual(done, [0, 1]);
        assert.deepEqual([report.itemsIn, pulls.length], [1, 1]);
      }
    },
    sabotage: [
      without(
        PULL,
        'else if (!this.#inHand && !this.#running) this.#finish();',
        'else if (!this.#running) this.#finish();',
      ),
      without(PULL, 'if (this.#pulling) this.#close();\n    else if', 'if'),
    ],
  },
  {
    rule: 'D11',
    says: 'an item that is pulled when the flow is aborted is listed in the report',
    async check(sluice) {
      const push = new Subject<number>();
      const input = async function* () {
        await sleep(1);
        yield 1;
      };
      const run = sluice.runFlow(
        merge(sluice.fromPull(input, { name: 'numbers' }), push).pipe(
          sluice.poolMap(never, { concurrency: 1, name: 'workers' }),
        ),
        { onWarning: () => undefined },
      );
      push.next(0);
      await advance(2);
      const report = await within(run.abort());
      assert.deepEqual(
        report.left.toSorted((a, b) => Number(a.value) - Number(b.value)),
        [
          { stage: 'workers', value: 0 },
          { stage: 'numbers', value: 1 },
        ],
      );
    },
    sabotage: [without(PULL, 'if (item && reason) this.#giveBack(item.value, reason);')],
  },
  {
    rule: 'D12',
    says: 'draining does not reach sources that work on an accepted item: in pool work, in native inners, in their ends',
    async check(sluice) {
      const pages = (value: string) => sluice.fromPull(() => upTo(6)).pipe(map((page) => `${value}.${page}`));
      const middles = {
        work: sluice.poolMap(pages, { concurrency: 1 }),
        stages: concatMap((value: string) => pages(value).pipe(sluice.poolMap(takes(1), { concurrency: 1 }))),
        concatMap: concatMap(pages),
        twice: concatMap((value: string) => merge(pages(value), NEVER).pipe(take(6))),
      };
      for (const [name, middle] of Object.entries(middles)) {
        const done: string[] = [];
        const run = sluice.runFlow(
          sluice.fromPull(['a', 'b', 'c']).pipe(
            middle,
            sluice.poolMap(takes(2), { concurrency: 1 }),
            tap((value) => done.push(value)),
          ),
          { onWarning: () => undefined },
        );
        await advance(5);
        await within(run.drain());
        const begun = new Set(done.map((value) => value.slice(0, 1)));
        assert.ok(begun.size > 0);
        assert.equal(done.length, begun.size * 6, `${name}: ${done.join(' ')}`);
        if (name !== 'work') assert.equal(begun.size, 3, `${name}: what concatMap held was left out`);
      }
    },
    sabotage: [
      without(OUTLET, 'if (emitter !== this) demand.emitter = this;'),
      without(OUTLET, '\n    demand.emitter = this;', '\n    demand.emitter = undefined;'),
      without(
        STAGE,
        'this.demand.draining = below.draining && !this.out.inner;',
        'this.demand.draining = below.draining;',
      ),
      without(
        'src/rx/InnerInlet.ts',
        'this.#demand ??= new Demand(1)',
        'this.#demand ??= Object.assign(new Demand(1), { draining: true })',
      ),
    ],
  },
  {
    rule: 'Work',
    says: 'sources inside work wait for the pool to deliver their results',
    async check(sluice) {
      const pulled = { count: 0 };
      const { subscription } = watch(
        sluice.fromPull([1]).pipe(
          sluice.poolMap(() => sluice.fromPull(() => endless(pulled)), { concurrency: 1 }),
          sluice.poolMap(never, { concurrency: 1 }),
        ),
      );
      await flush();
      subscription.unsubscribe();
      assert.ok(pulled.count <= 3, `${pulled.count} results were pulled`);
    },
    sabotage: [without('src/rx/InnerInlet.ts', 'if (this.#demand) this.#demand.held++;')],
  },
  {
    rule: 'Work',
    says: 'a flow that work runs by itself sees neither the outer Demand nor the outer draining',
    async check(sluice) {
      const work = (value: number) =>
        lastValueFrom(
          sluice.fromPull(() => upTo(20)).pipe(sluice.poolMap(takes(1), { concurrency: 1 }), toArray()),
        ).then((all) => [value, all.length]);
      const done: unknown[] = [];
      const run = sluice.runFlow(
        sluice.fromPull([1, 2]).pipe(
          sluice.poolMap(work, { concurrency: 1 }),
          tap((value) => done.push(value)),
        ),
      );
      await advance(3);
      const report = await within(run.drain());
      assert.deepEqual(done, [[1, 20]]);
      assert.equal(report.itemsIn, 1);
    },
    sabotage: [
      without(
        CHAIN,
        'if (link[DEMAND]) return link[DEMAND];\n  }\n  return undefined;',
        'if (link[DEMAND]) return (globalThis.lastDemand = link[DEMAND]);\n  }\n  return globalThis.lastDemand;',
      ),
    ],
  },
  {
    rule: 'Run',
    says: 'a stage finds its run down the chain: two runs at once do not mix',
    async check(sluice) {
      const flow = (name: string, count: number) =>
        sluice.fromPull(upTo(count)).pipe(map(String), sluice.poolMap(takes(1), { concurrency: 2, name }));
      const runs = [sluice.runFlow(flow('one', 3)), sluice.runFlow(flow('two', 5))];
      const reports = await Promise.all(runs.map((run) => within(run)));
      assert.deepEqual(
        reports.map(({ itemsIn, stages }) => [itemsIn, ...stages.map((stage) => [stage.name, stage.in])]),
        [
          [3, ['one', 3]],
          [5, ['two', 5]],
        ],
      );
    },
    sabotage: [without(STAGE, 'this.run = below.owner?.run;', 'this.run = undefined;')],
  },
];
