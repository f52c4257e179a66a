import assert from 'node:assert/strict';
import { map, merge, NEVER, of, Subject, take, tap, zip } from 'rxjs';
import type { Demand } from '../../src/demand/Demand.ts';
import { StackMeter } from '../../src/testing/laws/StackMeter.ts';
import {
  advance,
  all,
  endless,
  flush,
  gate,
  probe,
  takes,
  upTo,
  watch,
  within,
  without,
  type Gate,
  type Law,
} from './law.ts';

const DEMAND = 'src/demand/Demand.ts';

const OUTLET = 'src/demand/Outlet.ts';

const STAGE = 'src/demand/Stage.ts';

const PULL = 'src/demand/PullSource.ts';

const POOL = 'src/work/PoolStage.ts';

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

/** Who may emit, and when. */
export const waitingLaws: readonly Law[] = [
  {
    rule: 'D4',
    says: 'what throws when a source or stage is resumed is an error of its own stream',
    async check(sluice) {
      const pool = () => sluice.poolMap(takes(1), { concurrency: 1 });
      const breaks = function* () {
        yield* [1, 2, 3];
        throw new Error('iterator');
      };
      const late = watch(sluice.fromPull(breaks).pipe(pool()));
      await within(late.ended);
      assert.deepEqual([late.values, late.error], [[1, 2, 3], new Error('iterator')]);
      const work = (value: number) => {
        if (value === 3) throw new Error('work');
        return takes(1)(value);
      };
      const thrown = watch(sluice.fromPull(upTo(4)).pipe(sluice.poolMap(work, { concurrency: 1 })));
      await within(thrown.ended);
      assert.deepEqual([thrown.values, thrown.error], [[1, 2], new Error('work')]);
    },
    sabotage: [
      without(PULL, '      this.#pullEnded();\n      this.fail(error);', '      this.#pullEnded();'),
      without(POOL, '      this.failed(job, error);\n    }\n    if (outer', '    }\n    if (outer'),
    ],
  },
  {
    rule: 'D4',
    says: 'the stack is as deep with 200 sources or stages waiting as with one',
    async check(sluice) {
      const depth = new StackMeter();
      const blocked = gate();
      const queue = sluice.boundedQueue<number>({ capacity: 2 });
      const sources = upTo(200).map((i) => {
        const source = sluice.fromPull([i, -i]);
        return (i % 2 === 0 ? source : source.pipe(queue)).pipe(tap(depth.look));
      });
      const seen = watch(
        merge(...sources).pipe(
          sluice.batch({ maxItems: 100 }),
          sluice.poolMap((values: number[]) => blocked.promise.then(() => values.length), { concurrency: 1 }),
        ),
      );
      const above = depth.growth;
      blocked.open();
      await within(seen.ended);
      assert.deepEqual(seen.values, [100, 100, 100, 100]);
      assert.ok(depth.growth - above < 20, `the stack grew by ${depth.growth - above} frames`);
    },
    sabotage: [without(DEMAND, 'if (this.#pumping || ', 'if (')],
  },
  {
    rule: 'D4',
    says: 'the stack is as deep when a line of work ends at once as when one does',
    async check(sluice) {
      const depth = new StackMeter();
      const blocked = gate<number>();
      let started = 0;
      const work = (value: number) => {
        if (started++ === 0) return blocked.promise;
        depth.look();
        throw new Error(`no ${value}`);
      };
      const seen = watch(
        sluice
          .fromPull(upTo(300))
          .pipe(sluice.poolMap(work, { concurrency: 1, maxWaiting: 299, ordered: true, onFailure: 'drop' })),
      );
      blocked.open(1);
      await within(seen.ended);
      assert.deepEqual([seen.values, started], [[1], 300]);
      assert.ok(depth.growth < 20, `the stack grew by ${depth.growth} frames`);
    },
    sabotage: [without(POOL, 'if (this.#starting) return;')],
  },
  {
    rule: 'D4',
    says: 'one whose turn it is makes progress although others wait',
    async check(sluice) {
      const real = performance.now.bind(performance);
      let busy = 0;
      performance.now = () => real() + busy++; // so that a loop without progress gives way
      const seen = watch(
        merge(sluice.fromPull([1, 2]), sluice.fromPull([3, 4]), sluice.fromPull([5, 6])).pipe(
          sluice.poolMap(takes(1), { concurrency: 1 }),
        ),
      );
      try {
        await within(seen.ended);
        assert.equal(seen.values.length, 6);
      } finally {
        seen.subscription.unsubscribe(); // a loop without progress would go on
        performance.now = real;
      }
    },
    sabotage: [without(OUTLET, '(myTurn || this.#mayGoFirst())', 'this.#mayGoFirst()')],
  },
  {
    rule: 'D5',
    says: 'a source emits only while there is room, and holds one pulled item at most',
    async check(sluice) {
      for (const asynchronous of [false, true]) {
        const found: { demand?: Demand } = {};
        const pulled = { count: 0 };
        const arrived: boolean[] = []; // whether there was room

        const jobs = byHand<number>();
        const input = async function* () {
          yield* endless(pulled);
        };
        const { subscription } = watch(
          (asynchronous
            ? merge(sluice.fromPull(input), sluice.fromPull(input).pipe(map((value) => -value)))
            : sluice.fromPull(() => endless(pulled))
          ).pipe(
            tap(() => arrived.push((found.demand?.held ?? 0) < 2)),
            probe(sluice, found),
            sluice.poolMap(jobs.work, { concurrency: 2 }),
          ),
        );
        for (const done of [1, 2, 3]) {
          await flush();
          assert.equal(jobs.started.length, done + 1);
          assert.ok(
            pulled.count <= jobs.started.length + (asynchronous ? 2 : 0),
            `${pulled.count} pulled, ${jobs.started.length} accepted`,
          );
          await jobs.finish(jobs.started[done - 1] ?? 0);
        }
        assert.deepEqual([...new Set(arrived)], [true]);
        subscription.unsubscribe();
      }
    },
    sabotage: [
      without(OUTLET, 'if (demand.open && (', 'if (('),
      without(PULL, 'if (!out.ready()) return;\n      const', 'const'),
    ],
  },
  {
    rule: 'D5',
    says: 'sources that wait for one stage take turns, one item each',
    async check(sluice) {
      const pull = (letter: string) => sluice.fromPull(() => endless()).pipe(map(() => letter));
      const batches = await all(
        merge(pull('a'), pull('b'), pull('c')).pipe(
          sluice.batch({ maxItems: 6 }),
          sluice.poolMap(takes(1), { concurrency: 1 }),
          take(5),
        ),
      );
      for (const letters of batches.slice(-2)) assert.equal([...letters].sort().join(''), 'aabbcc');
    },
    sabotage: [without(OUTLET, 'if (!demand.firstInLine(this)) return false;')],
  },
  {
    rule: 'D5',
    says: 'a source whose items a native operator holds gives way to the others, while subscribing and later',
    async check(sluice) {
      const pulled = [{ count: 0 }, { count: 0 }];
      const sources = pulled.map((count) => sluice.fromPull(() => endless(count)));
      const values = await all(zip(sources).pipe(sluice.poolMap(takes(1), { concurrency: 2 }), take(5)));
      assert.equal(values.length, 5);
      for (const { count } of pulled) assert.ok(count < 20, `${count} items were pulled for five`);
    },
    sabotage: [
      without(OUTLET, 'return !(demand.subscribing &&', 'return !(false && demand.subscribing &&'),
      without(OUTLET, 'if (!demand.firstInLine(this)) return false;'),
    ],
  },
  {
    rule: 'D6',
    says: 'a stage is closed while an item is on its way to it: delivery is never re-entered',
    async check(sluice) {
      const works = new Map([1, 2, 3].map((value) => [value, new Subject<number>()]));
      const found: { demand?: Demand } = {};
      const held: number[] = [];
      const finish = (value: number): void => {
        works.get(value)?.next(value);
        works.get(value)?.complete();
      };
      const pool = (value: number) =>
        sluice.fromPull([value]).pipe(sluice.poolMap((item) => works.get(item) ?? NEVER, { concurrency: 1 }));
      const last = (value: number) => {
        held.push(found.demand?.held ?? 0);
        return takes(1)(value);
      };
      const seen = watch(
        merge(pool(1), pool(2), pool(3)).pipe(
          tap((value) => {
            if (value === 1) for (const other of [2, 3]) finish(other);
          }),
          probe(sluice, found),
          sluice.poolMap(last, { concurrency: 1 }),
        ),
      );
      finish(1);
      await within(seen.ended);
      assert.deepEqual(seen.values, [1, 2, 3]);
      assert.deepEqual(held, [1, 1, 1]);
    },
    sabotage: [
      without(
        DEMAND,
        'return this.held < this.limit && this.emitting === 0;',
        'return this.held < this.limit;',
      ),
    ],
  },
  {
    rule: 'D6',
    says: 'nothing is started, emitted or called back once those below have left',
    async check(sluice) {
      const started: number[] = [];
      const work = async (value: number) => {
        started.push(value);
        return takes(1)(value);
      };
      const pool = sluice.poolMap(work, { concurrency: 1, maxWaiting: 5 });
      assert.deepEqual(await all(sluice.fromPull(() => endless()).pipe(pool, take(1))), [1]);
      await advance(10);
      assert.deepEqual(started, [1]);
    },
    sabotage: [
      without(
        STAGE,
        '      this.dead = this.inputDone = true;\n      this.demand.close();\n      this.demand.end(reason);\n      this.abandon(reason, false);\n',
      ),
    ],
  },
  {
    rule: 'D6',
    says: 'a finished result keeps its slot until the stage below takes it',
    async check(sluice) {
      const found: { demand?: Demand } = {};
      const started: number[] = [];
      const quick = (value: number) => {
        started.push(value);
        return value % 2 === 0 ? takes(1)(value) : of(value);
      };
      for (const ordered of [false, true]) {
        started.length = 0;
        const slow = byHand<number>();
        const { subscription } = watch(
          sluice
            .fromPull(() => endless())
            .pipe(
              sluice.poolMap(quick, { concurrency: 2, maxWaiting: 1, ordered }),
              probe(sluice, found),
              sluice.poolMap(slow.work, { concurrency: 1 }),
            ),
        );
        for (const done of [1, 2, 3]) {
          await advance(5);
          assert.equal(found.demand?.held, 1);
          // Unordered: two workers. Ordered: results that are early have left their worker, and count against the limit.
          const inside = started.length - slow.started.length;
          assert.ok(inside <= (ordered ? 3 : 2), `${inside} were started and not delivered`);
          await slow.finish(slow.started[done - 1] ?? 0);
        }
        subscription.unsubscribe();
      }
    },
    sabotage: [
      without(
        POOL,
        '    if (this.#ordered) {\n      this.#vacate(job);\n      this.#refill();\n    } else {',
        '    this.#vacate(job);\n    this.#refill();\n    if (!this.#ordered) {',
      ),
      without(
        POOL,
        'if (!this.out.ready()) return false;\n      queue.take();\n      this.#emit(job, job.result as R);',
        'queue.take();\n      this.#emit(job, job.result as R);',
      ),
      without(
        POOL,
        'if (!this.out.ready()) return false;\n      if (!this.#ordered) queue.take();',
        'if (!this.#ordered) queue.take();',
      ),
    ],
  },
];
