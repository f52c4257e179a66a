import { map, mergeMap, NEVER, of, throwError, timer, type Observable, type ObservableInput } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  delays,
  fromPull,
  fromPush,
  poolMap,
  TimeoutError,
  withRetry,
  withTimeout,
  type DeadLetter,
  type Work,
  type WorkContext,
} from 'sluice';
import { Demand } from '../../src/demand/Demand.ts';
import { sleep } from '../flow/settling.ts';
import { frame, taking, virtual } from './virtualTime.ts';

describe('withRetry around work that is an Observable', () => {
  it('tries again after 1 s, 3 s and 5 s, inside the slot of the item', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const work = cold('--#');
      const next = cold('B|');
      const letters: DeadLetter<string>[] = [];
      const pool = fromPush(cold('ab|')).pipe(
        poolMap(
          withRetry((value: string) => (value === 'a' ? work : next), delays([1_000, 3_000, 5_000])),
          { concurrency: 1, onFailure: (letter) => letters.push(letter) },
        ),
      );
      expectObservable(pool).toBe('9008ms B|');
      expectSubscriptions(work.subscriptions).toBe(['^-!', '1002ms ^-!', '4004ms ^-!', '9006ms ^-!']);
      expectSubscriptions(next.subscriptions).toBe('9008ms ^!');
    });
  });

  it('gives up with the last error itself', () => {
    let attempts = 0;
    virtual(({ cold, expectObservable }) => {
      const work = (): Observable<string> => throwError(() => `failure ${++attempts}`);
      const pool = fromPush(cold('a|')).pipe(poolMap(withRetry(work, delays([1, 1])), { concurrency: 1 }));
      expectObservable(pool).toBe('--#', undefined, 'failure 3');
    });
  });

  it('counts attempts for the dead letter, and in the context', () => {
    const seen: number[] = [];
    const letters: DeadLetter<string>[] = [];
    virtual(({ cold, flush }) => {
      const work = (_: string, { attempt }: WorkContext): Observable<string> => {
        seen.push(attempt);
        return throwError(() => 'x');
      };
      fromPush(cold('a|'))
        .pipe(
          poolMap(withRetry(work, delays([1, 1])), {
            concurrency: 1,
            onFailure: (letter) => letters.push(letter),
          }),
        )
        .subscribe();
      flush();
    });
    expect(seen).toEqual([1, 2, 3]);
    expect(letters).toEqual([{ value: 'a', error: 'x', attempts: 3, stage: 'poolMap', elapsedMs: 2 }]);
  });

  it('tries again where the work function itself throws', () => {
    let attempts = 0;
    virtual(({ cold, expectObservable }) => {
      const work = (value: string): Observable<string> => {
        if (++attempts < 3) throw new Error('not yet');
        return of(value);
      };
      const pool = fromPush(cold('a|')).pipe(poolMap(withRetry(work, delays([2, 3])), { concurrency: 1 }));
      expectObservable(pool).toBe('-----(a|)');
    });
  });

  it('emits again what an attempt emitted before it failed', () => {
    let attempts = 0;
    virtual(({ cold, expectObservable }) => {
      const pool = fromPush(cold('a|')).pipe(
        poolMap(
          withRetry(() => (++attempts === 1 ? cold('-x#') : cold('-x|')), delays([3])),
          { concurrency: 1 },
        ),
      );
      expectObservable(pool).toBe('-x----x|');
    });
  });

  it('holds the slots of others not at all: a wait is one slot', () => {
    const out: string[] = [];
    virtual(({ flush }) => {
      const work = (value: number, { attempt }: WorkContext): Observable<string> =>
        value === 0 && attempt === 1 ? throwError(() => 'x') : taking<string>(1)(`${value}`);
      fromPull([0, 1, 2, 3])
        .pipe(poolMap(withRetry(work, delays([10])), { concurrency: 2 }))
        .subscribe((value) => out.push(`${value}@${frame()}`));
      flush();
    });
    expect(out).toEqual(['1@1', '2@2', '3@3', '0@11']);
  });

  it('ends the wait when the item is unsubscribed from', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const work = cold('-#');
      const pool = fromPush(cold('a|')).pipe(
        poolMap(
          withRetry(() => work, delays([9])),
          { concurrency: 1 },
        ),
      );
      expectObservable(pool, '^---!').toBe('-----');
      expectSubscriptions(work.subscriptions).toBe('^!');
    });
  });

  it('works on its own, outside a pool', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const work = cold('-#');
      const tried = withRetry((_value: string) => work, delays([2]));
      const context = { index: 0, worker: 0, attempt: 1, signal: new AbortController().signal };
      expectObservable(tried('a', context)).toBe('----#');
      expectSubscriptions(work.subscriptions).toBe(['^!', '---^!']);
    });
  });
});

describe('withTimeout around work that is an Observable', () => {
  it('fails the item with a TimeoutError, unsubscribes from the work and aborts its signal', () => {
    const signals: AbortSignal[] = [];
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const work = cold('-------x|');
      const pool = fromPush(cold('a|')).pipe(
        poolMap(
          withTimeout(
            (_value: string, { signal }) => {
              signals.push(signal);
              return work;
            },
            { timeoutMs: 5 },
          ),
          { concurrency: 1 },
        ),
      );
      expectObservable(pool).toBe('-----#', undefined, new TimeoutError('withTimeout', 5));
      expectSubscriptions(work.subscriptions).toBe('^----!');
    });
    expect(signals[0]?.reason).toMatchObject({ code: 'TIMEOUT', timeoutMs: 5, retryable: true });
  });

  it('leaves work that is in time alone', () => {
    const signals: AbortSignal[] = [];
    virtual(({ cold, expectObservable }) => {
      const pool = fromPush(cold('a|')).pipe(
        poolMap(
          withTimeout(
            (_value: string, { signal }) => {
              signals.push(signal);
              return cold('---x|');
            },
            { timeoutMs: 5 },
          ),
          { concurrency: 1 },
        ),
      );
      expectObservable(pool).toBe('---x|');
    });
    expect(signals[0]?.aborted).toBe(false);
  });

  it('bounds each attempt inside withRetry: 1 s of work, then waits of 1 s, 3 s and 5 s', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const work = cold('-');
      const tried = withRetry(
        withTimeout((_value: string) => work, { timeoutMs: 1_000 }),
        delays([1_000, 3_000, 5_000]),
      );
      const pool = fromPush(cold('a|')).pipe(poolMap(tried, { concurrency: 1 }));
      expectObservable(pool).toBe('13000ms #', undefined, new TimeoutError('withTimeout', 1_000));
      expectSubscriptions(work.subscriptions).toBe([
        '^ 999ms !',
        '2000ms ^ 999ms !',
        '6000ms ^ 999ms !',
        '12000ms ^ 999ms !',
      ]);
    });
  });

  it('bounds the item with its attempts and waits outside withRetry', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const work = cold('-#');
      const tried = withTimeout(
        withRetry((_value: string) => work, delays([3, 3, 3, 3])),
        { timeoutMs: 6 },
      );
      const pool = fromPush(cold('a|')).pipe(poolMap(tried, { concurrency: 1 }));
      expectObservable(pool).toBe('------#', undefined, new TimeoutError('withTimeout', 6));
      expectSubscriptions(work.subscriptions).toBe(['^!', '----^!']);
    });
  });
});

describe('withTimeout around work whose results wait for room below', () => {
  const timed = (work: Work<number, ObservableInput<number>>): Work<number, ObservableInput<number>> =>
    withTimeout(work, { timeoutMs: 50 });
  const generator = function* (value: number): Generator<number> {
    yield value;
    yield value;
  };

  it.each<[string, Work<number, ObservableInput<number>>]>([
    ['an array', timed((value) => [value, value])],
    ['a generator', timed(generator)],
    ['an Observable of RxJS', timed((value) => of(value, value))],
    ['an Observable that waits', timed((value) => timer(5).pipe(mergeMap(() => fromPull([value, value]))))],
    ['a generator that may be tried again', timed(withRetry(generator, delays([1])))],
    ['one with a timeout for each attempt', timed(withRetry(timed(generator), delays([1])))],
  ])('does not count that time: %s', (_, work) => {
    const out: number[] = [];
    const dead: number[] = [];
    virtual(({ flush }) => {
      fromPull([1, 2, 3])
        .pipe(
          poolMap(work, { concurrency: 2, onFailure: ({ value }) => dead.push(value) }),
          poolMap(taking<number>(100), { concurrency: 1 }),
        )
        .subscribe((value) => out.push(value));
      flush();
    });
    expect(out.toSorted()).toEqual([1, 1, 2, 2, 3, 3]);
    expect(dead).toEqual([]);
  });

  it('counts the time of the work before it and after it', async () => {
    vi.useFakeTimers();
    const startedAt = performance.now();
    const seen: string[] = [];
    const note = (what: unknown): number => seen.push(`${String(what)}@${performance.now() - startedAt}`);
    const work = async function* (value: number): AsyncGenerator<string> {
      if (value === 0) yield 'first';
      else {
        await sleep(20);
        yield 'in time';
        await sleep(40);
        yield 'late';
      }
    };
    fromPull([0, 1])
      .pipe(
        poolMap(withTimeout(work, { timeoutMs: 50 }), {
          concurrency: 2,
          onFailure: ({ value, error }) => note(`${value} ${(error as TimeoutError).code}`),
        }),
        poolMap(
          async (value) => {
            await sleep(100);
            return value;
          },
          { concurrency: 1 },
        ),
      )
      .subscribe(note);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(seen).toEqual(['first@100', '1 TIMEOUT@130', 'in time@200']);
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });
});

describe('withRetry and withTimeout around promises', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('tries at 0 s, 1 s, 4 s and 9 s', async () => {
    const startedAt = performance.now();
    const seen: number[] = [];
    const work = withRetry(
      async (value: string) => {
        seen.push(performance.now() - startedAt);
        if (seen.length < 4) throw new Error('not yet');
        return value;
      },
      delays([1_000, 3_000, 5_000]),
    );
    const got: string[] = [];
    fromPull(['a'])
      .pipe(poolMap(work, { concurrency: 1 }))
      .subscribe((value) => got.push(value));
    await vi.advanceTimersByTimeAsync(8_999);
    expect(seen).toEqual([0, 1_000, 4_000]);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen).toEqual([0, 1_000, 4_000, 9_000]);
    expect(got).toEqual(['a']);
  });

  it('gives each attempt a signal of its own, aborted at its timeout alone', async () => {
    const signals: AbortSignal[] = [];
    const work = withRetry(
      withTimeout(
        (_value: string, { signal, attempt }) => {
          signals.push(signal);
          return attempt === 3 ? Promise.resolve('done') : new Promise<string>(() => undefined);
        },
        { timeoutMs: 10 },
      ),
      delays([5, 5]),
    );
    const got: string[] = [];
    fromPull(['a'])
      .pipe(poolMap(work, { concurrency: 1 }))
      .subscribe((value) => got.push(value));
    await vi.advanceTimersByTimeAsync(30);
    expect(got).toEqual(['done']);
    expect(new Set(signals).size).toBe(3);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false]);
  });

  it('runs a query once that runs each time it is awaited', async () => {
    let queries = 0;
    const query = (value: string): Promise<string> =>
      ({
        then(resolve: (value: string) => void) {
          queries++;
          resolve(value);
        },
      }) as Promise<string>;
    const got: string[] = [];
    fromPull(['a'])
      .pipe(poolMap(withTimeout(query, { timeoutMs: 10 }), { concurrency: 1 }))
      .subscribe((value) => got.push(value));
    await vi.advanceTimersByTimeAsync(20);
    expect([got, queries]).toEqual([['a'], 1]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves no timer behind when work is in time', async () => {
    const work = withTimeout(async (value: string) => value, { timeoutMs: 60_000 });
    fromPull(['a', 'b'])
      .pipe(poolMap(work, { concurrency: 1 }))
      .subscribe();
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves no listener on a signal that lives longer', async () => {
    const controller = new AbortController();
    const add = vi.spyOn(controller.signal, 'addEventListener');
    const remove = vi.spyOn(controller.signal, 'removeEventListener');
    const work = withRetry(
      withTimeout(async (value: string) => value, { timeoutMs: 10 }),
      delays([1]),
    );
    const context = { index: 0, worker: 0, attempt: 1, signal: controller.signal };
    await work('a', context);
    await vi.advanceTimersByTimeAsync(0);
    expect(add).toHaveBeenCalledTimes(1);
    expect(remove).toHaveBeenCalledTimes(1);
  });

  it('leaves no wait behind at the stage when a timeout cuts a retry short', async () => {
    let waits = 0;
    const original = Demand.prototype.whenDraining;
    const spy = vi.spyOn(Demand.prototype, 'whenDraining').mockImplementation(function (this: Demand, stop) {
      waits++;
      const cancel = original.call(this, stop);
      return () => {
        waits--;
        cancel();
      };
    });
    const work = withTimeout(
      withRetry(
        async () => {
          throw new Error('down');
        },
        delays([1_000]),
      ),
      { timeoutMs: 5 },
    );
    let completed = false;
    fromPull([1, 2, 3])
      .pipe(poolMap(work, { concurrency: 3, onFailure: 'drop' }))
      .subscribe({ complete: () => (completed = true) });
    await vi.advanceTimersByTimeAsync(5);
    spy.mockRestore();
    expect(completed).toBe(true);
    expect(waits).toBe(0);
  });

  it('fails where an Observable comes from a later attempt, though the first gave a promise', async () => {
    const work = withRetry(
      (value: string, { attempt }: WorkContext): Promise<string> | Observable<string> =>
        attempt === 1 ? Promise.reject(new Error('x')) : of(value),
      delays([1]),
    );
    let error: unknown;
    fromPull(['a'])
      .pipe(poolMap(work, { concurrency: 1 }))
      .subscribe({ error: (reason: unknown) => (error = reason) });
    await vi.advanceTimersByTimeAsync(1);
    expect(error).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining('withRetry') });
  });

  it('takes a promise from a later attempt, though the first gave an Observable', async () => {
    const work = withRetry(
      (value: string, { attempt }: WorkContext): Promise<string> | Observable<string> =>
        attempt === 1 ? throwError(() => 'x') : Promise.resolve(value),
      delays([1]),
    );
    const got: string[] = [];
    fromPull(['a'])
      .pipe(poolMap(work, { concurrency: 1 }))
      .subscribe((value) => got.push(value));
    await vi.advanceTimersByTimeAsync(1);
    expect(got).toEqual(['a']);
  });
});

describe('timeouts of work that never ends', () => {
  it('frees the slot for the next item', () => {
    const out: string[] = [];
    virtual(({ flush }) => {
      const work = withTimeout((value: number) => (value === 0 ? NEVER : timer(1).pipe(map(() => value))), {
        timeoutMs: 4,
      });
      fromPull([0, 1])
        .pipe(poolMap(work, { concurrency: 1, onFailure: 'drop' }))
        .subscribe((value) => out.push(`${value}@${frame()}`));
      flush();
    });
    expect(out).toEqual(['1@5']);
  });
});
