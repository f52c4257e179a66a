import { concat, mergeMap, NEVER, of, repeat, retry, take, throwError, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, test, vi } from 'vitest';
import { fromPull, fromPush, poolMap, runFlow, storeTo, withResources, type ResourceScope } from 'sluice';
import { operatorLaws } from '../../src/testing/laws/index.ts';
import { deferred } from '../support/deferred.ts';
import { Endless, settle, sleep } from './settling.ts';

describe('the laws of an operator', () => {
  const closable = { close: () => undefined };
  const atOnce = operatorLaws('withResources, at once', () => (source) => {
    return withResources(
      ({ use }) => use(closable),
      () => source,
    );
  });
  const later = operatorLaws('withResources, later', () => (source) => {
    return withResources(
      async ({ use }) => use(closable),
      () => source,
    );
  });
  // What is opened later is not there when a Subject pushes at once, and a source that is read meanwhile does not wait.
  const cannot = ['leaves its source at once when it is left', 'keeps the chain to those below'];
  for (const { name, check } of atOnce) test(name, check);
  for (const { name, says, check } of later) if (!cannot.includes(says)) test(name, check);
});

describe('with fake timers', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  let log: string[] = [];
  beforeEach(() => {
    log = [];
  });

  /** Something that takes 10 ms to close. */
  const resource = (name: string) => ({
    async close() {
      log.push(`${name} closes`);
      await sleep(10);
      log.push(`${name} closed`);
    },
  });
  const numbers = (): Observable<number> => fromPull([1, 2, 3]);

  it('opens at each subscription, and not before', () => {
    const open = vi.fn(() => 'opened');
    const flow = withResources(open, (value) => of(value));
    expect(open).not.toHaveBeenCalled();
    const seen: string[] = [];
    flow.subscribe((value) => seen.push(value));
    flow.subscribe((value) => seen.push(value));
    expect(open).toHaveBeenCalledTimes(2);
    expect(seen).toEqual(['opened', 'opened']);
  });

  it('closes one after another, the last one first, and runFlow waits for that', async () => {
    const flow = withResources(
      async ({ use }) => {
        use(resource('a'));
        await sleep(5);
        use(resource('b'));
      },
      () => numbers(),
    );
    let over = false;
    const run = runFlow(flow).finally(() => {
      over = true;
    });
    await settle(24);
    expect(log).toEqual(['b closes', 'b closed', 'a closes']);
    expect(over).toBe(false);
    await settle(2);
    expect(log.at(-1)).toBe('a closed');
    expect(await run).toMatchObject({ end: 'completed', delivered: 3, warnings: [] });
  });

  it.each([
    ['completes', () => numbers(), (run: ReturnType<typeof runFlow>) => run],
    ['errors', () => throwError(() => new Error('of the flow')), (run: ReturnType<typeof runFlow>) => run],
    [
      'is drained',
      () => fromPull(new Endless()).pipe(poolMap(sleep, { concurrency: 1 })),
      (run: ReturnType<typeof runFlow>) => run.drain(),
    ],
    ['is aborted', () => NEVER, (run: ReturnType<typeof runFlow>) => run.abort()],
  ])('closes once when it %s', async (_, flow: () => Observable<unknown>, stop) => {
    const close = vi.fn(() => sleep(10));
    const run = runFlow(withResources(({ use }) => use('r', close), flow));
    run.catch(() => undefined);
    await settle(1);
    stop(run).then(undefined, () => undefined);
    await settle(50);
    void run.abort();
    await settle(50);
    expect(close).toHaveBeenCalledTimes(1);
    expect(close).toHaveBeenCalledWith('r');
    await run.catch((error: unknown) => expect(error).toEqual(new Error('of the flow')));
  });

  it('keeps the chain: a source inside waits for demand below', async () => {
    const source = new Endless();
    const flow = withResources(
      async ({ use }) => use(resource('r')),
      () => fromPull(source),
    );
    const run = runFlow(flow.pipe(poolMap(() => sleep(10), { concurrency: 3 })));
    await settle(5);
    expect(source.pulled).toBe(3);
    const stopped = run.abort();
    await settle(50);
    expect((await stopped).left).toHaveLength(3);
    expect(source.closed).toBe(true);
  });

  it('closes what was opened when opening fails midway', async () => {
    const failure = new Error('no database');
    const run = runFlow(
      withResources(
        async ({ use }) => {
          use(resource('a'));
          use(resource('b'));
          await sleep(1);
          throw failure;
        },
        () => expect.unreachable(),
      ),
    );
    const caught = run.catch((error: unknown) => error);
    await settle(30);
    expect(await caught).toBe(failure);
    expect(log).toEqual(['b closes', 'b closed', 'a closes', 'a closed']);
  });

  it('the same where it throws at once', async () => {
    const run = runFlow(
      withResources(
        ({ use }) => {
          use(resource('a'));
          throw new Error('no database');
        },
        () => expect.unreachable(),
      ),
    );
    const caught = run.catch((error: unknown) => error);
    await settle(30);
    expect(await caught).toEqual(new Error('no database'));
    expect(log).toEqual(['a closes', 'a closed']);
  });

  it('closes what comes while nobody is there any more, and tells the opener', async () => {
    const opening = deferred();
    let scope!: ResourceScope;
    const flow = withResources(
      async (given) => {
        scope = given;
        given.use(resource('a'));
        await opening.promise;
        return given.use(resource('b'));
      },
      () => expect.unreachable(),
    );
    const subscription = flow.subscribe();
    expect(scope.signal.aborted).toBe(false);
    subscription.unsubscribe();
    expect(scope.signal.aborted).toBe(true);
    await settle(100);
    expect(log).toEqual([]); // it may be in use until opening has ended
    opening.resolve();
    await settle(100);
    expect(log).toEqual(['b closes', 'b closed', 'a closes', 'a closed']);
  });

  it('draining while it opens ends it without the flow', async () => {
    const opened = deferred();
    const flow = withResources(
      ({ use }) => opened.promise.then(() => use(resource('a'))),
      () => expect.unreachable(),
    );
    const run = runFlow(flow.pipe(poolMap((n) => of(n), { concurrency: 1 })));
    await settle(5);
    const drained = run.drain();
    opened.resolve();
    await settle(20);
    expect(await drained).toMatchObject({ end: 'drained', delivered: 0 });
    expect(log).toEqual(['a closes', 'a closed']);
  });

  it('opens nothing where draining has begun, and repeat ends', async () => {
    const open = vi.fn(() => undefined);
    const flow = concat(fromPull(new Endless()), withResources(open, () => numbers()).pipe(repeat()));
    const run = runFlow(flow.pipe(poolMap(() => sleep(10), { concurrency: 1 })));
    await settle(5);
    const drained = run.drain();
    await settle(50);
    expect(await drained).toMatchObject({ end: 'drained', delivered: 1 });
    expect(open).not.toHaveBeenCalled();
  });

  it('a retry opens it again', async () => {
    let times = 0;
    const flow = withResources(
      ({ use }) => use(resource(`r${++times}`)),
      () => (times < 3 ? throwError(() => new Error('not yet')) : numbers()),
    ).pipe(retry(5));
    const run = runFlow(flow);
    await settle(100);
    expect(await run).toMatchObject({ delivered: 3 });
    expect(log.filter((line) => line.endsWith('closed')).sort()).toEqual([
      'r1 closed',
      'r2 closed',
      'r3 closed',
    ]);
  });

  it('waits for closing no longer than closeTimeoutMs, closes the rest then, and says so', async () => {
    const closeTimeoutMs = 3_000;
    const flow = withResources(
      ({ use }) => {
        use(resource('a'));
        use('hanging', () => new Promise(() => undefined));
      },
      () => numbers(),
      { closeTimeoutMs },
    );
    let over = false;
    const run = runFlow(flow, { onWarning: (message) => log.push(message) });
    run.then(
      () => (over = true),
      () => undefined,
    );
    await settle(closeTimeoutMs - 10);
    expect(over).toBe(false);
    expect(log).toEqual([]);
    await settle(120);
    expect(log).toEqual([
      'withResources: closing took longer than 3000 ms, and goes on',
      'a closes',
      'a closed',
    ]);
    expect(over).toBe(true);
    expect((await run).warnings).toHaveLength(1);
  });

  it('a close that fails is a warning, and the others are closed', async () => {
    const flow = withResources(
      ({ use }) => {
        use(resource('a'));
        use('b', () => Promise.reject(new Error('refused')));
        use('c', () => {
          throw new Error('thrown');
        });
      },
      () => numbers(),
    );
    const run = runFlow(flow, { onWarning: () => undefined });
    await settle(50);
    expect(await run).toMatchObject({
      delivered: 3,
      warnings: ['withResources: closing failed: thrown', 'withResources: closing failed: refused'],
    });
    expect(log).toEqual(['a closes', 'a closed']);
  });

  it('closes after the sources and sinks inside, and after what is opened inside', async () => {
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: 1 }),
        return: async () => {
          log.push('source closes');
          await sleep(20);
          log.push('source closed');
          return { done: true, value: undefined };
        },
      }),
    };
    const sink = {
      store: async () => undefined,
      close: async () => {
        log.push('sink closes');
        await sleep(20);
        log.push('sink closed');
      },
    };
    const flow = withResources(
      ({ use }) => use(resource('outer')),
      () =>
        withResources(
          ({ use }) => use(resource('inner')),
          () => fromPull<number>(source as AsyncIterable<number>).pipe(take(2), storeTo<number>(sink)),
        ),
    );
    const run = runFlow(flow);
    await settle(200);
    expect((await run).end).toBe('completed');
    expect(log).toEqual([
      'source closes',
      'sink closes',
      'source closed',
      'sink closed',
      'inner closes',
      'inner closed',
      'outer closes',
      'outer closed',
    ]);
  });

  it('an item whose work opens something first keeps its ticket meanwhile', async () => {
    const settled: [number, unknown][] = [];
    const source = fromPull([1, 2], { onSettled: ({ value, failure }) => settled.push([value, failure]) });
    const flow = source.pipe(
      mergeMap((n) =>
        withResources(
          async ({ use }) => {
            await sleep(10);
            if (n === 2) throw new Error('cannot open');
            return use(resource(`for ${n}`));
          },
          () => of(n),
        ),
      ),
      storeTo(async () => undefined, { maxItems: 1 }),
    );
    const run = runFlow(flow, { onWarning: () => undefined });
    const caught = run.catch((error: unknown) => error);
    await settle(5);
    expect(settled).toEqual([]);
    await settle(50);
    expect(await caught).toEqual(new Error('cannot open'));
    expect(settled).toEqual([
      [1, undefined],
      [2, expect.objectContaining({ message: 'cannot open' })],
    ]);
  });

  describe('inside the work of a poolMap', () => {
    const opened = (name: string, inside: () => Observable<unknown>): Observable<unknown> =>
      withResources(async ({ use }) => use(resource(name)), inside);
    const pool = (flowOf: (n: number) => Observable<unknown>) => poolMap(flowOf, { concurrency: 3 });
    let over: unknown;
    const end = (): void => {
      over = log.length;
    };
    beforeEach(() => {
      over = undefined;
    });

    it('the run waits for the closing, and items do not wait for one another', async () => {
      const run = runFlow(numbers().pipe(pool((n) => opened(`r${n}`, () => of(n)))));
      void run.finally(end);
      await settle(9);
      expect(log).toEqual(['r1 closes', 'r2 closes', 'r3 closes']);
      expect(over).toBeUndefined();
      await settle(4);
      expect(over).toBe(6);
      expect(await run).toMatchObject({ end: 'completed', delivered: 3, warnings: [] });
    });

    it('the same where it is aborted, and where it is drained', async () => {
      const aborted = runFlow(numbers().pipe(pool((n) => opened(`r${n}`, () => NEVER))));
      await settle(5);
      void aborted.abort().finally(end);
      await settle(9);
      expect(over).toBeUndefined();
      await settle(4);
      expect(over).toBe(6);
      const drained = runFlow(fromPull(new Endless()).pipe(pool((n) => opened('r', () => of(n)))));
      void drained.drain();
      await settle(30);
      expect(await drained).toMatchObject({ end: 'drained', leftOver: 0 });
      expect(log.filter((line) => line === 'r closed')).toHaveLength((await drained).delivered);
    });

    it('the same in the work of a poolMap in the work of a poolMap, and in fromPush there', async () => {
      const inner = (): Observable<unknown> => fromPush(opened('inner', () => of(1)));
      const run = runFlow(fromPull([1]).pipe(pool(() => fromPull([1]).pipe(pool(inner)))));
      void run.finally(end);
      await settle(9);
      expect(over).toBeUndefined();
      await settle(4);
      expect(over).toBe(2);
    });

    it('waits no longer than closeTimeoutMs, and what fails is a warning of the run', async () => {
      const hanging = (n: number): Observable<unknown> =>
        withResources(
          ({ use }) =>
            use('r', () => (n === 1 ? new Promise(() => undefined) : Promise.reject(new Error('refused')))),
          () => of(n),
          { closeTimeoutMs: 2_000 },
        );
      const run = runFlow(fromPull([1, 2]).pipe(pool(hanging)), { onWarning: () => undefined });
      void run.finally(end);
      await settle(1_990);
      expect(over).toBeUndefined();
      await settle(120);
      expect(over).toBe(0);
      expect((await run).warnings).toEqual([
        'withResources: closing failed: refused',
        'withResources: closing took longer than 2000 ms, and goes on',
      ]);
    });

    it('what stands around the flow is closed after what its items opened', async () => {
      const flow = opened('outer', () => fromPull([1]).pipe(pool(() => opened('inner', () => of(1)))));
      const run = runFlow(flow);
      await settle(50);
      expect((await run).delivered).toBe(1);
      expect(log).toEqual(['inner closes', 'inner closed', 'outer closes', 'outer closed']);
    });
  });

  describe('use, when all has been closed', () => {
    async function ended(): Promise<ResourceScope> {
      let scope!: ResourceScope;
      withResources(
        (given) => {
          scope = given;
          given.use(resource('a'));
        },
        () => of(1),
      ).subscribe();
      await settle(20);
      expect(log).toEqual(['a closes', 'a closed']);
      return scope;
    }

    it('throws, and closes what it is given at once', async () => {
      const { use } = await ended();
      expect(() => use(resource('late'))).toThrow(expect.objectContaining({ code: 'SCOPE_ENDED' }));
      expect(log.at(-1)).toBe('late closes');
      await settle(10);
      expect(log.at(-1)).toBe('late closed');
    });

    it('the same where a close was given, and that it fails is a warning', async () => {
      const { use } = await ended();
      const warn = vi.spyOn(console, 'warn').mockReturnValue();
      expect(() => use('late', () => Promise.reject(new Error('refused')))).toThrow('the scope has ended');
      await settle(1);
      expect(warn).toHaveBeenCalledWith('[sluice] withResources: closing failed: refused');
    });

    it('rejects an opening that took longer than closing may, and closes what it opened', async () => {
      const opening = deferred();
      let opened!: Promise<unknown>;
      const flow = withResources(
        ({ use }) => (opened = opening.promise.then(() => use(resource('late')))),
        () => expect.unreachable(),
      );
      vi.spyOn(console, 'warn').mockReturnValue();
      flow.subscribe().unsubscribe();
      await settle(1_000);
      opening.resolve();
      await expect(opened).rejects.toMatchObject({ code: 'SCOPE_ENDED' });
      await settle(20);
      expect(log).toEqual(['late closes', 'late closed']);
    });
  });

  it('takes what can be disposed of, and refuses the rest', () => {
    const order: string[] = [];
    const each = {
      [Symbol.asyncDispose]: async () => void order.push('asyncDispose'),
      [Symbol.dispose]: () => order.push('dispose'),
      close: () => order.push('close'),
    };
    const { [Symbol.asyncDispose]: _, ...second } = each;
    for (const one of [each, second, { close: each.close }]) {
      withResources(
        ({ use }) => use(one),
        () => of(1),
      ).subscribe();
    }
    expect(order).toEqual(['asyncDispose', 'dispose', 'close']);
    const error = vi.fn();
    withResources(
      ({ use }) => use({} as never),
      () => of(1),
    ).subscribe({ error });
    expect(error).toHaveBeenCalledWith(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });

  it('checks its options at call time', () => {
    expect(() => withResources('open' as never, () => of(1))).toThrow(
      'withResources: open must be a function',
    );
    expect(() => withResources(() => 1, 'flow' as never)).toThrow('withResources: flow must be a function');
    expect(() =>
      withResources(
        () => 1,
        (n) => of(n),
        { closeTimeoutMs: -1 },
      ),
    ).toThrow('withResources: closeTimeoutMs');
  });
});
