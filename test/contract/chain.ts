import assert from 'node:assert/strict';
import {
  connect,
  filter,
  map,
  merge,
  Observable,
  share,
  Subject,
  switchMap,
  take,
  type MonoTypeOperatorFunction,
} from 'rxjs';
import { map as foreignMap } from 'rxjs780';
import type { Demand } from '../../src/demand/Demand.ts';
import {
  all,
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

const CHAIN = 'src/rx/chain.ts';

const INLET = 'src/rx/Inlet.ts';

const DEMAND = 'src/demand/Demand.ts';

const OUTLET = 'src/demand/Outlet.ts';

const PULL = 'src/demand/PullSource.ts';

const never = (): Promise<never> => new Promise(() => undefined);

/** Runs a flow to its end; answers what it warned of. */
async function warnings(
  sluice: Kernel,
  flow: Observable<unknown>,
  strict = false,
): Promise<readonly string[]> {
  const report = await within(sluice.runFlow(flow, { strict, onWarning: () => undefined }));
  return report.warnings;
}

/** How a source finds the Demand below, and leaves it. */
export const chainLaws: readonly Law[] = [
  {
    rule: 'D1',
    says: 'a source finds the Demand below through native operators, also those of a second copy of RxJS',
    async check(sluice) {
      const pulled = { count: 0 };
      const foreign = foreignMap((value: number) => value) as never as MonoTypeOperatorFunction<number>;
      const { subscription } = watch(
        sluice
          .fromPull(() => endless(pulled))
          .pipe(foreign, foreign, filter(Boolean), sluice.poolMap(never, { concurrency: 2 })),
      );
      await flush();
      subscription.unsubscribe();
      assert.equal(pulled.count, 2);
    },
    sabotage: [
      without(
        CHAIN,
        'function isLink(candidate: ChainLink | null | undefined): candidate is ChainLink {\n  return',
        "import { Subscriber as Own } from 'rxjs';\nfunction isLink(candidate) {\n  return candidate instanceof Own &&",
      ),
      without(
        CHAIN,
        'return isLink(destination) ? destination : undefined;',
        'return isLink(destination) ? undefined : undefined;',
      ),
    ],
  },
  {
    rule: 'D1',
    says: 'a chain that is cut is told of, once, with what cuts it',
    async check(sluice) {
      const pool = () => sluice.poolMap(takes(1), { concurrency: 20, name: 'workers' });
      const pull = () =>
        sluice.fromPull(async function* () {
          await sleep(1);
          yield* [1, 2, 3];
        });
      const handmade = <T>(source: Observable<T>): Observable<T> =>
        new Observable((subscriber) =>
          source.subscribe({
            next: (value) => {
              subscriber.next(value);
            },
            complete: () => {
              subscriber.complete();
            },
          }),
        );
      const multicast = merge(pull(), pull()).pipe(
        connect((shared) => shared, { connector: () => new Subject() }),
        pool(),
      );
      const subject = await warnings(sluice, multicast);
      assert.equal(subject.length, 1);
      assert.match(subject[0] ?? '', /^workers: fromPull is cut off by a Subject/);
      const plain = await warnings(sluice, pull().pipe(handmade, pool()));
      assert.equal(plain.length, 1);
      assert.match(plain[0] ?? '', /^workers: fromPull is cut off by a plain observer/);
      assert.deepEqual(await warnings(sluice, pull().pipe(map(String), pool())), []);
      // What the input starts by itself, while it is opened or read, is no part of the chain.
      const own = () => void handmade(pull()).subscribe();
      const opened = sluice.fromPull(() => {
        own();
        return [1, 2];
      });
      const read = sluice.fromPull(function* () {
        own();
        yield 1;
      });
      for (const source of [opened, read]) assert.deepEqual(await warnings(sluice, source.pipe(pool())), []);
      // It is a guess from a note, so a warning even under `strict`.
      const { end, warnings: told } = await within(
        sluice.runFlow(pull().pipe(share(), pool()), { strict: true, onWarning: () => undefined }),
      );
      assert.deepEqual([end, told.length], ['completed', 1]);
      // A run says nothing twice; the console of those without one would.
      const { warn } = console;
      const onConsole: unknown[] = [];
      console.warn = (message) => onConsole.push(message);
      try {
        await all(multicast);
      } finally {
        console.warn = warn;
      }
      assert.equal(onConsole.length, 1);
    },
    sabotage: [
      without(PULL, 'complainOfCut(this.#name, cutBy);'),
      without(PULL, 'aside(() => openPull(this.#input, this.#name))', 'openPull(this.#input, this.#name)'),
      without(PULL, '    aside(() => {\n      this.#step();\n    });', '    this.#step();'),
      without(
        DEMAND,
        '  const noted = subscribing;\n  subscribing = undefined;',
        '  const noted = subscribing;',
      ),
      without(DEMAND, '    if (this.#complained.has(kind)) return;\n'),
      without(DEMAND, "kind !== 'cut'", 'true'),
      without(CHAIN, "observer && 'observers' in observer ?", '!observer ?'),
    ],
  },
  {
    rule: 'D1',
    says: 'link keeps the chain through an operator written by hand',
    async check(sluice) {
      const passOn: MonoTypeOperatorFunction<number> = (source) =>
        new Observable((subscriber) => source.subscribe(sluice.link(subscriber)));
      const pulled = { count: 0 };
      const { subscription } = watch(
        sluice.fromPull(() => endless(pulled)).pipe(passOn, sluice.poolMap(never, { concurrency: 2 })),
      );
      await flush();
      subscription.unsubscribe();
      assert.equal(pulled.count, 2);
    },
    sabotage: [without('src/rx/link.ts', 'super(destination as Subscriber<never>);', 'super();')],
  },
  {
    rule: 'D1',
    says: 'no Demand below is unlimited demand, as in classic RxJS',
    check(sluice) {
      const { values, completed } = watch(sluice.fromPull(upTo(500)));
      assert.deepEqual([values.length, completed], [500, true]);
    },
    sabotage: [without(OUTLET, 'below ?? new Demand(UNLIMITED)', 'below ?? new Demand(0)')],
  },
  {
    rule: 'D2',
    says: 'an operator above a stage that completes or errors stops an endless source',
    async check(sluice) {
      const pulled = { count: 0 };
      const source = sluice.fromPull(() => endless(pulled));
      assert.deepEqual(await all(source.pipe(take(2), sluice.poolMap(takes(0), { concurrency: 5 }))), [1, 2]);
      assert.equal(pulled.count, 2);
      pulled.count = 0;
      const failing = map((value: number) => {
        if (value === 3) throw new Error('bad');
        return value;
      });
      const seen = watch(source.pipe(failing, sluice.poolMap(takes(1), { concurrency: 5 })));
      await within(seen.ended);
      assert.deepEqual([seen.values, seen.error], [[1, 2], new Error('bad')]);
      assert.equal(pulled.count, 3);
    },
    sabotage: [
      without(
        INLET,
        'this.#receiver.inputEnded();\n    } finally {\n      this.unsubscribe();',
        'this.#receiver.inputEnded();\n    } finally {',
      ),
      without(
        INLET,
        'this.#receiver.inputFailed(error);\n    } finally {\n      this.unsubscribe();',
        'this.#receiver.inputFailed(error);\n    } finally {',
      ),
    ],
  },
  {
    rule: 'D3',
    says: 'a source that is unsubscribed leaves the Demand and its line',
    async check(sluice) {
      const found: { demand?: Demand } = {};
      const outer = new Subject<number>();
      const { subscription } = watch(
        outer.pipe(
          switchMap(() => sluice.fromPull(() => endless())),
          probe(sluice, found),
          sluice.poolMap(never, { concurrency: 1 }),
        ),
      );
      for (let i = 0; i < 100; i++) outer.next(i);
      const demand = found.demand;
      assert.ok(demand);
      assert.equal(demand.outlets.size, 1);
      outer.complete();
      const [last] = demand.outlets;
      assert.ok(last && demand.firstInLine(last), 'those that have left still wait in the line');
      subscription.unsubscribe();
      assert.equal(demand.outlets.size, 0);
    },
    sabotage: [
      without(OUTLET, '    this.demand.detach(this);\n'),
      without(
        DEMAND,
        'detach(outlet: Outlet<never>): void {\n    this.leaveLine(outlet);',
        'detach(outlet: Outlet<never>): void {',
      ),
    ],
  },
];
