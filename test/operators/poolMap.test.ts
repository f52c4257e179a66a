import { map, NEVER, of, throwError, timer, type Observable } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { fromPull, fromPush, poolMap, type DeadLetter, type Settlement, type WorkContext } from 'sluice';
import { frame, Pulls, taking, virtual } from './virtualTime.ts';

describe('poolMap as a pool', () => {
  it('works on one item at a time at concurrency 1', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  ab-c|');
      const inner: Record<string, ReturnType<typeof cold>> = {
        a: cold('            ---A|'),
        b: cold('            ---B|'),
        c: cold('            ---C|'),
      };
      const expected = '     ---A---B---C|';
      const pool = fromPush(source).pipe(poolMap((value) => inner[value]!, { concurrency: 1 }));
      expectObservable(pool).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe('^---!');
      expectSubscriptions(inner['a']!.subscriptions).toBe('^---!');
      expectSubscriptions(inner['b']!.subscriptions).toBe('----^---!');
      expectSubscriptions(inner['c']!.subscriptions).toBe('--------^---!');
    });
  });

  it('works on two at once at concurrency 2, and starts the next when one completes', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  ab-c|');
      const inner: Record<string, ReturnType<typeof cold>> = {
        a: cold('            ---A|'),
        b: cold('            ---B|'),
        c: cold('            ---C|'),
      };
      const pool = fromPush(source).pipe(poolMap((value) => inner[value]!, { concurrency: 2 }));
      expectObservable(pool).toBe('---AB--C|');
      expectSubscriptions(source.subscriptions).toBe('^---!');
      expectSubscriptions(inner['a']!.subscriptions).toBe('^---!');
      expectSubscriptions(inner['b']!.subscriptions).toBe('-^---!');
      expectSubscriptions(inner['c']!.subscriptions).toBe('----^---!');
    });
  });

  it('starts all at once at concurrency 3', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  ab-c|');
      const inner: Record<string, ReturnType<typeof cold>> = {
        a: cold('            ---A|'),
        b: cold('            ---B|'),
        c: cold('            ---C|'),
      };
      const pool = fromPush(source).pipe(poolMap((value) => inner[value]!, { concurrency: 3 }));
      expectObservable(pool).toBe('---AB-C|');
      expectSubscriptions(inner['a']!.subscriptions).toBe('^---!');
      expectSubscriptions(inner['b']!.subscriptions).toBe('-^---!');
      expectSubscriptions(inner['c']!.subscriptions).toBe('---^---!');
    });
  });

  it('starts and ends at the frames that its slots allow', () => {
    const seen: string[] = [];
    virtual(({ cold, flush }) => {
      const pool = fromPush(cold('(abcde|)')).pipe(
        poolMap(
          (value, { worker, index }) => {
            seen.push(`${frame()}: ${value} starts, worker ${worker}, index ${index}`);
            return taking<string>(value === 'a' ? 5 : 2)(value);
          },
          { concurrency: 2, maxWaiting: 3 },
        ),
      );
      pool.subscribe((value) => seen.push(`${frame()}: ${value} out`));
      flush();
    });
    expect(seen).toEqual([
      '0: a starts, worker 0, index 0',
      '0: b starts, worker 1, index 1',
      '2: b out',
      '2: c starts, worker 1, index 2',
      '4: c out',
      '4: d starts, worker 1, index 3',
      '5: a out',
      '5: e starts, worker 0, index 4',
      '6: d out',
      '7: e out',
    ]);
  });

  it('emits results in the order they are ready, several of one item included', () => {
    virtual(({ cold, expectObservable }) => {
      const inner: Record<string, Observable<string>> = {
        a: cold('           -A---A|'),
        b: cold('            -B-B-B|'),
      };
      const pool = fromPush(cold('ab|')).pipe(poolMap((value) => inner[value]!, { concurrency: 2 }));
      expectObservable(pool).toBe('-AB-BAB|');
    });
  });

  it('passes on an empty and a silent source', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const empty = cold('--|');
      const silent = cold('---');
      expectObservable(empty.pipe(poolMap((value) => of(value), { concurrency: 1 }))).toBe('--|');
      expectObservable(silent.pipe(poolMap((value) => of(value), { concurrency: 1 }))).toBe('---');
      expectSubscriptions(empty.subscriptions).toBe('^-!');
      expectSubscriptions(silent.subscriptions).toBe('^--');
    });
  });

  it('counts an item as done whose work emits nothing', () => {
    virtual(({ cold, expectObservable }) => {
      const inner: Record<string, Observable<string>> = { a: cold('--|'), b: cold('-B|') };
      const pool = fromPush(cold('ab|')).pipe(poolMap((value) => inner[value]!, { concurrency: 1 }));
      expectObservable(pool).toBe('---B|');
    });
  });
});

describe('poolMap, ordered', () => {
  it('holds back what is early', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  abc|');
      const inner: Record<string, ReturnType<typeof cold>> = {
        a: cold('            -----(A|)'),
        b: cold('             -(B|)'),
        c: cold('              --(C|)'),
      };
      const pool = fromPush(source).pipe(
        poolMap((value) => inner[value]!, { concurrency: 3, ordered: true }),
      );
      expectObservable(pool).toBe('-----(ABC|)');
      expectSubscriptions(inner['a']!.subscriptions).toBe('^----!');
      expectSubscriptions(inner['b']!.subscriptions).toBe('-^!');
      expectSubscriptions(inner['c']!.subscriptions).toBe('--^-!');
    });
  });

  it('counts early results against its limit: a slow first item pauses the source', () => {
    const pulls = new Pulls(5);
    const out: string[] = [];
    virtual(({ flush }) => {
      fromPull(pulls)
        .pipe(
          poolMap((value) => taking<number>(value === 0 ? 10 : 1)(value), { concurrency: 2, ordered: true }),
        )
        .subscribe((value) => out.push(`${value}@${frame()}`));
      flush();
    });
    // 1 is done at 1 and keeps its place until 0 leaves at 10.
    expect(pulls.frames).toEqual([0, 0, 10, 10, 11]);
    expect(out).toEqual(['0@10', '1@10', '2@11', '3@11', '4@12']);
  });

  it('lets several results of the first item out at once, and holds those of the second', () => {
    virtual(({ cold, expectObservable }) => {
      const inner: Record<string, Observable<string>> = {
        a: cold('            -A-A-|'),
        b: cold('            B-B|'),
      };
      const pool = fromPush(cold('(ab|)')).pipe(
        poolMap((value) => inner[value]!, { concurrency: 2, ordered: true }),
      );
      expectObservable(pool).toBe('-A-A-(BB|)');
    });
  });

  it('skips what was dropped', () => {
    virtual(({ cold, expectObservable }) => {
      const inner: Record<string, Observable<string>> = {
        a: cold('----(A|)'),
        b: cold('-#'),
        c: cold('-(C|)'),
      };
      const pool = fromPush(cold('(abc|)')).pipe(
        poolMap((value) => inner[value]!, { concurrency: 3, ordered: true, onFailure: 'drop' }),
      );
      expectObservable(pool).toBe('----(AC|)');
    });
  });
});

describe('poolMap, by key', () => {
  it('works on one item of a key at a time, in order, and on many keys at once', () => {
    const seen: string[] = [];
    virtual(({ flush }) => {
      fromPull(['a1', 'a2', 'b1', 'a3', 'b2'])
        .pipe(
          poolMap(
            (value) => {
              seen.push(`${value} starts@${frame()}`);
              return taking<string>(value === 'a1' ? 5 : 2)(value);
            },
            { concurrency: 3, maxWaiting: 2, by: (value) => value[0] },
          ),
        )
        .subscribe((value) => seen.push(`${value} out@${frame()}`));
      flush();
    });
    expect(seen).toEqual([
      'a1 starts@0',
      'b1 starts@0',
      'b1 out@2',
      'b2 starts@2',
      'b2 out@4',
      'a1 out@5',
      'a2 starts@5',
      'a2 out@7',
      'a3 starts@7',
      'a3 out@9',
    ]);
  });

  it('gives keys their turn round robin', () => {
    const started: string[] = [];
    virtual(({ flush }) => {
      fromPull(['a1', 'a2', 'a3', 'b1', 'c1'])
        .pipe(
          poolMap(
            (value) => {
              started.push(value);
              return taking<string>(1)(value);
            },
            { concurrency: 1, maxWaiting: 4, by: (value) => value[0] },
          ),
        )
        .subscribe();
      flush();
    });
    expect(started).toEqual(['a1', 'b1', 'c1', 'a2', 'a3']);
  });

  it('errors with what `by` throws, and finishes what is at work as it fails', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  a-b-|');
      const work = cold('    -----(x|)');
      const pool = fromPush(source).pipe(
        poolMap(() => work, {
          concurrency: 2,
          by: (value) => {
            if (value === 'b') throw new Error('no key');
            return value;
          },
        }),
      );
      expectObservable(pool).toBe('--#', undefined, new Error('no key'));
      expectSubscriptions(source.subscriptions).toBe('^-!');
      expectSubscriptions(work.subscriptions).toBe('^-!');
    });
  });
});

describe('poolMap when work fails', () => {
  it('errors with the error itself, and aborts the others in the same frame', () => {
    const failure = new Error('b failed');
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  abc-----|');
      const inner: Record<string, ReturnType<typeof cold>> = {
        a: cold('            ------A|'),
        b: cold('             --#', {}, failure),
        c: cold('              ---C|'),
      };
      const pool = fromPush(source).pipe(poolMap((value) => inner[value]!, { concurrency: 2 }));
      expectObservable(pool).toBe('---#', undefined, failure);
      expectSubscriptions(source.subscriptions).toBe('^--!');
      expectSubscriptions(inner['a']!.subscriptions).toBe('^--!');
      expectSubscriptions(inner['b']!.subscriptions).toBe('-^-!');
      expectSubscriptions(inner['c']!.subscriptions).toBe([]);
    });
  });

  it('delivers finished results before the error, where the stage below was full', () => {
    const seen: string[] = [];
    virtual(({ flush }) => {
      fromPull(['a', 'b', 'c'])
        .pipe(
          poolMap(
            (value) => (value === 'c' ? timer(3).pipe(map(() => fail('c'))) : taking<string>(1)(value)),
            {
              concurrency: 3,
            },
          ),
          poolMap((value) => taking<string>(10)(value), { concurrency: 1 }),
        )
        .subscribe({
          next: (value) => seen.push(`${value}@${frame()}`),
          error: (error: unknown) => seen.push(`${(error as Error).message}@${frame()}`),
        });
      flush();
    });
    // b was ready at 1, and waited for the one slot below; the error comes after both.
    expect(seen).toEqual(['a@11', 'b@21', 'c@21']);
  });

  it('aborts the signals of busy work with a reason that names the failure', () => {
    const reasons: unknown[] = [];
    const failure = new Error('b failed');
    virtual(({ cold, expectObservable }) => {
      const work = (value: string, { signal }: WorkContext): Observable<string> => {
        if (value === 'b') return timer(2).pipe(map(() => fail(failure)));
        signal.addEventListener('abort', () => reasons.push(signal.reason));
        return NEVER;
      };
      const pool = fromPush(cold('ab|')).pipe(poolMap(work, { concurrency: 2 }));
      expectObservable(pool).toBe('---#', undefined, failure);
    });
    expect(reasons).toEqual([expect.objectContaining({ code: 'HANDED_BACK', cause: failure })]);
  });

  it('goes on after an item that is dropped', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  ab|');
      const inner: Record<string, ReturnType<typeof cold>> = {
        a: cold('            --#'),
        b: cold('            --B|'),
      };
      const pool = fromPush(source).pipe(
        poolMap((value) => inner[value]!, { concurrency: 1, onFailure: 'drop' }),
      );
      expectObservable(pool).toBe('----B|');
      expectSubscriptions(inner['a']!.subscriptions).toBe('^-!');
      expectSubscriptions(inner['b']!.subscriptions).toBe('--^--!');
    });
  });

  it('keeps what a dropped item emitted before it failed', () => {
    virtual(({ cold, expectObservable }) => {
      const pool = fromPush(cold('a|')).pipe(
        poolMap(() => cold('-x-y-#'), { concurrency: 1, onFailure: 'drop' }),
      );
      expectObservable(pool).toBe('-x-y-|');
    });
  });

  it('hands a dead letter with the value, the error, the attempts, the stage and the time', () => {
    const letters: DeadLetter<string>[] = [];
    const failure = new Error('no');
    virtual(({ cold, expectObservable }) => {
      const pool = fromPush(cold('ab|')).pipe(
        poolMap((value) => (value === 'a' ? throwError(() => failure) : of('B')), {
          concurrency: 1,
          name: 'parse',
          onFailure: (letter) => letters.push(letter),
        }),
      );
      expectObservable(pool).toBe('-B|');
    });
    expect(letters).toEqual([{ value: 'a', error: failure, attempts: 1, stage: 'parse', elapsedMs: 0 }]);
  });

  it('takes an Observer for dead letters', () => {
    const next = vi.fn();
    virtual(({ cold, expectObservable }) => {
      const pool = fromPush(cold('a|')).pipe(
        poolMap(() => throwError(() => 'x'), { concurrency: 1, onFailure: { next } }),
      );
      expectObservable(pool).toBe('-|');
    });
    expect(next).toHaveBeenCalledExactlyOnceWith({
      value: 'a',
      error: 'x',
      attempts: 1,
      stage: 'poolMap',
      elapsedMs: 0,
    });
  });

  it('errors with what the dead-letter handler throws', () => {
    virtual(({ cold, expectObservable }) => {
      const pool = fromPush(cold('a-|')).pipe(
        poolMap(() => throwError(() => 'x'), {
          concurrency: 1,
          onFailure: () => fail('the letter box is full'),
        }),
      );
      expectObservable(pool).toBe('#', undefined, new Error('the letter box is full'));
    });
  });

  it('treats a throw of the work function as a failure of its item', () => {
    virtual(({ cold, expectObservable }) => {
      const pool = fromPush(cold('ab|')).pipe(
        poolMap((value) => (value === 'a' ? fail('thrown') : of(value)), {
          concurrency: 1,
          onFailure: 'drop',
        }),
      );
      expectObservable(pool).toBe('-b|');
    });
  });

  it('treats a result that is no stream as a failure of its item', () => {
    virtual(({ cold, expectObservable }) => {
      const pool = fromPush(cold('a|')).pipe(poolMap(() => 42 as never, { concurrency: 1 }));
      expectObservable(pool).toBe('#', undefined, expect.any(TypeError));
    });
  });
});

describe('poolMap at the end', () => {
  it('passes an error of the source on after the items it accepted', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  abc#');
      const inner: Record<string, ReturnType<typeof cold>> = {
        a: cold('            ----A|'),
        b: cold('            ----B|'),
        c: cold('            --C|'),
      };
      const pool = fromPush(source).pipe(poolMap((value) => inner[value]!, { concurrency: 2 }));
      expectObservable(pool).toBe('----AB-C#');
      expectSubscriptions(source.subscriptions).toBe('^--!');
      expectSubscriptions(inner['c']!.subscriptions).toBe('-----^--!');
    });
  });

  it('unsubscribes from the source and from all work in one frame', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  abc---|');
      const inner: Record<string, ReturnType<typeof cold>> = {
        a: cold('            -------A|'),
        b: cold('            -------B|'),
        c: cold('            -------C|'),
      };
      const pool = fromPush(source).pipe(poolMap((value) => inner[value]!, { concurrency: 2 }));
      expectObservable(pool, '^---!').toBe('-----');
      expectSubscriptions(source.subscriptions).toBe('^---!');
      expectSubscriptions(inner['a']!.subscriptions).toBe('^---!');
      expectSubscriptions(inner['b']!.subscriptions).toBe('-^--!');
      expectSubscriptions(inner['c']!.subscriptions).toBe([]);
    });
  });

  it('aborts the signals of busy work when it is unsubscribed from', () => {
    const signals: AbortSignal[] = [];
    virtual(({ cold, expectObservable, flush }) => {
      const pool = fromPush(cold('ab-')).pipe(
        poolMap(
          (_value, { signal }) => {
            signals.push(signal);
            return NEVER;
          },
          { concurrency: 2 },
        ),
      );
      expectObservable(pool, '^--!').toBe('---');
      flush();
    });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    expect(signals[0]!.reason).toMatchObject({ code: 'HANDED_BACK' });
  });

  it('does not abort the signal of work that has ended well', () => {
    const signals: AbortSignal[] = [];
    virtual(({ cold, flush }) => {
      fromPush(cold('ab|'))
        .pipe(
          poolMap(
            (value, { signal }) => {
              signals.push(signal);
              return of(value);
            },
            { concurrency: 1 },
          ),
        )
        .subscribe();
      flush();
    });
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
  });
});

describe('poolMap over sources that cannot wait', () => {
  it('lets its line grow, and says so once', () => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    virtual(({ hot, expectObservable }) => {
      const pool = hot('abcd|').pipe(poolMap((value) => taking<string>(2)(value), { concurrency: 1 }));
      expectObservable(pool).toBe('--a-b-c-(d|)');
    });
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(
        /^\[sluice\] poolMap: items arrive although 1 is held, with no source that can wait above/,
      ),
    );
    warn.mockRestore();
  });

  it('says nothing where fromPush says that it is meant', () => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    virtual(({ hot, expectObservable }) => {
      const pool = fromPush(hot('abcd|')).pipe(
        poolMap((value) => taking<string>(2)(value), { concurrency: 1 }),
      );
      expectObservable(pool).toBe('--a-b-c-(d|)');
    });
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });
});

describe('poolMap and inner sources that wait', () => {
  it('pauses a pulled result while the stage below is full', () => {
    const pulls = new Pulls(3);
    const out: string[] = [];
    virtual(({ flush }) => {
      fromPull(['item'])
        .pipe(
          poolMap(() => fromPull(pulls), { concurrency: 1 }),
          poolMap((value) => taking<number>(5)(value), { concurrency: 1 }),
        )
        .subscribe((value) => out.push(`${value}@${frame()}`));
      flush();
    });
    expect(out).toEqual(['0@5', '1@10', '2@15']);
    // The first is below, the second stands in the pool: one is ahead of what is delivered.
    expect(pulls.frames).toEqual([0, 0, 5]);
  });

  it('pulls an iterable that work returns on demand, too', () => {
    const pulls = new Pulls();
    virtual(({ expectObservable }) => {
      const flow = fromPull(['item']).pipe(
        poolMap(() => pulls, { concurrency: 1 }),
        poolMap((value) => taking<string>(5)(String(value)), { concurrency: 1 }),
      );
      expectObservable(flow, '^-----------!').toBe('-----0----1--');
    });
    expect(pulls.frames).toEqual([0, 0, 5, 10]);
    expect(pulls.returnedAt).toBe(12);
  });

  it.each([false, true])('delivers what an array holds one by one, ordered: %s', (ordered) => {
    const arrays: Record<string, string[]> = { a: ['1', '2'], b: [], c: ['3', '4'] };
    const settled: string[] = [];
    const onSettled = ({ value, failure }: Settlement<string>): void => {
      settled.push(`${value}@${frame()}${failure === undefined ? '' : ' back'}`);
    };
    virtual(({ expectObservable }) => {
      const flow = fromPull(['a', 'b', 'c', 'd'], { onSettled }).pipe(
        poolMap((value) => arrays[value] ?? of('5'), { concurrency: 2, ordered }),
        poolMap((value) => taking<string>(3)(value), { concurrency: 1 }),
      );
      // 4 is at work, and 3 of 4 results of c and d have not begun, when it is left.
      expectObservable(flow, '^----------!').toBe('---1--2--3-');
    });
    expect(settled.sort()).toEqual(['a@6', 'b@3', 'c@11 back', 'd@11 back']);
  });

  it('takes a string for a stream of its characters, as mergeMap does', () => {
    virtual(({ expectObservable }) => {
      const flow = of(1).pipe(poolMap(() => 'abc', { concurrency: 1 }));
      expectObservable(flow).toBe('(abc|)');
    });
  });
});

function fail(error: string | Error): never {
  throw typeof error === 'string' ? new Error(error) : error;
}
