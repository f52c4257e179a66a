import {
  map,
  merge,
  of,
  pipe,
  Subject,
  take,
  tap,
  timer,
  type Observable,
  type OperatorFunction,
} from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  batch,
  boundedQueue,
  broadcast,
  Concurrency,
  dedupe,
  delays,
  filterOr,
  fromPull,
  fromPush,
  poolMap,
  rateLimit,
  runFlow,
  storeTo,
  withHedge,
  withRetry,
  withTimeout,
  type FlowRun,
  type Work,
} from 'sluice';
import { Endless, settle, sleep } from './settling.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** What a report must say, however the run was stopped. */
function expectBalanced(run: FlowRun): void {
  const { stages, left, leftOver } = run.report();
  for (const { in: came, out, rejected, dropped, dead, held } of stages) {
    expect(came).toBe(out + rejected + dropped + dead + held);
    expect(held).toBeGreaterThanOrEqual(0);
  }
  expect(left).toHaveLength(leftOver);
}

describe('drain from inside', () => {
  it.each([
    ['synchronous work', (value: number) => of(value)],
    ['work that is a promise', async (value: number) => value],
  ])('%s finishes that item and those inside', async (_kind, work) => {
    const source = new Endless();
    const run: FlowRun = runFlow(
      fromPull(source).pipe(
        boundedQueue({ capacity: 2 }),
        poolMap(
          (value) => {
            if (value === 3) void Promise.resolve().then(() => run.drain());
            return work(value);
          },
          { concurrency: 1 },
        ),
        poolMap(async (value) => value, { concurrency: 1 }),
      ),
    );
    await settle(10);
    const report = await run;
    expect(report).toMatchObject({ end: 'drained', leftOver: 0, left: [] });
    expect(report.delivered).toBe(source.pulled);
    expect(report.delivered).toBeLessThan(12);
    expect(source.closed).toBe(true);
  });

  it('a predicate, a map below, a dead letter or a sink ends the run in order', async () => {
    for (const where of ['predicate', 'map', 'letter', 'sink', 'source']) {
      const drainIn = (here: string, value: number): void => {
        if (here === where && value === 4) void run.drain();
      };
      let pulled = 0;
      const run: FlowRun = runFlow(
        fromPull(function* () {
          for (;;) {
            drainIn('source', pulled);
            yield pulled++;
          }
        }).pipe(
          filterOr((value) => {
            drainIn('predicate', value);
            return true;
          }),
          poolMap(async (value) => (value === 4 ? Promise.reject(new Error('4')) : value), {
            concurrency: 2,
            onFailure: ({ value }) => {
              drainIn('letter', value);
            },
          }),
          map((value) => {
            drainIn('map', value + 1);
            return value;
          }),
          storeTo(
            async (items) => {
              for (const value of items) drainIn('sink', value + 1);
            },
            { maxItems: 2, maxWaitMs: 1 },
          ),
        ),
      );
      await settle(20);
      const report = await run;
      expect([where, report.end, report.leftOver]).toEqual([where, 'drained', 0]);
      expect(report.delivered + report.dead).toBe(pulled);
      expectBalanced(run);
    }
  });
});

describe('abort from inside', () => {
  it.each(['work', 'predicate', 'map', 'batch', 'sink'])(
    '%s leaves nothing unaccounted for',
    async (where) => {
      const abortIn = (here: string, value: number): void => {
        if (here === where && value === 4) void run.abort();
      };
      const run: FlowRun = runFlow(
        fromPull(new Endless()).pipe(
          map((value) => value),
          filterOr(
            async (value) => {
              abortIn('predicate', value);
              return value % 3 !== 0;
            },
            { concurrency: 2 },
          ),
          poolMap(
            async (value) => {
              await Promise.resolve();
              abortIn('work', value);
              return value;
            },
            { concurrency: 2 },
          ),
          map((value) => {
            abortIn('map', value);
            return value;
          }),
          batch({ maxItems: 2 }),
          map((values) => {
            for (const value of values) abortIn('batch', value);
            return values;
          }),
          storeTo(
            async (batches) => {
              for (const value of batches.flat()) abortIn('sink', value);
            },
            { maxItems: 1 },
          ),
        ),
      );
      await settle(50);
      expect((await run).end).toBe('aborted');
      const { stages } = run.report();
      for (const { in: came, out, rejected, held } of stages) expect(came).toBe(out + rejected + held);
    },
  );

  // While its handler runs, a failed item stands in no list of the pool: nobody hands it back.
  it('a dead-letter handler leaves its item in the list of what was left', async () => {
    const run: FlowRun = runFlow(
      fromPull([1, 2]).pipe(
        poolMap(() => Promise.reject(new Error('x')), {
          concurrency: 1,
          onFailure: () => {
            void run.abort();
          },
        }),
      ),
    );
    await settle(5);
    expect((await run).end).toBe('aborted');
    expectBalanced(run);
  });
});

describe('abort from inside work', () => {
  it.each([
    ['plain', (work: Work<number, Observable<number>>) => work],
    ['withRetry', (work: Work<number, Observable<number>>) => withRetry(work, delays([1]))],
    ['withTimeout', (work: Work<number, Observable<number>>) => withTimeout(work, { timeoutMs: 100 })],
  ])('leaves its Observable alone, %s', async (_name, wrapped) => {
    const work = vi.fn(() => {
      void run.abort();
      return timer(1_000);
    });
    const run: FlowRun = runFlow(fromPush(timer(1)).pipe(poolMap(wrapped(work), { concurrency: 1 })));
    await settle(5);
    expect(await run).toMatchObject({ end: 'aborted' });
    expect(work).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['withTimeout', (work: Work<number, Promise<number>>) => withTimeout(work, { timeoutMs: 100 })],
    [
      'withHedge',
      (work: Work<number, Promise<number>>) => withHedge(work, { afterPercentile: 50, maxExtraShare: 1 }),
    ],
  ])('leaves no timer behind, %s', async (_name, wrapped) => {
    let calls = 0;
    const work = (value: number): Promise<number> => {
      calls++;
      if (value < 30) return sleep(1).then(() => value); // so that it knows how long an attempt takes
      void run.abort();
      return new Promise(() => undefined);
    };
    const run: FlowRun = runFlow(
      fromPull(Array(100).keys()).pipe(poolMap(wrapped(work), { concurrency: 1 })),
    );
    await settle(60);
    expect(await run).toMatchObject({ end: 'aborted', delivered: 30 });
    expect(calls).toBe(31);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('abort from inside what holds nothing', () => {
  it.each([
    ['a predicate', (stop: () => void) => filterOr<number>(() => stopped(stop))],
    ['a key', (stop: () => void) => dedupe<number>({ by: () => stopped(stop), withinMs: 1, maxKeys: 1 })],
  ])('%s leaves its item in the list once', async (_kind, operator) => {
    const run: FlowRun = runFlow(
      fromPush(timer(1).pipe(map(() => 1))).pipe(operator(() => void run.abort())),
    );
    await settle(5);
    expect(await run).toMatchObject({ end: 'aborted', left: [{ value: 1 }], leftOver: 1 });
  });

  it.each([
    ['a synchronous input', (stop: () => void) => stoppingNow(stop)],
    ['an asynchronous one', (stop: () => void) => stoppingLater(stop)],
  ])('%s hands back the item that it gives then', async (_kind, input) => {
    const settled: unknown[] = [];
    const run: FlowRun = runFlow(
      fromPull(() => input(() => void run.abort()), {
        onSettled: ({ value, failure }) => settled.push([value, failure === undefined]),
      }).pipe(poolMap(async (value) => value, { concurrency: 1 })),
    );
    await settle(5);
    expect(await run).toMatchObject({ end: 'aborted', left: [{ value: 2 }] });
    expect(settled).toEqual([
      [1, true],
      [2, false],
    ]);
  });
});

function stopped(stop: () => void): true {
  stop();
  return true;
}

function* stoppingNow(stop: () => void): Generator<number> {
  yield 1;
  stop();
  yield 2;
}

async function* stoppingLater(stop: () => void): AsyncGenerator<number> {
  yield* stoppingNow(stop);
}

describe('abort while an item is on its way', () => {
  it('below a broadcast settles it once, though another branch has still to take it', async () => {
    const settled: unknown[] = [];
    const takes = (ms: number) =>
      poolMap(
        async (value: number) => {
          await sleep(ms);
          return value;
        },
        { concurrency: 1 },
      );
    const stop = tap((value: number) => {
      if (value === 2) void run.abort();
    });
    const run: FlowRun = runFlow(
      fromPull([1, 2, 3], {
        onSettled: ({ value, failure }) => settled.push([value, failure === undefined]),
      }).pipe(broadcast([takes(10), pipe(stop, takes(5))])),
    );
    await settle(20);
    expect(await run).toMatchObject({ end: 'aborted' });
    expect(settled.toSorted()).toEqual([
      [1, false],
      [2, false],
    ]);
  });

  it('lists one whose results were all delivered where it is, and not above', async () => {
    const workers = new Concurrency(1);
    const run: FlowRun = runFlow(
      fromPull([1, 2, 3]).pipe(
        poolMap((value) => [value], { concurrency: 3, name: 'above' }),
        tap((value) => {
          if (value === 3) void run.abort();
        }),
        poolMap(() => new Promise<number>(() => undefined), { concurrency: workers, name: 'below' }),
      ),
    );
    await settle(1);
    workers.set(3);
    const { left, stages } = await run;
    expect(left.map(({ stage, value }) => `${stage} ${value as number}`).toSorted()).toEqual([
      'below 1',
      'below 2',
      'below 3',
    ]);
    expect(stages.map(({ name, in: came, out, held }) => [name, came, out, held])).toEqual([
      ['above', 3, 3, 0],
      ['below', 2, 0, 2],
    ]);
  });

  it('takes nothing in while stages are left one after the other, whatever is called meanwhile', async () => {
    let calls = 0;
    const workers = new Concurrency(1);
    const onSettled = ({ failure }: { failure: unknown }): void => {
      if (failure === undefined || calls++ > 0) return;
      workers.set(9);
      void run.drain();
    };
    const run: FlowRun = runFlow(
      merge(fromPull(Array(9).keys(), { onSettled }), fromPull(Array(9).keys(), { onSettled })).pipe(
        boundedQueue({ capacity: 2 }),
        poolMap((value) => timer(1 + (value % 2)).pipe(map(() => value)), {
          concurrency: workers,
          maxWaiting: 2,
        }),
        take(3),
      ),
    );
    await settle(20);
    const { itemsIn, delivered, left } = await run;
    expectBalanced(run);
    expect(left).toHaveLength(itemsIn - delivered);
  });
});

describe('drain from inside a callback below a source that cannot wait', () => {
  it.each([
    ['filterOr', (stop: () => void) => filterOr<number>(() => stopped(stop))],
    ['dedupe', (stop: () => void) => dedupe<number>({ by: () => stopped(stop), withinMs: 1, maxKeys: 1 })],
    ['rateLimit', (stop: () => void) => rateLimit<number>({ limit: 1, perMs: 1, by: () => stopped(stop) })],
    ['batch', (stop: () => void) => batch<number>({ maxItems: 2, weigh: () => Number(stopped(stop)) })],
  ])('%s delivers its item, and nothing more', async (_name, operator) => {
    const source = new Subject<number>();
    const run: FlowRun = runFlow(
      fromPush(source).pipe(
        (operator as (stop: () => void) => OperatorFunction<number, unknown>)(() => void run.drain()),
      ),
    );
    source.next(1);
    source.next(2);
    await settle(5);
    expect(await run).toMatchObject({ end: 'drained', delivered: 1, left: [] });
    expect(source.observed).toBe(false);
  });
});

describe('a stage that fails', () => {
  // The failed item is handed back before the stage is closed, and its settlement lets the source pull once more.
  it('pulls nothing more', async () => {
    const source = new Endless();
    const run = runFlow(
      fromPull(source, { onSettled: () => undefined }).pipe(
        poolMap(() => Promise.reject(new Error('fatal')), { concurrency: 1 }),
      ),
    );
    await expect(run).rejects.toThrow('fatal');
    expect(source.pulled).toBe(1);
    expect(run.report().left).toEqual([{ stage: 'poolMap', value: 0 }]);
  });
});

describe('callbacks that make other items ready', () => {
  it('work that ends another item synchronously delivers both, once', async () => {
    const inner = [new Subject<string>(), new Subject<string>(), new Subject<string>()];
    const got: string[] = [];
    const run = runFlow(
      fromPull([0, 1, 2]).pipe(
        poolMap((i) => inner[i]!, { concurrency: 3 }),
        map((value) => {
          got.push(value);
          if (value === 'a') {
            inner[1]!.next('b');
            inner[1]!.complete();
            inner[2]!.next('c');
            inner[2]!.complete();
          }
          return value;
        }),
      ),
    );
    await settle(1);
    inner[0]!.next('a');
    inner[0]!.complete();
    expect(got).toEqual(['a', 'b', 'c']);
    expect(await run).toMatchObject({ delivered: 3, leftOver: 0, end: 'completed' });
  });

  it('a dead-letter handler of an ordered pool that ends another item settles both, once', async () => {
    const inner = [new Subject<string>(), new Subject<string>()];
    const run = runFlow(
      fromPull([0, 1, 2]).pipe(
        poolMap((i) => inner[i] ?? of('last'), {
          concurrency: 2,
          ordered: true,
          onFailure: () => {
            inner[1]!.next('b');
            inner[1]!.complete();
          },
        }),
      ),
    );
    await settle(1);
    inner[0]!.error(new Error('x'));
    await settle(1);
    const [pool] = (await run).stages;
    expect(pool).toMatchObject({ in: 3, out: 2, dead: 1, held: 0 });
    expect((await run).delivered).toBe(2);
  });

  it('offers to a push source from inside work are taken once each', async () => {
    const source = new Subject<number>();
    const got: number[] = [];
    const run = runFlow(
      fromPush(source).pipe(
        boundedQueue({ capacity: 4 }),
        poolMap(
          (value) => {
            if (value < 500) source.next(value + 1);
            else source.complete();
            return of(value);
          },
          { concurrency: 1 },
        ),
        map((value) => got.push(value)),
      ),
    );
    source.next(0);
    await settle(1);
    await run;
    expect(got).toEqual(Array.from({ length: 501 }, (_, i) => i));
  });

  // A stage that is torn down by its own delivery ends its step without `pass`: whoever came into the line meanwhile,
  // because a call towards that Demand was on the stack, is not called again.
  it('a stage that leaves during its own delivery wakes the next in the line', async () => {
    const [a$, b$] = [new Subject<string>(), new Subject<string>()];
    const got: string[] = [];
    const leaving = fromPull([1]).pipe(
      poolMap(() => a$, { concurrency: 1 }),
      take(1),
    );
    const staying = fromPull([1]).pipe(poolMap(() => b$, { concurrency: 1 }));
    merge(leaving, staying)
      .pipe(
        poolMap(
          (value) => {
            if (value === 'a') {
              b$.next('b');
              b$.complete();
            }
            return of(value);
          },
          { concurrency: 1 },
        ),
      )
      .subscribe({ next: (value) => got.push(value), complete: () => got.push('|') });
    a$.next('a');
    await settle(10);
    expect(got).toEqual(['a', 'b', '|']);
  });
});
