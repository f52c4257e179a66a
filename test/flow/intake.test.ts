import { map, Observable, take } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  boundedQueue,
  fromPull,
  intake,
  poolMap,
  runFlow,
  toAsyncIterable,
  type FlowRun,
  type Intake,
} from 'sluice';
import { Endless, settle, sleep } from './settling.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Notes when a promise resolves, or what it rejects with. */
function noting(log: string[]): (promise: Promise<void>, what: string) => void {
  const startedAt = Date.now();
  return (promise, what) => {
    promise.then(
      () => log.push(`${what}@${Date.now() - startedAt}`),
      (error: unknown) => log.push(`${what}: ${(error as Error).message}`),
    );
  };
}

const slowly = poolMap(
  async (value: number) => {
    await sleep(10);
    return value;
  },
  { concurrency: 1 },
);

describe('intake', () => {
  it('makes offers wait for room inside, first come, first served', async () => {
    const { offer, end, items$ } = intake<number>({ capacity: 2 });
    const log: string[] = [];
    const note = noting(log);
    const run = runFlow(items$.pipe(slowly));
    for (let i = 0; i < 6; i++) note(offer(i), `offer ${i}`);
    end();
    await settle(1);
    // 0 is at work, 1 and 2 are inside; the flow holds one more in no place of its own.
    expect(log).toEqual(['offer 0@0', 'offer 1@0', 'offer 2@0']);
    await settle(100);
    expect(log.slice(3)).toEqual(['offer 3@10', 'offer 4@20', 'offer 5@30']);
    expect(await run).toMatchObject({ end: 'completed', delivered: 6 });
  });

  it('holds items before anybody subscribes', async () => {
    const { offer, end, items$ } = intake<number>({ capacity: 3 });
    await Promise.all([offer(1), offer(2)]);
    end();
    const got: number[] = [];
    items$.subscribe((value) => got.push(value));
    await settle();
    expect(got).toEqual([1, 2]);
  });

  it('refuses offers after its end', async () => {
    const { offer, end } = intake<number>({ capacity: 1 });
    end();
    await expect(offer(1)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    const failed = intake<number>({ capacity: 1 });
    const boom = new Error('boom');
    failed.fail(boom);
    await expect(failed.offer(1)).rejects.toMatchObject({ code: 'INVALID_OPTION', cause: boom });
  });

  it('refuses offers after its flow is over with how that ended, unless the user has ended it first', async () => {
    const afterwards = async (stop: (run: FlowRun, box: Intake<number>) => unknown) => {
      const box = intake<number>({ capacity: 1 });
      const run = runFlow(box.items$.pipe(slowly));
      await box.offer(1);
      stop(run, box);
      await settle(20);
      await run;
      return box.offer(2).catch(String);
    };
    expect(await afterwards((run) => run.drain())).toBe(
      'HandedBackError: intake: handed back, the flow was drained',
    );
    expect(await afterwards((run) => run.abort())).toBe(
      'HandedBackError: intake: handed back, the flow was stopped',
    );
    for (const stop of ['drain', 'abort'] as const) {
      const ended = await afterwards((run, box) => {
        box.end();
        return run[stop]();
      });
      expect(ended).toBe('InvalidOptionError: intake: offer after end or fail');
    }

    const { offer, items$ } = intake<number>({ capacity: 1 });
    const boom = new Error('boom');
    const run = runFlow(
      items$.pipe(
        map(() => {
          throw boom;
        }),
      ),
    );
    void offer(1);
    await expect(run).rejects.toBe(boom);
    await expect(offer(2)).rejects.toMatchObject({
      message: 'intake: handed back, the flow has failed',
      cause: boom,
    });
  });

  it('gives what was offered before, then the error it failed with', async () => {
    const { offer, fail, items$ } = intake<number>({ capacity: 1 });
    const boom = new Error('upstream');
    const got: unknown[] = [];
    const run = runFlow(
      items$.pipe(
        slowly,
        map((value) => got.push(value)),
      ),
    );
    const seen = expect(run).rejects.toBe(boom);
    void offer(1);
    void offer(2);
    void offer(3);
    fail(boom);
    await settle(100);
    await seen;
    expect(got).toEqual([1, 2, 3]);
  });

  it('keeps to the first of `end` and `fail`', async () => {
    const { end, fail, items$ } = intake<number>({ capacity: 1 });
    end();
    fail(new Error('too late'));
    expect(await runFlow(items$)).toMatchObject({ end: 'completed' });
  });

  it('is for one subscriber at a time', async () => {
    const { offer, items$ } = intake<number>({ capacity: 5 });
    const first = items$.pipe(take(1)).subscribe();
    const error = vi.fn();
    items$.subscribe({ error });
    expect(error).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'SOURCE_USED' }));
    await offer(1);
    await settle();
    expect(first.closed).toBe(true);
    const got: number[] = [];
    await offer(2);
    items$.subscribe((value) => got.push(value));
    await settle();
    expect(got).toEqual([2]);
  });

  it('loses nothing to a subscriber that leaves while it waits for an item', async () => {
    const { offer, items$ } = intake<number>({ capacity: 5 });
    items$.subscribe().unsubscribe();
    await offer(1);
    const got: number[] = [];
    items$.subscribe((value) => got.push(value));
    await settle();
    expect(got).toEqual([1]);
  });

  it('takes offers from inside the work of its own flow', async () => {
    const { offer, end, items$ } = intake<number>({ capacity: 2 });
    const got: number[] = [];
    const run = runFlow(
      items$.pipe(
        poolMap(
          async (value) => {
            if (value < 20) void offer(value + 1);
            else end();
            return value;
          },
          { concurrency: 1 },
        ),
        map((value) => got.push(value)),
      ),
    );
    await offer(1);
    await settle(10);
    await run;
    expect(got).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  it('gives what is inside on drain, then completes; what waits outside is refused', async () => {
    const { offer, items$ } = intake<number>({ capacity: 2 });
    const offers = [0, 1, 2, 3, 4, 5].map((item) =>
      offer(item).then(
        () => 'inside',
        (error: unknown) => (error as { code?: string }).code,
      ),
    );
    const run = runFlow(items$.pipe(slowly));
    await settle(1);
    void run.drain();
    await settle(200);
    const { delivered, end, leftOver } = await run;
    const answers = await Promise.all(offers);
    expect(end).toBe('drained');
    expect(answers).toContain('HANDED_BACK');
    expect(answers.filter((answer) => answer === 'inside')).toHaveLength(delivered);
    expect(leftOver).toBe(0);
    await expect(offer(6)).rejects.toMatchObject({ code: 'HANDED_BACK' });
  });
});

describe('toAsyncIterable', () => {
  it('gives every item in order, then ends', async () => {
    const got: number[] = [];
    for await (const value of toAsyncIterable(fromPull([1, 2, 3]), { capacity: 1 })) got.push(value);
    expect(got).toEqual([1, 2, 3]);
  });

  it('slows the flow down to the pace of the loop', async () => {
    const source = new Endless();
    const loop = toAsyncIterable(fromPull(source), { capacity: 3 })[Symbol.asyncIterator]();
    expect(source.pulled).toBe(0);
    for (let taken = 1; taken <= 5; taken++) {
      await loop.next();
      expect(source.pulled).toBe(taken + 3);
    }
    await loop.return?.();
  });

  it('slows down a flow of stages, too', async () => {
    const source = new Endless();
    const flow = fromPull(source).pipe(
      boundedQueue({ capacity: 2 }),
      poolMap(async (value) => value, { concurrency: 1 }),
    );
    const loop = toAsyncIterable(flow, { capacity: 1 })[Symbol.asyncIterator]();
    await loop.next();
    await settle(100);
    // One taken, one waits for the loop, one keeps its slot in the pool, two are in the queue.
    expect(source.pulled).toBe(5);
    await loop.return?.();
  });

  it('unsubscribes when the loop is left, also by an error', async () => {
    for (const leave of ['break', 'throw']) {
      const source = new Endless();
      const read = async (): Promise<void> => {
        for await (const value of toAsyncIterable(fromPull(source), { capacity: 2 })) {
          if (value < 3) continue;
          if (leave === 'throw') throw new Error('left');
          break;
        }
      };
      await read().catch(() => undefined);
      expect(source.closed).toBe(true);
    }
  });

  it('throws the error of the flow after what it gave', async () => {
    const boom = new Error('boom');
    const got: number[] = [];
    const flow = new Observable<number>((subscriber) => {
      subscriber.next(1);
      subscriber.next(2);
      subscriber.error(boom);
    });
    const read = async (): Promise<void> => {
      for await (const value of toAsyncIterable(flow, { capacity: 1 })) got.push(value);
    };
    await expect(read()).rejects.toBe(boom);
    expect(got).toEqual([1, 2]);
  });

  it('subscribes anew for each loop, and not before the first item is asked for', async () => {
    let subscriptions = 0;
    const flow = new Observable<number>((subscriber) => {
      subscriptions++;
      subscriber.next(1);
      subscriber.complete();
    });
    const loop = toAsyncIterable(flow, { capacity: 1 });
    expect(subscriptions).toBe(0);
    for (let i = 0; i < 2; i++) for await (const value of loop) expect(value).toBe(1);
    expect(subscriptions).toBe(2);
  });

  it('answers several calls of next in order, and all of them at the end', async () => {
    const loop = toAsyncIterable(fromPull([1, 2]), { capacity: 1 })[Symbol.asyncIterator]();
    const answers = await Promise.all([loop.next(), loop.next(), loop.next(), loop.next()]);
    expect(answers.map(({ value }) => value as unknown)).toEqual([1, 2, undefined, undefined]);
    expect(answers.map(({ done }) => done)).toEqual([false, false, true, true]);
  });

  it('settles an acknowledged item when the loop takes it, and hands the rest back when it is left', async () => {
    const settled: [number, boolean][] = [];
    const source = fromPull([1, 2, 3, 4, 5], {
      onSettled: ({ value, failure }) => settled.push([value, failure === undefined]),
    });
    for await (const value of toAsyncIterable(source, { capacity: 2 })) if (value === 2) break;
    expect(settled).toEqual([
      [1, true],
      [2, true],
      [3, false],
      [4, false],
    ]);
  });
});
