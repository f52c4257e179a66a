import { defer, EMPTY, NEVER, of, retry, take, throwError, type MonoTypeOperatorFunction } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { delays, retryDelayed } from 'sluice';
import { virtual } from '../operators/virtualTime.ts';

type Retry = (count: number, delay: number) => MonoTypeOperatorFunction<string>;

const retries: readonly (readonly [string, Retry])[] = [
  ['retry', (count, delay) => retry({ count, delay })],
  ['retryDelayed', (count, delay) => retryDelayed(delays(Array<number>(count).fill(delay)))],
];

/** What is known of `retry` with a count and a delay, asked of both. */
describe.each(retries)('%s', (_name, again) => {
  it('changes nothing where nothing fails', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('a-b-|');
      expectObservable(source.pipe(again(2, 3))).toBe('a-b-|');
      expectSubscriptions(source.subscriptions).toBe('^---!');
      expectObservable(EMPTY.pipe(again(2, 3))).toBe('|');
      expectObservable(NEVER.pipe(again(2, 3))).toBe('-');
    });
  });

  it('subscribes again after each delay, and gives up with the last error at once', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('a-#');
      expectObservable(source.pipe(again(2, 3))).toBe('a----a----a-#');
      expectSubscriptions(source.subscriptions).toBe(['^-!', '-----^-!', '----------^-!']);
    });
  });

  it('stops trying when an attempt completes', () => {
    virtual(({ cold, expectObservable }) => {
      const attempts = [cold('a#'), cold('b#'), cold('c|')];
      const flow = defer(() => attempts.shift() ?? EMPTY).pipe(again(5, 2));
      expectObservable(flow).toBe('a--b--c|');
    });
  });

  it('passes the error on at once where it may not try again', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('a#');
      expectObservable(source.pipe(again(0, 3))).toBe('a#');
      expectSubscriptions(source.subscriptions).toBe('^!');
    });
  });

  it('is left during an attempt, or a wait, with no attempt after it', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const attempt = cold('a---#');
      expectObservable(attempt.pipe(again(2, 3)), '--!').toBe('a--');
      expectSubscriptions(attempt.subscriptions).toBe('^-!');
      const wait = cold('a#');
      expectObservable(wait.pipe(again(2, 5)), '---!').toBe('a---');
      expectSubscriptions(wait.subscriptions).toBe('^!');
    });
  });

  it('counts for each subscriber anew', () => {
    virtual(({ cold, expectObservable }) => {
      const flow = cold('a#').pipe(again(1, 2));
      expectObservable(flow).toBe('a--a#');
      expectObservable(flow, '-^').toBe('-a--a#');
    });
  });

  it('passes on the last error itself', () => {
    virtual(({ flush }) => {
      const made: Error[] = [];
      const error = vi.fn();
      const source = throwError(() => {
        const failure = new Error(`attempt ${made.length + 1}`);
        made.push(failure);
        return failure;
      });
      source.pipe(again(2, 1)).subscribe({ error });
      flush();
      expect(made).toHaveLength(3);
      expect(error.mock.calls[0]![0]).toBe(made[2]);
    });
  });

  it('does not try again after downstream has left in the middle of an attempt', () => {
    virtual(({ flush }) => {
      let attempts = 0;
      const out: string[] = [];
      const source = defer(() => {
        attempts++;
        return of('a', 'b', 'c');
      });
      source.pipe(again(3, 1), take(2)).subscribe((letter) => out.push(letter));
      flush();
      expect([attempts, out]).toEqual([1, ['a', 'b']]);
    });
  });
});
