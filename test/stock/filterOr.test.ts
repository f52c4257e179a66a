import { EMPTY, filter, from, NEVER, Subject, take, tap, type MonoTypeOperatorFunction } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { filterOr } from 'sluice';
import { virtual } from '../operators/virtualTime.ts';

type Filter = <T>(predicate: (value: T, index: number) => boolean) => MonoTypeOperatorFunction<T>;

const filters: readonly (readonly [string, Filter])[] = [
  ['filter', (predicate) => filter(predicate)],
  ['filterOr', (predicate) => filterOr(predicate)],
];

/** What is known of `filter`, asked of both. */
describe.each(filters)('%s', (_name, keep) => {
  it('keeps what the predicate accepts, in the frame it came in', () => {
    virtual(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot('a-b(cd)-e|');
      expectObservable(source.pipe(keep((letter) => 'ace'.includes(letter)))).toBe('a--c----e|');
      expectSubscriptions(source.subscriptions).toBe('^--------!');
    });
  });

  it('passes on an empty, a silent and a failing source', () => {
    virtual(({ cold, expectObservable }) => {
      expectObservable(EMPTY.pipe(keep(() => true))).toBe('|');
      expectObservable(NEVER.pipe(keep(() => true))).toBe('-');
      expectObservable(cold('a-b#').pipe(keep((letter) => letter === 'b'))).toBe('--b#');
      expectObservable(cold('ab|').pipe(keep(() => false))).toBe('--|');
    });
  });

  it('counts the values from 0, for each subscriber anew', () => {
    virtual(({ cold, expectObservable }) => {
      const flow = cold('abcd|').pipe(keep((_letter, index) => index % 2 === 1));
      expectObservable(flow).toBe('-b-d|');
      expectObservable(flow, '--^').toBe('---b-d|');
    });
  });

  it('takes what is true to JavaScript for true', () => {
    const out: unknown[] = [];
    from<unknown[]>([0, 1, '', 'x', null, undefined, NaN, []])
      .pipe(keep((value) => value as boolean))
      .subscribe((value) => out.push(value));
    expect(out).toEqual([1, 'x', []]);
  });

  it('errors with what the predicate throws, and leaves the source', () => {
    virtual(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot('abc|');
      const predicate = (letter: string): boolean => {
        if (letter === 'b') throw 'error';
        return true;
      };
      expectObservable(source.pipe(keep(predicate))).toBe('a#');
      expectSubscriptions(source.subscriptions).toBe('^!');
    });
  });

  it('is left in the frame of the unsubscription, and asks nothing after it', () => {
    virtual(({ hot, flush, expectObservable, expectSubscriptions }) => {
      const asked: string[] = [];
      const source = hot('abcd|');
      const flow = source.pipe(keep((letter) => asked.push(letter) > 0));
      expectObservable(flow, '--!').toBe('ab-');
      expectSubscriptions(source.subscriptions).toBe('^-!');
      flush();
      expect(asked).toEqual(['a', 'b']);
    });
  });

  it('stops a synchronous source when downstream leaves', () => {
    const seen: number[] = [];
    from([1, 2, 3, 4, 5, 6])
      .pipe(
        tap((n) => seen.push(n)),
        keep((n) => n % 2 === 0),
        take(2),
      )
      .subscribe();
    expect(seen).toEqual([1, 2, 3, 4]);
  });

  it('takes values that are given from inside its output, or its predicate', () => {
    const source = new Subject<number>();
    const out: number[] = [];
    source
      .pipe(
        keep((n) => {
          if (n === 3) source.next(30);
          return n !== 2;
        }),
      )
      .subscribe((n) => {
        out.push(n);
        if (n === 1) {
          source.next(2);
          source.next(3);
        }
      });
    source.next(1);
    expect(out).toEqual([1, 30, 3]);
  });
});
