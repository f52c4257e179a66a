import { getEventListeners } from 'node:events';
import {
  bufferTime,
  catchError,
  concatMap,
  concatWith,
  defer,
  endWith,
  filter,
  from,
  groupBy,
  ignoreElements,
  interval,
  map,
  merge,
  mergeMap,
  NEVER,
  Observable,
  of,
  type OperatorFunction,
  pipe,
  repeat,
  retry,
  share,
  take,
  takeUntil,
  tap,
  throwError,
  timer,
} from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  batch,
  boundedQueue,
  delays,
  filterOr,
  fromPull,
  fromPush,
  poolMap,
  rateLimit,
  route,
  runFlow,
  storeTo,
  withRetry,
  type FlowStats,
  type ItemEvent,
  type WorkContext,
} from 'sluice';
import { virtual } from '../operators/virtualTime.ts';
import { Endless, settle, sleep } from './settling.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

/** Work of 10 ms. */
const work = async <T>(value: T): Promise<T> => {
  await sleep(10);
  return value;
};
const pool = poolMap(work<number>, { concurrency: 2 });

describe('a run that completes', () => {
  it('starts at once, and reports what came through', async () => {
    const source = new Endless();
    const run = runFlow(fromPull(source).pipe(take(5), pool));
    expect(source.pulled).toBe(2);
    await settle(100);
    const report = await run;
    expect(report).toMatchObject({
      end: 'completed',
      itemsIn: 5,
      delivered: 5,
      leftOver: 0,
      left: [],
      warnings: [],
      elapsedMs: 30,
    });
    expect(source.closed).toBe(true);
  });

  it('keeps the ledger of each stage, from the source to the end', async () => {
    const run = runFlow(
      fromPull([1, 2, 3, 4, 5, 6]).pipe(
        filterOr((value) => value !== 2),
        poolMap((value: number) => (value === 3 ? Promise.reject(new Error('3')) : work(value)), {
          concurrency: 2,
          onFailure: 'drop',
          name: 'work',
        }),
        poolMap((value) => (value === 4 ? throwError(() => 'x') : of(value, value)), {
          concurrency: 1,
          onFailure: () => undefined,
          name: 'twice',
        }),
        batch({ maxItems: 4 }),
      ),
    );
    await settle(100);
    const { stages, ...report } = await run;
    const ledger = stages.map((s) => [s.name, s.in, s.out, s.emitted, s.rejected, s.dropped, s.dead, s.held]);
    expect(ledger).toEqual([
      ['filterOr', 6, 5, 5, 1, 0, 0, 0],
      ['work', 5, 4, 4, 0, 1, 0, 0],
      ['twice', 4, 3, 6, 0, 0, 1, 0],
      ['batch', 6, 6, 2, 0, 0, 0, 0],
    ]);
    expect(report).toMatchObject({ itemsIn: 6, delivered: 2, rejected: 1, dropped: 1, dead: 1 });
  });

  it('completes at once over an empty flow', async () => {
    expect(await runFlow(fromPull([]))).toMatchObject({ end: 'completed', delivered: 0, stages: [] });
  });

  it('numbers stages of one name, from the source to the end', async () => {
    const run = runFlow(fromPull([1]).pipe(pool, poolMap(work, { concurrency: 1 })));
    await settle(20);
    const { stages } = await run;
    expect(stages.map(({ name, slots }) => [name, slots])).toEqual([
      ['poolMap#1', 2],
      ['poolMap#2', 1],
    ]);
  });

  it.each([
    ['a a a#1', 'a#2 a#3 a#1'],
    ['a#1 a a', 'a#1 a#2 a#3'],
    ['a a#2 a a', 'a#1 a#2 a#3 a#4'],
    ['a#1 a#1 a a', 'a#1#1 a#1#2 a#2 a#3'],
  ])('does not number stages by a name that another has: %s', async (given, told) => {
    const flow = given
      .split(' ')
      .reduce((items, name) => items.pipe(poolMap(work, { concurrency: 1, name })), fromPull([1]));
    const run = runFlow(flow);
    await settle(50);
    expect((await run).stages.map(({ name }) => name).join(' ')).toBe(told);
  });

  it('does not mistake `drain` and `abort` after the end for one', async () => {
    const run = runFlow(fromPull([1]));
    await run;
    await run.drain();
    await run.abort();
    expect(run.report().end).toBe('completed');
  });
});

describe('drain', () => {
  it('takes in no more, finishes what is inside, and closes the source', async () => {
    const source = new Endless();
    const finished: number[] = [];
    const run = runFlow(
      fromPull(source).pipe(
        boundedQueue({ capacity: 3 }),
        pool,
        map((value) => finished.push(value)),
      ),
    );
    await settle(5);
    expect(source.pulled).toBe(5);
    void run.drain();
    expect(source.closed).toBe(true);
    await settle(100);
    expect(await run).toMatchObject({ end: 'drained', delivered: 5, leftOver: 0, left: [] });
    expect(finished).toEqual([0, 1, 2, 3, 4]);
    expect(source.pulled).toBe(5);
  });

  it('flushes partial batches at once', async () => {
    const batches: number[][] = [];
    const run = runFlow(
      fromPull(async function* () {
        yield 1;
        yield 2;
        await new Promise(() => undefined);
      }).pipe(
        batch({ maxItems: 10, maxWaitMs: 60_000 }),
        map((values) => batches.push(values)),
      ),
    );
    await settle(5);
    expect(batches).toEqual([]);
    void run.drain();
    expect(batches).toEqual([[1, 2]]);
    void run.abort();
    await settle(1_000);
    await run;
  });

  it('ends waits between retries as failures', async () => {
    const attempts: number[] = [];
    const failing = withRetry(
      async (_: number, { attempt }: WorkContext) => {
        attempts.push(attempt);
        throw new Error('down');
      },
      delays([60_000]),
    );
    const run = runFlow(fromPull([1]).pipe(poolMap(failing, { concurrency: 1, onFailure: 'drop' })));
    await settle(5);
    void run.drain();
    await settle(0);
    expect(await run).toMatchObject({ dropped: 1, leftOver: 0 });
    expect(attempts).toEqual([1]);
  });

  it('lets an attempt that is at work succeed', async () => {
    const tried = withRetry(work<number>, delays([60_000]));
    const run = runFlow(fromPull(new Endless()).pipe(poolMap(tried, { concurrency: 1 })));
    await settle(5);
    void run.drain();
    await settle(5);
    expect(await run).toMatchObject({ end: 'drained', delivered: 1 });
  });

  it('shares one promise, however often it is called', async () => {
    const run = runFlow(fromPull(new Endless()).pipe(pool));
    await settle(5);
    const [first, second, third] = [run.drain(), run.drain(), run.drain()];
    expect(second).toBe(first);
    expect(third).toBe(first);
    expect(run.abort()).toBe(first);
    await settle(1_000);
    await first;
  });

  it('delivers an item that was pulled before, and waits for its turn', async () => {
    let give: (value: number) => void = () => undefined;
    const got: number[] = [];
    async function* source(): AsyncGenerator<number> {
      yield 1;
      yield await new Promise<number>((resolve) => (give = resolve));
      yield 3;
    }
    const run = runFlow(
      fromPull(source()).pipe(
        pool,
        map((value) => got.push(value)),
      ),
    );
    await settle(5);
    void run.drain();
    give(2);
    await settle(100);
    expect(await run).toMatchObject({ end: 'drained', delivered: 2 });
    expect(got).toEqual([1, 2]);
  });

  it('is asked for by drainSignal, whose listener goes with the run', async () => {
    const controller = new AbortController();
    const remove = vi.spyOn(controller.signal, 'removeEventListener');
    const run = runFlow(fromPull(new Endless()).pipe(pool), { drainSignal: controller.signal });
    await settle(5);
    controller.abort();
    await settle(100);
    expect(await run).toMatchObject({ end: 'drained', leftOver: 0 });
    expect(remove).toHaveBeenCalledTimes(1);
  });

  it('takes nothing in where drainSignal was aborted before', async () => {
    const source = new Endless();
    let subscribed = 0;
    const native = new Observable<number>(() => {
      subscribed++;
      return () => subscribed--;
    });
    const drainSignal = AbortSignal.abort();
    expect(await runFlow(fromPull(source).pipe(pool), { drainSignal })).toMatchObject({ end: 'drained' });
    expect(await runFlow(native, { drainSignal })).toMatchObject({ end: 'drained' });
    expect([source.pulled, subscribed]).toEqual([0, 0]);
  });

  it('unsubscribes from native sources, and goes on as if they had completed', async () => {
    const run = runFlow(fromPush(interval(1)).pipe(boundedQueue({ capacity: 100 }), pool));
    const bare = runFlow(interval(1).pipe(batch({ maxItems: 50 })));
    await settle(20);
    void run.drain();
    void bare.drain();
    await settle(1_000);
    expect((await run).end).toBe('drained');
    expect((await run).delivered).toBe((await run).itemsIn);
    expect(await bare).toMatchObject({ end: 'drained', delivered: 1 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('reaches every source of a merge, a push source among them', async () => {
    const [one, two] = [new Endless(), new Endless()];
    const run = runFlow(merge(fromPull(one), fromPush(interval(30)), fromPull(two)).pipe(pool));
    await settle(50);
    void run.drain();
    await settle(200);
    expect(await run).toMatchObject({ end: 'drained', leftOver: 0 });
    expect([one.closed, two.closed]).toEqual([true, true]);
  });

  it('does not reach sources that work on an accepted item', async () => {
    const inner = (): Observable<string> =>
      fromPull(async function* () {
        for (const part of ['a', 'b', 'c']) {
          await sleep(10);
          yield part;
        }
      });
    const got: string[] = [];
    const run = runFlow(
      fromPull(new Endless()).pipe(
        poolMap(inner, { concurrency: 1 }),
        map((part) => got.push(part)),
      ),
    );
    await settle(5);
    void run.drain();
    await settle(100);
    expect((await run).end).toBe('drained');
    expect(got).toEqual(['a', 'b', 'c']);
  });

  it('aborts at drainTimeoutMs, and lists what was left', async () => {
    const signals: AbortSignal[] = [];
    const run = runFlow(
      fromPull(['a', 'b', 'c']).pipe(
        boundedQueue({ capacity: 5 }),
        poolMap(
          (_value, { signal }) => {
            signals.push(signal);
            return NEVER;
          },
          { concurrency: 1, name: 'stuck' },
        ),
      ),
      { drainTimeoutMs: 500 },
    );
    await settle(5);
    void run.drain();
    await settle(499);
    expect(signals[0]?.aborted).toBe(false);
    await settle(1);
    const report = await run;
    expect(report).toMatchObject({ end: 'aborted', leftOver: 3, delivered: 0, elapsedMs: 505 });
    expect([...report.left].sort((a, b) => (a.value as string).localeCompare(b.value as string))).toEqual([
      { stage: 'stuck', value: 'a' },
      { stage: 'boundedQueue', value: 'b' },
      { stage: 'boundedQueue', value: 'c' },
    ]);
    expect(signals[0]?.aborted).toBe(true);
  });

  it('leaves no timer behind', async () => {
    const run = runFlow(fromPull(new Endless()).pipe(pool));
    await settle(5);
    void run.drain();
    await settle(10);
    await run;
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('abort', () => {
  it('stops at once, and lists what every stage held', async () => {
    const source = new Endless();
    const run = runFlow(fromPull(source).pipe(boundedQueue({ capacity: 2 }), pool));
    await settle(15);
    void run.abort(new Error('enough'));
    expect(source.closed).toBe(true);
    const report = await run;
    expect(report).toMatchObject({ end: 'aborted', delivered: 2, leftOver: 4, itemsIn: 6 });
    expect(report.left.map(({ value }) => value).sort()).toEqual([2, 3, 4, 5]);
  });

  it('comes from `signal`, as in fetch', async () => {
    const controller = new AbortController();
    const run = runFlow(fromPull(new Endless()).pipe(pool), { signal: controller.signal });
    await settle(5);
    controller.abort();
    expect(await run).toMatchObject({ end: 'aborted', leftOver: 2 });
  });

  it('subscribes to nothing where `signal` was aborted before', async () => {
    const source = new Endless();
    const run = runFlow(fromPull(source).pipe(pool), { signal: AbortSignal.abort() });
    expect(await run).toMatchObject({ end: 'aborted', itemsIn: 0 });
    expect(source.pulled).toBe(0);
  });

  it('cuts a drain short', async () => {
    const run = runFlow(fromPull(new Endless()).pipe(poolMap(() => NEVER, { concurrency: 1 })));
    await settle(5);
    void run.drain();
    await settle(5);
    void run.abort();
    expect(await run).toMatchObject({ end: 'aborted', leftOver: 1 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('counts a delivery on the stack as delivered, whatever shape the work has', async () => {
    const shapes: ((value: number) => Promise<number> | Observable<number>)[] = [
      async (value) => value,
      (value) => timer(1).pipe(map(() => value)),
    ];
    for (const shaped of shapes) {
      const run = runFlow(fromPull([1, 2, 3]).pipe(poolMap(shaped, { concurrency: 1 }), take(1)));
      await settle(5);
      expect((await run).stages[0]).toMatchObject({ name: 'poolMap', emitted: 1 });
      expect((await run).delivered).toBe(1);
    }
  });

  it('does not list an item whose result was delivered, though its Observable has not completed', async () => {
    const run = runFlow(
      fromPull([1, 2, 3]).pipe(
        poolMap((value) => of(value), { concurrency: 1 }),
        take(1),
      ),
    );
    expect((await run).left).toEqual([]);
  });
});

describe('the end of a run', () => {
  it('waits for what is closing', async () => {
    let closed = false;
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => undefined),
        return: async () => {
          await sleep(300);
          closed = true;
          return { done: true, value: undefined };
        },
      }),
    };
    const run = runFlow(fromPull(source));
    void run.abort();
    await settle(299);
    const early = await Promise.race([run.then(() => 'ended'), Promise.resolve('runs')]);
    expect([early, closed]).toEqual(['runs', false]);
    await settle(1);
    await run;
    expect(closed).toBe(true);
  });

  it('waits for what is closing where `take` is satisfied, too', async () => {
    let closed = false;
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: 1 }),
        return: async () => {
          await sleep(300);
          closed = true;
          return { done: true, value: undefined };
        },
      }),
    };
    const run = runFlow(fromPull(source).pipe(take(1)));
    await settle(299);
    expect(await Promise.race([run.then(() => 'ended'), Promise.resolve('runs')])).toBe('runs');
    await settle(1);
    expect(await run).toMatchObject({ end: 'completed', delivered: 1 });
    expect(closed).toBe(true);
  });

  it('waits no longer than one second, and says for what', async () => {
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => undefined),
        return: () => new Promise(() => undefined),
      }),
    };
    let ended = false;
    const onWarning = vi.fn();
    const run = runFlow(fromPull(source), { onWarning });
    void run.then(() => (ended = true));
    void run.abort();
    await settle(999);
    expect(ended).toBe(false);
    await settle(1);
    expect(ended).toBe(true);
    expect((await run).warnings).toEqual(['fromPull: it is still closing']);
    expect(onWarning).toHaveBeenCalledExactlyOnceWith('fromPull: it is still closing');
  });

  it('says which hooks have given promises that are pending, each once', async () => {
    const never = (): Promise<never> => new Promise(() => undefined);
    const run = runFlow(
      fromPush(from([1, 2, 3, 4, 5])).pipe(
        boundedQueue({ capacity: 2, overflow: 'dropNewest', onDrop: never, name: 'first' }),
        poolMap(async (value) => value, { concurrency: 1 }),
        filterOr((value) => value > 1, { rejected: never, name: 'second' }),
        filterOr(async (value) => value > 2, { rejected: never, concurrency: 9, name: 'third' }),
        route(() => undefined, { branches: { none: map((value) => value) }, rejected: never }),
      ),
      { onWarning: () => undefined },
    );
    let ended = false;
    void run.then(() => (ended = true));
    await settle(999);
    expect(ended).toBe(false);
    await settle(1);
    expect((await run).warnings.toSorted()).toEqual([
      'first: a promise of onDrop is still pending',
      'route: a promise of rejected is still pending',
      'second: a promise of rejected is still pending',
      'third: a promise of rejected is still pending',
    ]);
  });

  /** A flow of one item, whose sink needs that long to close. */
  const closingIn = (ms: number, how: () => void = () => undefined) => {
    const close = async (): Promise<void> => {
      await sleep(ms);
      how();
    };
    return fromPull([1]).pipe(storeTo({ store: async () => undefined, close }));
  };

  it('waits for sinks as long as they take: what was stored may be whole only then', async () => {
    const run = runFlow(
      closingIn(60_000, () => {
        throw new Error('no rename');
      }),
      { onWarning: () => undefined },
    );
    const failed = expect(run).rejects.toThrow('no rename');
    await settle(59_999);
    expect(await Promise.race([run.then(() => 'ended'), Promise.resolve('runs')])).toBe('runs');
    await settle(1);
    await failed;
    expect(run.report().end).toBe('failed');
  });

  it('waits for sinks no longer than draining may take, nor longer than until it is aborted', async () => {
    const onWarning = vi.fn();
    const drainSignal = new AbortController();
    const signal = new AbortController();
    const options = {
      drainTimeoutMs: 5_000,
      drainSignal: drainSignal.signal,
      signal: signal.signal,
      onWarning,
    };
    const drained = runFlow(closingIn(60_000), options);
    const aborted = runFlow(closingIn(60_000), { onWarning, signal: signal.signal });
    const ends: string[] = [];
    void drained.then(() => ends.push('drained'));
    void aborted.then(() => ends.push('aborted'));
    await settle(100);
    drainSignal.abort();
    await settle(4_000);
    signal.abort();
    await settle(1_000);
    expect(ends).toEqual(['drained', 'aborted']);
    expect([(await drained).end, (await aborted).end]).toEqual(['aborted', 'aborted']);
    expect(onWarning.mock.calls.flat()).toEqual(Array(2).fill('storeTo: its sink is still closing'));
    await settle(60_000);
  });

  it('leaves no listener on a signal, even where it is aborted before it begins', async () => {
    const drainSignal = new AbortController().signal;
    await runFlow(fromPull([1]), { signal: AbortSignal.abort(), drainSignal });
    await runFlow(fromPull([1]), { drainSignal });
    expect(getEventListeners(drainSignal, 'abort')).toEqual([]);
  });

  it('warns where closing fails, and ends all the same', async () => {
    const onWarning = vi.fn();
    const source = {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false as const, value: 1 }),
        return: (): never => {
          throw new Error('stuck door');
        },
      }),
    };
    const run = runFlow(fromPull(source, { name: 'door' }).pipe(pool), { onWarning });
    await settle(5);
    void run.drain();
    await settle(50);
    expect((await run).end).toBe('drained');
    expect(onWarning).toHaveBeenCalledExactlyOnceWith('door: closing failed: stuck door');
    expect((await run).warnings).toEqual(['door: closing failed: stuck door']);
  });
});

describe('errors', () => {
  const failing = (atMs: number): ((value: number) => Promise<number>) => {
    return async (value) => {
      await sleep(value === 0 ? atMs : 100);
      if (value === 0) throw boom;
      return value;
    };
  };
  const boom = new Error('boom');

  it('reject with the error itself, and report() still tells', async () => {
    const run = runFlow(fromPull(new Endless()).pipe(poolMap(failing(5), { concurrency: 2 })));
    const seen = expect(run).rejects.toBe(boom);
    await settle(5);
    await seen;
    const report = run.report();
    expect(report.left.map(({ value }) => value).sort()).toEqual([0, 1]);
    expect(report).toMatchObject({ leftOver: 2, delivered: 0, elapsedMs: 5 });
  });

  it("let the stages below finish, under onError 'drain'", async () => {
    const finished: number[] = [];
    const run = runFlow(
      fromPull([1, 2, 0]).pipe(
        poolMap((value) => (value === 0 ? Promise.reject(boom) : Promise.resolve(value)), { concurrency: 1 }),
        pool,
        map((value) => finished.push(value)),
      ),
    );
    const seen = expect(run).rejects.toBe(boom);
    await settle(50);
    await seen;
    expect(finished).toEqual([1, 2]);
  });

  it("stop everything at once, under onError 'abort'", async () => {
    const finished: number[] = [];
    const run = runFlow(
      fromPull([1, 2, 0]).pipe(
        poolMap((value) => (value === 0 ? Promise.reject(boom) : Promise.resolve(value)), { concurrency: 1 }),
        pool,
        map((value) => finished.push(value)),
      ),
      { onError: 'abort' },
    );
    const seen = expect(run).rejects.toBe(boom);
    await settle(1);
    await seen;
    expect(finished).toEqual([]);
    expect(
      run
        .report()
        .left.map(({ value }) => value)
        .sort(),
    ).toEqual([0, 1, 2]);
  });

  it("stop everything at once when the source errors, under onError 'abort'", async () => {
    function* source(): Generator<number> {
      yield 1;
      throw boom;
    }
    const run = runFlow(fromPull(source()).pipe(pool), { onError: 'abort' });
    await expect(run).rejects.toBe(boom);
    expect(run.report().left).toEqual([{ stage: 'poolMap', value: 1 }]);
  });

  it('pass a bare value on as it is', async () => {
    await expect(runFlow(throwError(() => 'a string'))).rejects.toBe('a string');
    await expect(runFlow(throwError(() => undefined))).rejects.toBe(undefined);
  });

  it('keep every item in the ledger: in = out + held of each stage', async () => {
    const run = runFlow(
      fromPull(new Endless()).pipe(boundedQueue({ capacity: 3 }), poolMap(failing(5), { concurrency: 2 })),
    );
    const seen = expect(run).rejects.toBe(boom);
    await settle(1_000);
    await seen;
    const { stages, left } = run.report();
    expect(stages.map(({ in: came, out, held }) => came - out - held)).toEqual([0, 0]);
    expect(left).toHaveLength(stages.reduce((sum, { held }) => sum + held, 0));
  });
});

describe('stats$', () => {
  it('gives the figures at once, at an interval, and at the end, then completes', async () => {
    const run = runFlow(fromPull([1, 2, 3, 4]).pipe(pool), { statsEveryMs: 8 });
    const seen: FlowStats[] = [];
    const complete = vi.fn();
    run.stats$.subscribe({ next: (stats) => seen.push(stats), complete });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ itemsIn: 2, delivered: 0, elapsedMs: 0 });
    await settle(100);
    expect(seen.map(({ elapsedMs }) => elapsedMs)).toEqual([0, 0, 8, 16, 20]);
    expect(seen.at(-1)).toMatchObject({ delivered: 4, leftOver: 0 });
    expect(complete).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('gives the last figures to those who come after the end', async () => {
    const run = runFlow(fromPull([1]));
    await run;
    const seen: FlowStats[] = [];
    const complete = vi.fn();
    run.stats$.subscribe({ next: (stats) => seen.push(stats), complete });
    expect(seen.map(({ delivered }) => delivered)).toEqual([1]);
    expect(complete).toHaveBeenCalledTimes(1);
  });

  it('does not error when the flow does', async () => {
    const run = runFlow(throwError(() => 'x'));
    const error = vi.fn();
    const complete = vi.fn();
    run.stats$.subscribe({ error, complete });
    await expect(run).rejects.toBe('x');
    await settle(0);
    expect(error).not.toHaveBeenCalled();
    expect(complete).toHaveBeenCalledTimes(1);
  });

  it('stops its interval with the flow, so that virtual time comes to its end', () => {
    vi.useRealTimers();
    virtual(({ cold, flush }) => {
      const seen: number[] = [];
      const run = runFlow(cold('a---b|'), { statsEveryMs: 2 });
      run.stats$.subscribe(({ delivered }) => seen.push(delivered));
      flush();
      expect(seen).toEqual([0, 1, 1, 2]); // at once, then at 0, 2 and 4
    });
  });

  it('stops its interval when it is unsubscribed from', async () => {
    const run = runFlow(NEVER, { statsEveryMs: 5 });
    const next = vi.fn();
    const subscription = run.stats$.subscribe(next);
    await settle(10);
    subscription.unsubscribe();
    const calls = next.mock.calls.length;
    await settle(100);
    expect(next).toHaveBeenCalledTimes(calls);
    void run.abort();
  });
});

describe('warnings and strict', () => {
  const late = (): Observable<number> =>
    fromPull(async function* () {
      for (let i = 0; i < 6; i++) {
        await sleep(1);
        yield i;
      }
      await sleep(50);
    }).pipe(
      mergeMap((value) => timer(5).pipe(map(() => value))),
      poolMap(work<number>, { concurrency: 1 }),
    );

  it('tell once that a native operator above a stage holds items', async () => {
    const onWarning = vi.fn();
    const run = runFlow(late(), { onWarning });
    await settle(200);
    const { warnings, delivered } = await run;
    expect(delivered).toBe(6);
    expect(warnings).toEqual([
      expect.stringMatching(/^poolMap: items arrive later than they were emitted/),
      expect.stringMatching(/^poolMap: items arrive although 1 is held/),
    ]);
    expect(onWarning.mock.calls.flat()).toEqual(warnings);
  });

  it('go to the console where nobody asks for them', async () => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    const run = runFlow(late());
    await settle(200);
    await run;
    expect(warn).toHaveBeenCalledTimes(2);
  });

  it('are errors under strict', async () => {
    const run = runFlow(late(), { strict: true });
    const seen = expect(run).rejects.toMatchObject({ code: 'UNCLAIMED' });
    await settle(200);
    await seen;
  });

  it.each([
    [
      'a warning of its run',
      {},
      { end: 'completed', warnings: [expect.stringMatching(/^inner: items arrive/)] },
    ],
    ['an error under strict', { strict: true }, { code: 'OVERRUN' }],
  ])('tell of a stage inside the work of an item too: %s', async (_, options, expected) => {
    const inside = () => of(1, 2, 3).pipe(poolMap(work<number>, { concurrency: 1, name: 'inner' }));
    const run = runFlow(fromPull([1]).pipe(poolMap(inside, { concurrency: 1 })), {
      onWarning: () => undefined,
      ...options,
    });
    const seen = expect(run.catch((error: unknown) => error)).resolves.toMatchObject(expected);
    await settle(200);
    await seen;
  });

  it('are kept up to 1,000 different ones, and counted beyond', async () => {
    const closesBadly = (id: number) => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ value: id, done: false }),
        return: async () => {
          throw new Error(`bad ${id}`);
        },
      }),
    });
    const onWarning = vi.fn();
    const ids = Array.from({ length: 1_200 }, (_, i) => i);
    const run = runFlow(
      fromPull(ids).pipe(poolMap((id) => fromPull(closesBadly(id)).pipe(take(1)), { concurrency: 10 })),
      { onWarning },
    );
    await settle(200);
    const { warnings, delivered } = await run;
    expect(delivered).toBe(1_200);
    expect(warnings).toHaveLength(1_001);
    expect([warnings[0], warnings.at(-1)]).toEqual([
      'fromPull: closing failed: bad 0',
      'runFlow: 200 more warnings',
    ]);
    expect(onWarning).toHaveBeenCalledTimes(1_000);
  });

  it('name the operators that swallow a long run', async () => {
    const onWarning = vi.fn();
    const run = runFlow(
      fromPull(Array.from({ length: 2_000 }, (_, i) => i)).pipe(
        filter((value) => value < 0),
        pool,
      ),
      { onWarning },
    );
    await settle(10);
    await run;
    expect(onWarning).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(
        /^poolMap: 1001 items in a row .* \(between them: filter\); use poolMap, or batch, for one that holds, or say that it is meant/,
      ),
    );
  });

  it('are told once where many stages say the same', async () => {
    const onWarning = vi.fn();
    const run = runFlow(
      fromPull(Array.from({ length: 20 }, (_, i) => i)).pipe(
        groupBy((value) => value % 5),
        mergeMap((group) => group.pipe(poolMap(work<number>, { concurrency: 1, name: 'in a group' }))),
      ),
      { onWarning },
    );
    await settle(200);
    expect((await run).warnings).toEqual([
      expect.stringMatching(/^in a group: items arrive although 1 is held, with /),
    ]);
    expect(onWarning.mock.calls.flat()).toEqual((await run).warnings);
  });

  it('tell of a chain that is cut, and by what', async () => {
    const onWarning = vi.fn();
    const cut = <T>(source: Observable<T>): Observable<T> =>
      new Observable((subscriber) =>
        source.subscribe({
          next: (value) => subscriber.next(value),
          error: (error: unknown) => subscriber.error(error),
          complete: () => subscriber.complete(),
        }),
      );
    const run = runFlow(fromPull([1, 2]).pipe(cut, pool), { onWarning });
    await settle(50);
    await run;
    expect(onWarning).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(/^poolMap: fromPull is cut off by a plain observer/),
    );
  });

  it.each([
    [
      'at the end of the run',
      pipe(pool, share()),
      /^runFlow: poolMap is cut off by .*put share outside of the run/,
    ],
    [
      'below a stage',
      pipe(pool, share(), poolMap(work<number>, { concurrency: 9, name: 'last' })),
      /^last: poolMap is cut off/,
    ],
  ])('tell of a share %s', async (_, operators, expected) => {
    const run = runFlow(fromPull([1, 2]).pipe(operators), { onWarning: () => undefined });
    await settle(50);
    expect((await run).warnings).toEqual([expect.stringMatching(expected)]);
  });

  it('say nothing of another flow that starts meanwhile', async () => {
    const beside = (): void => {
      fromPull([1]).pipe(pool).subscribe();
    };
    const run = runFlow(fromPull([1, 2]).pipe(tap(beside), pool), { onWarning: () => undefined });
    await settle(50);
    expect((await run).warnings).toEqual([]);
  });
});

describe('the debug mode', () => {
  it.each(['accepted', 'started', 'finished', 'stored'] as const)(
    'may stop the flow when it is told of %s: each item has its outcome, or is left',
    async (at) => {
      const settled: number[] = [];
      let told = 0;
      const source = fromPull([1, 2, 3, 4, 5, 6], { onSettled: ({ value }) => settled.push(value) });
      const run = runFlow(
        source.pipe(
          poolMap(async (n) => n, { concurrency: 2 }),
          storeTo(async () => undefined, { maxItems: 2 }),
        ),
        {
          debug: ({ event }) => {
            if (event === at && ++told === 3) void run.abort();
          },
        },
      );
      const { itemsIn, leftOver, left, warnings } = await run;
      expect(settled.toSorted()).toEqual([1, 2, 3, 4, 5, 6].slice(0, itemsIn));
      expect(new Set(settled).size).toBe(itemsIn);
      expect([left.length, warnings]).toEqual([leftOver, []]);
    },
  );

  it('tells each step in the life of each item', async () => {
    const steps: string[] = [];
    const debug = ({ stage, event, value, worker, attempt }: ItemEvent): void => {
      steps.push([stage, event, value, worker ?? '', attempt ?? ''].join(' ').trim());
    };
    const run = runFlow(
      fromPull([1, 2]).pipe(
        filterOr((value) => value !== 2),
        poolMap(async (value) => value, { concurrency: 1 }),
      ),
      { debug },
    );
    await run;
    expect(steps).toEqual([
      'fromPull produced 1',
      'filterOr kept 1',
      'poolMap accepted 1',
      'poolMap started 1 0 1',
      'poolMap finished 1 0 1',
      'fromPull produced 2',
      'filterOr rejected 2',
    ]);
  });

  it('tells of retries', async () => {
    const events: string[] = [];
    const tried = withRetry(
      async (_: number, { attempt }: WorkContext) => {
        if (attempt === 1) throw new Error('x');
      },
      delays([1]),
    );
    const run = runFlow(fromPull([1]).pipe(poolMap(tried, { concurrency: 1 })), {
      debug: ({ event }) => events.push(event),
    });
    await settle(5);
    await run;
    expect(events).toContain('retried');
  });

  it('tells once of an item that a predicate rejects later', async () => {
    const events: string[] = [];
    await runFlow(fromPull([1]).pipe(filterOr(async () => false, { concurrency: 1 })), {
      debug: ({ event }) => events.push(event),
    });
    expect(events).toEqual(['produced', 'accepted', 'started', 'finished', 'rejected']);
  });

  it('shows with what work or a sink has failed', async () => {
    vi.stubEnv('SLUICE_DEBUG', '1');
    const log = vi.spyOn(console, 'error').mockReturnValue();
    const fails = () => Promise.reject(new Error('boo'));
    const seen = async (stage: OperatorFunction<number, unknown>): Promise<unknown[]> => {
      log.mockClear();
      const ended = Promise.allSettled([runFlow(fromPull([7]).pipe(stage))]);
      await settle(5);
      await ended;
      return log.mock.calls.flat().filter((line) => String(line).includes('boo'));
    };
    const retry = delays([1]);
    expect(
      await seen(poolMap(withRetry(fails, retry), { concurrency: 1, onFailure: () => undefined })),
    ).toEqual([
      '[sluice] poolMap retried worker 0 attempt 2 value 7 error boo',
      '[sluice] poolMap finished worker 0 attempt 2 value 7 error boo',
      '[sluice] poolMap dead worker 0 value 7 error boo',
    ]);
    expect(await seen(poolMap(fails, { concurrency: 1, onFailure: 'drop' }))).toEqual([
      '[sluice] poolMap finished worker 0 attempt 1 value 7 error boo',
      '[sluice] poolMap dropped worker 0 value 7 error boo',
    ]);
    expect(await seen(poolMap(fails, { concurrency: 1 }))).toEqual([
      '[sluice] poolMap finished worker 0 attempt 1 value 7 error boo',
    ]);
    expect(await seen(storeTo(fails, { retry, onFailure: () => undefined }))).toEqual([
      '[sluice] storeTo retried worker 0 attempt 2 value 7 error boo',
      '[sluice] storeTo dead value 7 error boo',
    ]);
  });

  it('writes a line a step where SLUICE_DEBUG asks for it', async () => {
    vi.stubEnv('SLUICE_DEBUG', '1');
    const error = vi.spyOn(console, 'error').mockReturnValue();
    await runFlow(
      fromPull([{ id: 7n }, 'x'.repeat(200)]).pipe(poolMap(async (value) => value, { concurrency: 1 })),
    );
    expect(error.mock.calls[0]).toEqual(['[sluice] fromPull produced value {"id":"7n"}']);
    expect(error.mock.calls.flat()).toContain(
      '[sluice] poolMap started worker 0 attempt 1 value {"id":"7n"}',
    );
    const long = error.mock.calls.flat().find((line) => (line as string).includes('xxx')) as string;
    expect(long).toMatch(/x…$/);
    expect(long.length).toBeLessThan(130);
  });

  it.each([undefined, '', '0'])('is silent where SLUICE_DEBUG is %o', async (value) => {
    vi.stubEnv('SLUICE_DEBUG', value);
    const error = vi.spyOn(console, 'error').mockReturnValue();
    await runFlow(fromPull([1]).pipe(poolMap(async (x) => x, { concurrency: 1 })));
    expect(error).not.toHaveBeenCalled();
  });
});

describe('explain', () => {
  it('names the busiest stage', async () => {
    const run = runFlow(
      fromPull(Array.from({ length: 20 }, (_, i) => i)).pipe(
        poolMap(work, { concurrency: 4, name: 'fast' }),
        poolMap(work, { concurrency: 1, name: 'slow' }),
      ),
    );
    await settle(1_000);
    const report = await run;
    expect(report.explain()).toMatch(
      /^slow limits the run, at 9[0-9] items\/s: its one slot was busy 9\d % of the time\.$/,
    );
    const slow = report.stages.find(({ name }) => name === 'slow')!;
    const fast = report.stages.find(({ name }) => name === 'fast')!;
    expect(slow.busyShare).toBeCloseTo(200 / 210, 2);
    expect(fast.busyShare).toBeCloseTo(200 / 840, 2);
    expect(fast.blockedShare).toBeGreaterThan(0.5);
  });

  it.each([
    ['results as they are taken', (n: number) => fromPull([n, n, n, n, n])],
    ['results whether they are taken or not', (n: number) => of(n, n, n, n, n)],
  ])('does not name a stage whose work has only to wait for the one below: %s', async (_, streams) => {
    for (const ordered of [false, true]) {
      const run = runFlow(
        fromPull([1, 2, 3, 4]).pipe(
          poolMap(streams, { concurrency: 2, ordered, name: 'streams' }),
          poolMap(work, { concurrency: 1, name: 'slow' }),
        ),
      );
      await settle(1_000);
      const report = await run;
      expect(report.explain()).toMatch(/^slow limits the run/);
      const streaming = report.stages.find(({ name }) => name === 'streams')!;
      expect(streaming.busyShare).toBe(0);
    }
  });

  it.each([
    ['a pool', poolMap(() => NEVER, { concurrency: 1, name: 'stuck' })],
    ['an ordered pool', poolMap(() => NEVER, { concurrency: 1, ordered: true, name: 'stuck' })],
    ['a store', storeTo({ store: () => new Promise<void>(() => undefined) }, { maxItems: 1, name: 'stuck' })],
  ])('counts the time of what is still at work, and of what was aborted: %s', async (_, stuck) => {
    const run = runFlow(fromPull([1, 2]).pipe(stuck));
    await settle(400);
    expect(run.report().stages[0]!.busyShare).toBe(1);
    void run.abort();
    await settle(600);
    const report = await run;
    expect(report.stages[0]!.busyShare).toBe(1);
    expect(report.explain()).toMatch(
      /^Aborted: . items? had no outcome\. stuck limits the run, .* was busy 100 % of the time\.$/,
    );
  });

  it.each([
    ['above the pool', [0, 1]],
    ['below it', [1, 0]],
  ])('names a rate that holds items back: %s', async (_, order) => {
    const stages = [
      rateLimit<number>({ limit: 1, perMs: 20, name: 'slowly' }),
      poolMap(work<number>, { concurrency: 4 }),
    ] as const;
    const run = runFlow(
      fromPull(Array.from({ length: 50 }, (_, i) => i)).pipe(stages[order[0]!]!, stages[order[1]!]!),
    );
    await settle(510);
    const held = run.report().stages.find(({ name }) => name === 'slowly')!;
    expect(held).toMatchObject({ slots: 0, busyShare: 0 });
    expect(held.shortShare).toBeCloseTo(order[0] === 0 ? 1 : 0.98, 2);
    await settle(600);
    expect((await run).explain()).toMatch(
      /^slowly limits the run, at \d\d items\/s: its rate held items back 9\d % of the time\.$/,
    );
  });

  it('a rate that holds nothing back limits nothing', async () => {
    const run = runFlow(fromPull([1, 2]).pipe(rateLimit({ limit: 1_000, perMs: 1, name: 'fast' })));
    const report = await run;
    expect(report.stages[0]!.shortShare).toBe(0);
    expect(report.explain()).toMatch(/^No stage of this flow does work of its own; /);
  });

  it('says so where no stage works', async () => {
    const run = runFlow(fromPull([1]).pipe(boundedQueue({ capacity: 1 })));
    expect((await run).explain()).toMatch(/^No stage of this flow does work of its own; /);
  });

  it('says of a source that can wait that there is nothing to wait for', async () => {
    const run = runFlow(fromPull([1, 2]).pipe(mergeMap((value) => of(value))));
    expect((await run).explain()).toMatch(
      /^No stage of this flow does work of its own, so nothing holds fromPull back; /,
    );
  });

  it('says first which stages gave items up', async () => {
    const fails = () => throwError(() => new Error('bad'));
    const run = runFlow(
      fromPull([1, 2, 3]).pipe(
        poolMap((value) => (value === 1 ? fails() : of(value)), {
          concurrency: 1,
          onFailure: 'drop',
          name: 'a',
        }),
        poolMap((value) => (value === 2 ? fails() : of(value)), {
          concurrency: 1,
          onFailure: () => undefined,
          name: 'b',
        }),
      ),
    );
    expect((await run).explain()).toMatch(/^1 dropped \(a\), 1 dead \(b\)\. No stage was busy/);
  });

  it('tells stages that had nothing to do from a flow without any', async () => {
    const run = runFlow(
      fromPull([1]).pipe(
        concatMap(() => from<number[]>([])),
        boundedQueue({ capacity: 1 }),
        pool,
        storeTo(async () => undefined, { maxItems: 1 }),
      ),
    );
    expect((await run).explain()).toMatch(/^No item reached a stage that does work; /);
  });

  describe('names a source that the flow waits for', () => {
    /** Each item takes 20 ms. */
    async function* slowly(count: number): AsyncGenerator<number> {
      for (let i = 0; i < count; i++) {
        await sleep(20);
        yield i;
      }
    }

    it('most of the time', async () => {
      const run = runFlow(
        fromPull(() => slowly(10), { name: 'orders' }).pipe(poolMap(work, { concurrency: 2 })),
      );
      await settle(300);
      const report = await run;
      expect(report.sources).toEqual([{ name: 'orders', items: 10, waitedShare: expect.closeTo(0.95, 1) }]);
      expect(report.explain()).toMatch(
        /^The source orders limits the run, at 4\d items\/s: it was waited for 9\d % of the time\.$/,
      );
    });

    /** Gives 1, and nothing more. */
    async function* silent(): AsyncGenerator<number> {
      yield 1;
      await NEVER.forEach(() => undefined);
    }

    it('also while the pull is pending, and where no stage works', async () => {
      const run = runFlow(fromPull(silent).pipe(boundedQueue({ capacity: 1 })));
      await settle(50);
      expect(run.report().sources).toEqual([{ name: 'fromPull', items: 1, waitedShare: 1 }]);
      expect(run.report().explain()).toMatch(
        /^Still running\. The source fromPull limits the run, at \d+ items\/s: it was waited for 100 % of the time\.$/,
      );
      void run.abort();
      await settle(1_100);
      expect((await run).sources[0]!.waitedShare).toBe(1);
    });

    it('of several only where none had items', async () => {
      const urgent = fromPull(silent, { name: 'urgent' });
      const busy = runFlow(
        merge(urgent, fromPull(new Endless(), { name: 'orders' })).pipe(poolMap(work, { concurrency: 1 })),
      );
      const idle = runFlow(
        merge(
          urgent,
          fromPull(() => slowly(1_000), { name: 'orders' }),
        ).pipe(poolMap(work, { concurrency: 4 })),
      );
      await settle(500);
      expect(busy.report().sources).toMatchObject([
        { waitedShare: expect.closeTo(0.9, 1) },
        { waitedShare: 0 },
      ]);
      expect(busy.report().explain()).toMatch(/^Still running\. poolMap limits the run, /);
      expect(idle.report().explain()).toMatch(
        /^Still running\. The sources urgent, orders limit the run, at 50 items\/s: each was waited for at least 100 % of the time\.$/,
      );
      void busy.abort();
      void idle.abort();
      await settle(1_100);
    });

    it('by name, however many there are', async () => {
      const pages = defer(() => fromPull(() => slowly(1), { name: 'page' })).pipe(repeat({ count: 50 }));
      const run = runFlow(pages.pipe(poolMap(work, { concurrency: 2 })));
      await settle(1_100);
      const report = await run;
      expect(report.sources).toEqual([{ name: 'page', items: 50, waitedShare: expect.closeTo(1, 1) }]);
    });

    it('and no time of pulls that throw instead', async () => {
      const broken = {
        [Symbol.asyncIterator]: () => ({
          next(): never {
            throw new Error('no');
          },
        }),
      };
      const flow = fromPull<number>(broken).pipe(
        retry({ count: 3, delay: 20 }),
        catchError(() => of(1)),
      );
      const run = runFlow(flow.pipe(poolMap(work, { concurrency: 1 })));
      await settle(100);
      expect((await run).sources).toEqual([{ name: 'fromPull', items: 0, waitedShare: 0 }]);
    });

    it('not where a stage below it lets less through', async () => {
      const slower = poolMap((n: number) => sleep(30).then(() => n), { concurrency: 1, name: 'slower' });
      const run = runFlow(fromPull(() => slowly(10)).pipe(slower));
      await settle(600);
      const report = await run;
      expect(report.sources[0]!.waitedShare).toBeCloseTo(0.4, 1);
      expect(report.explain()).toMatch(/^slower limits the run, /);
    });

    it('of all its subscriptions, and not of those that ended while it was pulled', async () => {
      const source = fromPull(() => slowly(1_000), { name: 'often' });
      const run = runFlow(
        source.pipe(
          takeUntil(timer(10)),
          endWith(0),
          concatWith(timer(90).pipe(map(() => 1))),
          repeat({ count: 2 }),
          poolMap(work, { concurrency: 2 }),
        ),
      );
      await settle(300);
      expect((await run).sources).toEqual([{ name: 'often', items: 0, waitedShare: expect.closeTo(0.1, 1) }]);
    });

    it('none of those inside the work of an item', async () => {
      const run = runFlow(
        fromPull([1]).pipe(poolMap(() => fromPull(() => slowly(2)), { concurrency: 1, name: 'pool' })),
      );
      await settle(100);
      const report = await run;
      expect(report.sources).toEqual([{ name: 'fromPull', items: 1, waitedShare: 0 }]);
      expect(report.explain()).toMatch(/^pool limits the run, /);
    });
  });

  it('says so where none was busy half of the time', async () => {
    const run = runFlow(
      from([1]).pipe(
        mergeMap((value) => timer(90).pipe(map(() => value))),
        poolMap(work, { concurrency: 1 }),
      ),
      { onWarning: () => undefined },
    );
    await settle(100);
    expect((await run).explain()).toMatch(
      /^No stage was busy half of the time, poolMap most, at 10 items\/s: /,
    );
  });

  describe('does not read as if all input were done, where it is not', () => {
    const slow = poolMap(work<number>, { concurrency: 1, name: 'slow' });
    const stuck = poolMap((n: number) => (n === 3 ? NEVER : work(n)), { concurrency: 1, name: 'slow' });
    const limits = 'slow limits the run, at \\d+ items/s: its one slot was busy \\d+ % of the time\\.$';

    it('while it runs', async () => {
      const run = runFlow(fromPull(new Endless()).pipe(slow));
      await settle(35);
      expect(run.report().explain()).toMatch(new RegExp(`^Still running\\. ${limits}`));
      await run.abort();
    });

    it('drained', async () => {
      const run = runFlow(fromPull(new Endless()).pipe(slow));
      await settle(35);
      void run.drain();
      await settle(20);
      expect((await run).explain()).toMatch(
        new RegExp(`^Drained, perhaps before all input was read: nothing was left over\\. ${limits}`),
      );
    });

    it('drained before anything came in', async () => {
      const run = runFlow(fromPull(new Endless()).pipe(slow), { drainSignal: AbortSignal.abort() });
      await settle(0);
      expect((await run).explain()).toBe(
        'Drained, perhaps before all input was read: nothing was left over. No items came in.',
      );
    });

    it('aborted', async () => {
      const run = runFlow(fromPull(new Endless()).pipe(slow));
      await settle(35);
      void run.abort();
      await settle(0);
      expect((await run).explain()).toMatch(new RegExp(`^Aborted: 1 item had no outcome\\. ${limits}`));
    });

    it('aborted by the deadline of draining', async () => {
      const run = runFlow(fromPull(new Endless()).pipe(stuck), { drainTimeoutMs: 100 });
      await settle(35);
      void run.drain();
      await settle(200);
      const report = await run;
      expect(report.end).toBe('aborted');
      expect(report.explain()).toMatch(
        /^Drained, and aborted when that took longer than drainTimeoutMs: 1 item had no outcome\. /,
      );
    });

    it('aborted while draining, before the deadline', async () => {
      const run = runFlow(fromPull(new Endless()).pipe(stuck), { drainTimeoutMs: 100 });
      await settle(35);
      void run.drain();
      void run.abort();
      await settle(200);
      expect((await run).explain()).toMatch(/^Aborted: 1 item had no outcome\. /);
    });

    it('failed', async () => {
      const failing = poolMap((n: number) => (n === 3 ? throwError(() => new Error('no')) : work(n)), {
        concurrency: 2,
        name: 'slow',
      });
      const run = runFlow(fromPull(new Endless()).pipe(failing));
      run.catch(() => undefined);
      await settle(100);
      expect(run.report().explain()).toMatch(/^Failed: \d items? had no outcome\. /);
    });

    it('completed by an operator below the stages, with items inside', async () => {
      const cut = runFlow(fromPull(new Endless()).pipe(slow, takeUntil(timer(35))));
      const taken = runFlow(fromPull(new Endless()).pipe(slow, take(3)));
      await settle(50);
      expect(await cut).toMatchObject({ end: 'completed', leftOver: 1 });
      expect((await cut).explain()).toMatch(new RegExp(`^Completed: 1 item had no outcome\\. ${limits}`));
      expect(await taken).toMatchObject({ end: 'completed', leftOver: 0 });
      expect((await taken).explain()).toMatch(new RegExp(`^${limits}`));
    });

    it('completed after a stage failed, and was subscribed to again', async () => {
      let calls = 0;
      const once = poolMap((n: number) => (++calls === 2 ? Promise.reject(new Error('no')) : work(n)), {
        concurrency: 2,
      });
      const run = runFlow(fromPull([1, 2, 3]).pipe(once, retry(1)));
      await settle(50);
      expect(await run).toMatchObject({ end: 'completed', leftOver: 2 });
      expect((await run).explain()).toMatch(/^Completed: 2 items had no outcome\. /);
    });

    describe('nor as if nothing were left over, where native operators may hold items', () => {
      const hoarding = (): Observable<unknown> =>
        fromPull(Array.from({ length: 40 }, (_, i) => i)).pipe(
          concatWith(timer(100).pipe(ignoreElements())),
          bufferTime(50),
          poolMap(work<unknown>, { concurrency: 1, name: 'slow' }),
        );
      const away =
        ', and 40 items did not arrive at a stage: held, dropped or replaced by native operators\\. ';

      it('aborted with none in a stage', async () => {
        const run = runFlow(hoarding());
        await settle(20);
        void run.abort();
        await settle(0);
        expect(await run).toMatchObject({ itemsIn: 40, leftOver: 0, stages: [{ in: 0 }] });
        expect((await run).explain()).toMatch(new RegExp(`^Aborted: no stage held an item${away}`));
      });

      it('completed with one in a stage', async () => {
        const run = runFlow(
          fromPull([1, 2]).pipe(
            filter((n) => n === 1),
            pool,
            takeUntil(timer(5)),
          ),
        );
        await settle(20);
        expect((await run).explain()).toMatch(
          /^Completed: 1 item had no outcome, and 1 item did not arrive at a stage: held, /,
        );
      });

      it('but for what arrived later', async () => {
        const later = mergeMap((n: number) => timer(5).pipe(map(() => n)));
        const run = runFlow(fromPull([1, 2]).pipe(later, concatWith(NEVER), pool), {
          onWarning: () => undefined,
        });
        await settle(50);
        void run.abort();
        await settle(0);
        expect((await run).explain()).toMatch(/^Aborted: nothing was left over\. /);
      });

      it('but for what draining had them give', async () => {
        const run = runFlow(hoarding(), { onWarning: () => undefined });
        await settle(20);
        void run.drain();
        await settle(200);
        expect((await run).explain()).toMatch(/^Drained, .*: nothing was left over\. /);
      });

      it('but for those that were handed back on their way', async () => {
        const stop = new AbortController();
        const run = runFlow(
          fromPull([1, 2]).pipe(
            tap((n: number) => {
              if (n === 2) stop.abort();
            }),
            pool,
          ),
          { signal: stop.signal },
        );
        await settle(0);
        expect((await run).explain()).toMatch(/^Aborted: 2 items had no outcome\. /);
      });
    });
  });
});
