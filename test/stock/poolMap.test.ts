import type { Observable } from 'rxjs';
import {
  concat,
  EMPTY,
  from,
  lastValueFrom,
  mergeMap,
  NEVER,
  of,
  Subject,
  take,
  tap,
  throwError,
  timer,
  toArray,
  type ObservableInput,
  type OperatorFunction,
} from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { poolMap } from 'sluice';
import { virtual } from '../operators/virtualTime.ts';

type Project<T, R> = (value: T, index: number) => ObservableInput<R>;
type Pool = <T, R>(project: Project<T, R>, concurrency?: number) => OperatorFunction<T, R>;

const pools: readonly (readonly [string, Pool])[] = [
  ['mergeMap', (project, concurrency) => mergeMap(project, concurrency)],
  // No number is no cap, which poolMap has no word for.
  [
    'poolMap',
    (project, concurrency = 1_000) => poolMap((value, { index }) => project(value, index), { concurrency }),
  ],
];

/** What is known of `mergeMap` over a source that does not wait, asked of both. */
describe.each(pools)('%s', (name, pool) => {
  beforeEach(() => {
    vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('merges inners as they emit, and completes with the last of them', () => {
    virtual(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const source = hot('a--b----|');
      const inners = { a: cold(' --1--2|'), b: cold('    -3----4|') };
      expectObservable(source.pipe(pool((letter) => inners[letter as 'a' | 'b']))).toBe('--1-32---4|');
      expectSubscriptions(source.subscriptions).toBe('^-------!');
      expectSubscriptions(inners.a.subscriptions).toBe('^-----!');
      expectSubscriptions(inners.b.subscriptions).toBe('---^------!');
    });
  });

  it('has the others wait at a cap, and starts them in order as inners end', () => {
    virtual(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const source = hot('abc|');
      const inner = cold('---x|');
      expectObservable(source.pipe(pool(() => inner, 2))).toBe('---xx--x|');
      expectSubscriptions(source.subscriptions).toBe('^--!');
      expectSubscriptions(inner.subscriptions).toBe(['^---!', '-^---!', '----^---!']);
    });
    // It says so, as mergeMap does not, where its line grows.
    expect(console.warn).toHaveBeenCalledTimes(name === 'poolMap' ? 1 : 0);
  });

  it('is a line at a cap of one', () => {
    virtual(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const inner = cold('--x|');
      expectObservable(hot('(abc|)').pipe(pool(() => inner, 1))).toBe('--x--x--x|');
      expectSubscriptions(inner.subscriptions).toBe(['^--!', '---^--!', '------^--!']);
    });
  });

  it('gives all of a synchronous inner before the next, and the index of each value', async () => {
    const flow = from(['a', 'b', 'c']).pipe(pool((letter, index) => of(letter, `${letter}${index}`)));
    expect(await lastValueFrom(flow.pipe(toArray()))).toEqual(['a', 'a0', 'b', 'b1', 'c', 'c2']);
  });

  it('passes on an empty and a silent source, and silent inners', () => {
    virtual(({ cold, hot, expectObservable }) => {
      expectObservable(EMPTY.pipe(pool(() => of('x')))).toBe('|');
      expectObservable(NEVER.pipe(pool(() => of('x')))).toBe('-');
      expectObservable(hot('ab|').pipe(pool(() => EMPTY))).toBe('--|');
      expectObservable(hot('ab|').pipe(pool(() => NEVER))).toBe('---');
      expectObservable(hot('(a|)').pipe(pool(() => cold('---|')))).toBe('---|');
    });
  });

  it('errors with an inner, at once, and leaves the source and the others in that frame', () => {
    virtual(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const source = hot('ab-----|');
      const inners = { a: cold('------1|'), b: cold(' --#') };
      expectObservable(source.pipe(pool((letter) => inners[letter as 'a' | 'b']))).toBe('---#');
      expectSubscriptions(source.subscriptions).toBe('^--!');
      expectSubscriptions(inners.a.subscriptions).toBe('^--!');
      expectSubscriptions(inners.b.subscriptions).toBe('-^-!');
    });
  });

  it('starts nothing that waits once an inner has failed', () => {
    virtual(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const inner = cold('--#');
      expectObservable(hot('(abc|)').pipe(pool(() => inner, 1))).toBe('--#');
      expectSubscriptions(inner.subscriptions).toBe('^-!');
    });
  });

  it('errors with what the function throws, and with a TypeError where it gives no stream', () => {
    virtual(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot('ab|');
      const throws = (letter: string): Observable<string> => {
        if (letter === 'b') throw 'error';
        return of(letter);
      };
      expectObservable(source.pipe(pool(throws))).toBe('a#');
      expectSubscriptions(source.subscriptions).toBe('^!');
    });
    const error = vi.fn();
    of(1)
      .pipe(pool(() => 5 as unknown as Observable<number>))
      .subscribe({ error });
    expect(error.mock.calls).toEqual([[expect.any(TypeError)]]);
  });

  it('errors with a source that errors while nothing is inside', () => {
    virtual(({ cold, expectObservable }) => {
      const flow = cold('a---#').pipe(pool(() => cold('-x|')));
      expectObservable(flow).toBe('-x--#');
      expectObservable(throwError(() => 'error').pipe(pool(() => of('x')))).toBe('#');
    });
  });

  it('errors with a source that errors while an inner is at work: mergeMap at once, poolMap when it is done', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const inner = cold('--x--y|');
      expectObservable(cold('a--#').pipe(pool(() => inner))).toBe(name === 'mergeMap' ? '--x#' : '--x--y#');
      expectSubscriptions(inner.subscriptions).toBe(name === 'mergeMap' ? '^--!' : '^-----!');
    });
  });

  it('is left in the frame of the unsubscription, with all that is inside', () => {
    virtual(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const source = hot('abc------|');
      const inner = cold('  -----x|');
      expectObservable(source.pipe(pool(() => inner, 2)), '----!').toBe('-----');
      expectSubscriptions(source.subscriptions).toBe('^---!');
      expectSubscriptions(inner.subscriptions).toBe(['^---!', '-^--!']);
    });
  });

  it('has state of its own for each subscriber', () => {
    virtual(({ cold, expectObservable }) => {
      const flow = cold('abc|').pipe(pool((letter, index) => of(`${letter}${index}`)));
      const values = { a: 'a0', b: 'b1', c: 'c2' };
      expectObservable(flow).toBe('abc|', values);
      expectObservable(flow, '--^').toBe('--abc|', values);
    });
  });

  it('stops a synchronous source when downstream leaves', () => {
    const seen: number[] = [];
    const out: number[] = [];
    from([1, 2, 3, 4, 5])
      .pipe(
        tap((n) => seen.push(n)),
        pool((n) => of(n)),
        take(2),
      )
      .subscribe((n) => out.push(n));
    expect([seen, out]).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });

  it('takes whatever stands for a stream', async () => {
    const foreign = {
      subscribe: (observer: { next: (value: number) => void; complete: () => void }) => {
        observer.next(1);
        observer.next(2);
        observer.complete();
        return { unsubscribe: () => undefined };
      },
      [Symbol.observable ?? '@@observable']: () => foreign,
    };
    async function* generator(): AsyncGenerator<number> {
      yield* [1, 2];
    }
    const inputs: Record<string, ObservableInput<number>> = {
      array: [1, 2],
      set: new Set([1, 2]),
      promise: Promise.resolve(12),
      observable: concat(timer(0).pipe(mergeMap(() => EMPTY)), of(1, 2)),
      generator: generator(),
      stream: new ReadableStream<number>({
        start(controller) {
          controller.enqueue(1);
          controller.enqueue(2);
          controller.close();
        },
      }),
      foreign: foreign,
    };
    for (const [kind, input] of Object.entries(inputs)) {
      const values = await lastValueFrom(
        of(0).pipe(
          pool(() => input, 1),
          toArray(),
        ),
      );
      expect([kind, ...values]).toEqual([kind, ...(kind === 'promise' ? [12] : [1, 2])]);
    }
  });

  it('takes values that are given from inside its own output', () => {
    const source = new Subject<number>();
    const out: number[] = [];
    source.pipe(pool((n) => of(n), 1)).subscribe((n) => {
      out.push(n);
      if (n < 5) source.next(n + 1);
      if (n === 5) source.complete();
    });
    source.next(1);
    expect(out).toEqual([1, 2, 3, 4, 5]);
  });

  it('takes values that are given from inside its own function, after the one at work', () => {
    const source = new Subject<number>();
    const out: (number | string)[] = [];
    source
      .pipe(
        pool((n) => {
          if (n < 4) source.next(n + 1);
          return of(n);
        }, 1),
      )
      .subscribe({ next: (n) => out.push(n), complete: () => out.push('complete') });
    source.next(1);
    source.complete();
    expect(out).toEqual([1, 2, 3, 4, 'complete']);
  });

  it('does not emit to one who left from inside its output', () => {
    const source = new Subject<number>();
    const out: number[] = [];
    const subscription = source.pipe(pool((n) => of(n, n + 1, n + 2))).subscribe((n) => {
      out.push(n);
      if (n === 11) subscription.unsubscribe();
    });
    source.next(10);
    source.next(20);
    expect(out).toEqual([10, 11]);
    expect(source.observed).toBe(false);
  });
});
