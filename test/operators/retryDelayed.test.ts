import { defer, throwError, timer } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { delays, exponential, fromPull, fromPush, poolMap, retryDelayed, runFlow } from 'sluice';
import { Pulls, taking, virtual } from './virtualTime.ts';

describe('retryDelayed', () => {
  it('subscribes again after 1 s, 3 s and 5 s, then gives up with the last error itself', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const last = new Error('still down');
      const source = cold('-a#', undefined, last);
      expectObservable(source.pipe(retryDelayed(delays([1_000, 3_000, 5_000])))).toBe(
        '-a 1000ms -a 3000ms -a 5000ms -a#',
        undefined,
        last,
      );
      expectSubscriptions(source.subscriptions).toBe(['^-!', '1002ms ^-!', '4004ms ^-!', '9006ms ^-!']);
    });
  });

  it('stops trying once an attempt completes', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const attempts = [cold('-#'), cold('--#'), cold('-a|')];
      let attempt = 0;
      const flow = defer(() => attempts[attempt++]!).pipe(retryDelayed(delays([3, 4, 5])));
      expectObservable(flow).toBe('-----------a|');
      expectSubscriptions(attempts[0]!.subscriptions).toBe('^!');
      expectSubscriptions(attempts[1]!.subscriptions).toBe('----^-!');
      expectSubscriptions(attempts[2]!.subscriptions).toBe('----------^-!');
    });
  });

  it('passes a source without errors on as it is', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('-a-b|');
      expectObservable(source.pipe(retryDelayed(delays([1])))).toBe('-a-b|');
      expectSubscriptions(source.subscriptions).toBe('^---!');
    });
  });

  it('waits at least as long as the error asks', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const asking = Object.assign(new Error('busy'), { retryAfterMs: 7 });
      const source = cold('-#', undefined, asking);
      expectObservable(source.pipe(retryDelayed(delays([2, 9])))).toBe(
        '-------------------#',
        undefined,
        asking,
      );
      // 7 ms where the policy says 2, and 9 ms where it says 9: it is a floor, not a replacement.
      expectSubscriptions(source.subscriptions).toBe(['^!', '--------^!', '------------------^!']);
    });
  });

  it('gives up at once on an error that says it is not retryable', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const final = Object.assign(new Error('not found'), { retryable: false });
      const source = cold('-#', undefined, final);
      expectObservable(source.pipe(retryDelayed(delays([5, 5])))).toBe('-#', undefined, final);
      expectSubscriptions(source.subscriptions).toBe('^!');
    });
  });

  it('asks isRetryable, and nothing else, where it is given', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('-#', undefined, Object.assign(new Error('x'), { retryable: false }));
      const isRetryable = (error: unknown): boolean => (error as Error).message === 'x';
      expectObservable(source.pipe(retryDelayed(delays([2], { isRetryable })))).toBe(
        '----#',
        undefined,
        expect.objectContaining({ message: 'x' }),
      );
      expectSubscriptions(source.subscriptions).toBe(['^!', '---^!']);
    });
  });

  it('begins no retry later than maxElapsedMs after the first attempt', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('-a#');
      const policy = delays([1_000, 3_000, 5_000], { maxElapsedMs: 4_004 });
      expectObservable(source.pipe(retryDelayed(policy))).toBe('-a 1000ms -a 3000ms -a#');
      expectSubscriptions(source.subscriptions).toBe(['^-!', '1002ms ^-!', '4004ms ^-!']);
    });
  });

  it('begins none that would be one millisecond late', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('-a#');
      const policy = delays([1_000, 3_000, 5_000], { maxElapsedMs: 4_003 });
      expectObservable(source.pipe(retryDelayed(policy))).toBe('-a 1000ms -a#');
      expectSubscriptions(source.subscriptions).toBe(['^-!', '1002ms ^-!']);
    });
  });

  it('follows exponential waits', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('#');
      const policy = exponential({ initialMs: 2, factor: 3, maxMs: 10, jitter: 'none', maxRetries: 3 });
      expectObservable(source.pipe(retryDelayed(policy))).toBe('------------------#');
      expectSubscriptions(source.subscriptions).toBe([
        '(^!)',
        '--(^!)',
        '--------(^!)',
        '------------------(^!)',
      ]);
    });
  });

  it('ends the wait when it is unsubscribed from', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('-#');
      expectObservable(source.pipe(retryDelayed(delays([5]))), '^--!').toBe('----');
      expectSubscriptions(source.subscriptions).toBe('^!');
    });
  });

  it('starts anew for each subscription', () => {
    virtual(({ cold, expectObservable }) => {
      const flow = cold('#').pipe(retryDelayed(delays([3])));
      expectObservable(flow).toBe('---#');
      expectObservable(flow, '-----^').toBe('--------#');
    });
  });

  it('waits beyond the longest timer of the host without firing early', () => {
    virtual(({ cold, expectSubscriptions }) => {
      const source = cold('#');
      const longMs = 2 ** 31 + 5;
      source.pipe(retryDelayed(delays([longMs]))).subscribe({ error: () => undefined });
      expectSubscriptions(source.subscriptions).toBe(['(^!)', `${longMs}ms (^!)`]);
    });
  });

  it('keeps the chain: the source above it waits for the stage below', () => {
    const pulls = new Pulls(3);
    virtual(({ flush }) => {
      fromPull(pulls)
        .pipe(
          retryDelayed(delays([1])),
          poolMap((value) => taking<number>(4)(value), { concurrency: 1 }),
        )
        .subscribe();
      flush();
    });
    expect(pulls.frames).toEqual([0, 4, 8]);
  });

  it('ends its wait with the last error when draining begins', async () => {
    const down = new Error('down');
    let run: ReturnType<typeof runFlow> | undefined;
    virtual(({ flush }) => {
      const flow = fromPush(throwError(() => down)).pipe(retryDelayed(delays([1_000])));
      run = runFlow(flow);
      timer(10).subscribe(() => void run?.drain());
      flush();
    });
    await expect(run).rejects.toBe(down);
    expect(run?.report().elapsedMs).toBe(10);
  });
});
