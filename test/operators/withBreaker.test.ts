import {
  map,
  mergeMap,
  NEVER,
  of,
  throwError,
  timer,
  type Observable,
  type ObservableInput,
  type Subscription,
} from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { delays, fromPull, poolMap, runFlow, withBreaker, withRetry, withTimeout } from 'sluice';
import { frame, Pulls, taking, virtual } from './virtualTime.ts';

describe('withBreaker', () => {
  it('leaves a dead service in peace, and loses no item: each is stored when it is back', () => {
    const calls: number[] = [];
    const seen: number[] = [];
    const pulls = new Pulls(30);
    const work = (value: number): Observable<number> => {
      calls.push(frame());
      const down = frame() < 1_000;
      return timer(10).pipe(mergeMap(() => (down ? throwError(() => new Error('down')) : [value])));
    };
    virtual(({ flush }) => {
      const guarded = withBreaker(withRetry(work, delays([5])), { maxFailures: 3, openMs: 200 });
      fromPull(pulls)
        .pipe(poolMap(withRetry(guarded, delays(Array<number>(9).fill(0))), { concurrency: 2 }))
        .subscribe((value) => seen.push(value));
      flush();
    });
    expect(seen.toSorted((a, b) => a - b)).toEqual([...Array(30).keys()]);
    // While it is down: three items that fail, two attempts each, then one trial every 200 ms.
    expect(calls.filter((at) => at < 1_000).length).toBeLessThanOrEqual(8 + 2 * 5);
    expect(pulls.frames.filter((at) => at < 1_000)).toEqual([0, 0]);
  });

  it('does not stall where the results of what is tried wait for an earlier item, which waits for the breaker', async () => {
    const failed = new Set<number>();
    const work = async function* (value: number): AsyncGenerator<number> {
      if (!failed.has(value)) {
        failed.add(value);
        throw Object.assign(new Error('down'), { retryAfterMs: value === 1 ? 40 : 1 });
      }
      yield value;
      yield value * 10;
    };
    const guarded = withRetry(withBreaker(work, { maxFailures: 1, openMs: 10 }), delays([1]));
    const out: number[] = [];
    await runFlow(
      fromPull([1, 2]).pipe(
        poolMap(guarded, { concurrency: 2, ordered: true }),
        map((value) => out.push(value)),
      ),
    );
    expect(out).toEqual([1, 10, 2, 20]);
  });

  it('opens again where what is tried fails after a result that had to wait', async () => {
    const startedAt: number[] = [];
    const work = async function* (value: number): AsyncGenerator<number> {
      startedAt.push(performance.now());
      if (value > 2) yield* [value, value];
      throw new Error('down');
    };
    await runFlow(
      fromPull([1, 2, 3, 4]).pipe(
        poolMap(withBreaker(work, { maxFailures: 2, openMs: 30 }), { concurrency: 1, onFailure: 'drop' }),
        poolMap((value) => timer(2).pipe(map(() => value)), { concurrency: 1 }),
      ),
    );
    const waits = startedAt.slice(1).map((at, i) => at - startedAt[i]! > 20);
    expect(waits).toEqual([false, true, true]);
  });

  it('says so where work gave promises before an item waited, and an Observable after it', async () => {
    let calls = 0;
    const work = (value: number): Promise<number> | Observable<number> => {
      if (++calls === 1) return Promise.reject(new Error('down'));
      return calls === 2 ? of(value) : Promise.resolve(value);
    };
    const letters: unknown[] = [];
    const out: unknown[] = [];
    await runFlow(
      fromPull([1, 2, 3]).pipe(
        poolMap(withBreaker(work, { maxFailures: 1, openMs: 1 }), {
          concurrency: 1,
          onFailure: ({ value, error }) => letters.push([value, (error as { code?: unknown }).code]),
        }),
        map((value) => out.push(value)),
      ),
    );
    expect(letters).toEqual([
      [1, undefined],
      [2, 'INVALID_OPTION'],
    ]);
    expect(out).toEqual([3]);
  });

  it('takes the answer of what was called before it opened for no news', () => {
    const calls: string[] = [];
    virtual(({ flush }) => {
      const work = (value: number): Observable<number> => {
        calls.push(`${value}@${frame()}`);
        if (value === 0) return timer(30).pipe(map(() => value));
        return timer(1).pipe(mergeMap(() => throwError(() => new Error('down'))));
      };
      fromPull(new Pulls(4))
        .pipe(
          poolMap(withBreaker(work, { maxFailures: 1, openMs: 50 }), { concurrency: 4, onFailure: 'drop' }),
        )
        .subscribe();
      flush();
    });
    // 1, 2 and 3 are called before one fails at 1; 0 succeeds at 30, when it is open: nobody is let in.
    expect(calls).toEqual(['0@0', '1@0', '2@0', '3@0']);
  });

  it('tries the next one where the one that is tried is stopped', () => {
    const calls: string[] = [];
    virtual(({ flush }) => {
      const guarded = withBreaker(
        (value: string): Observable<string> => {
          calls.push(`${value}@${frame()}`);
          return value === 'dead' ? timer(1).pipe(mergeMap(() => throwError(() => 'x'))) : NEVER;
        },
        { maxFailures: 1, openMs: 10 },
      );
      const run = (value: string): { unsubscribe(): void } =>
        fromPull([value])
          .pipe(poolMap(guarded, { concurrency: 1, onFailure: 'drop' }))
          .subscribe();
      run('dead');
      let tried = { unsubscribe: (): void => undefined };
      timer(2).subscribe(() => {
        tried = run('tried');
        run('next');
      });
      timer(20).subscribe(() => {
        tried.unsubscribe();
      });
      flush();
    });
    expect(calls).toEqual(['dead@0', 'tried@11', 'next@20']);
  });

  it('takes an array for a success at once, however long it waits for room below', () => {
    const calls: string[] = [];
    virtual(({ flush }) => {
      const work = (value: number): number[] => {
        calls.push(`${value}@${frame()}`);
        if (value === 0) throw new Error('down');
        return [value, value];
      };
      fromPull([0, 1, 2])
        .pipe(
          poolMap(withBreaker(work, { maxFailures: 1, openMs: 10 }), { concurrency: 2, onFailure: 'drop' }),
          poolMap(taking<number>(100), { concurrency: 1 }),
        )
        .subscribe();
      flush();
    });
    expect(calls).toEqual(['0@0', '1@10', '2@10']);
  });

  it.each<[string, () => ObservableInput<never>]>([
    ['a promise', () => Promise.reject(new Error('down'))],
    ['an Observable', () => throwError(() => new Error('down'))],
    [
      'nothing, since it throws',
      () => {
        throw new Error('down');
      },
    ],
  ])('fails the item that is tried where isFailure throws, and tries the next: %s', async (_, work) => {
    let asked = 0;
    const isFailure = (): boolean => {
      if (++asked === 2) throw new Error('hook');
      return true;
    };
    const errors: string[] = [];
    const guarded = withBreaker(work, { maxFailures: 1, openMs: 1, isFailure });
    const run = runFlow(
      fromPull([1, 2, 3, 4]).pipe(
        poolMap(guarded, {
          concurrency: 1,
          onFailure: ({ error }) => errors.push((error as Error).message),
        }),
      ),
    );
    expect((await run).dead).toBe(4);
    expect(errors).toEqual(['down', 'hook', 'down', 'down']);
  });

  it('leaves no listener on a signal that lives longer where a wait is unsubscribed from', () => {
    const { signal } = new AbortController();
    const add = vi.spyOn(signal, 'addEventListener');
    const remove = vi.spyOn(signal, 'removeEventListener');
    const context = { index: 0, worker: 0, attempt: 1, signal };
    const guarded = withBreaker(() => throwError(() => new Error('down')), { maxFailures: 1, openMs: 50 });
    const call = (): Subscription => guarded(1, context).subscribe({ error: () => undefined });
    call();
    call().unsubscribe();
    expect(add).toHaveBeenCalledTimes(2);
    expect(remove.mock.calls.map(([, listener]) => listener)).toEqual(
      expect.arrayContaining(add.mock.calls.map(([, listener]) => listener)),
    );
  });

  it('does not count an error for which the item is to blame, unless isFailure says so', () => {
    const failing = (): Observable<never> => throwError(() => ({ status: 404 }));
    const count = (options: object): number => {
      let calls = 0;
      virtual(({ flush }) => {
        const guarded = withBreaker(
          () => {
            calls++;
            return failing();
          },
          { maxFailures: 1, openMs: 50, whenOpen: 'fail', ...options },
        );
        fromPull(new Pulls(5))
          .pipe(poolMap(guarded, { concurrency: 1, onFailure: 'drop' }))
          .subscribe();
        flush();
      });
      return calls;
    };
    expect([count({}), count({ isFailure: () => true })]).toEqual([5, 1]);
  });
});

describe('withBreaker, of promises', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('waits, retries and times out as the wrappers inside say, and leaves no timer', async () => {
    let down = true;
    const work = (value: number): Promise<number> =>
      down ? new Promise(() => undefined) : Promise.resolve(value);
    const guarded = withBreaker(withTimeout(work, { timeoutMs: 10 }), { maxFailures: 2, openMs: 100 });
    const run = runFlow(
      fromPull([1, 2, 3, 4]).pipe(poolMap(withRetry(guarded, delays([1, 1, 1, 1])), { concurrency: 2 })),
    );
    await vi.advanceTimersByTimeAsync(50);
    down = false;
    await vi.advanceTimersByTimeAsync(100);
    expect(await run).toMatchObject({ delivered: 4, leftOver: 0 });
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('goes round withRetry whose work gave promises before an item waited, and throws after it', async () => {
    let calls = 0;
    const work = (value: number): Promise<number> => {
      if (++calls === 4) throw new Error('down');
      return value === 2 ? Promise.reject(new Error('down')) : Promise.resolve(value);
    };
    const guarded = withBreaker(withRetry(work, delays([1])), { maxFailures: 1, openMs: 10 });
    const letters: unknown[] = [];
    const run = runFlow(
      fromPull([1, 2, 3]).pipe(
        poolMap(guarded, { concurrency: 1, onFailure: ({ error }) => letters.push(error) }),
      ),
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(await run).toMatchObject({ delivered: 2, dead: 1 });
    expect(letters).toEqual([new Error('down')]);
  });

  it('leaves no timer behind where all that waited were stopped', async () => {
    const guarded = withBreaker(() => Promise.reject(new Error('down')), { maxFailures: 1, openMs: 60_000 });
    const run = runFlow(
      fromPull([1, 2, 3, 4]).pipe(poolMap(guarded, { concurrency: 2, onFailure: 'drop' })),
      { statsEveryMs: 100_000 },
    );
    await vi.advanceTimersByTimeAsync(1);
    await run.abort();
    expect((await run).left).toHaveLength(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("fails with a code and the time left under whenOpen: 'fail'", async () => {
    const letters: unknown[] = [];
    const guarded = withBreaker(() => Promise.reject(new Error('down')), {
      maxFailures: 1,
      openMs: 100,
      whenOpen: 'fail',
    });
    fromPull([1, 2])
      .pipe(poolMap(guarded, { concurrency: 1, onFailure: ({ error }) => letters.push(error) }))
      .subscribe();
    await vi.advanceTimersByTimeAsync(1);
    expect(letters[1]).toMatchObject({ code: 'BREAKER_OPEN', retryAfterMs: 100, retryable: true });
  });
});
