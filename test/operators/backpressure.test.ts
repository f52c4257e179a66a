import {
  concat,
  defer,
  filter,
  map,
  merge,
  mergeMap,
  of,
  subscribeOn,
  asyncScheduler,
  take,
  type OperatorFunction,
} from 'rxjs';
import { describe, expect, it } from 'vitest';
import { boundedQueue, fromPull, link, poolMap } from 'sluice';
import { Observable } from 'rxjs';
import { frame, Pulls, taking, virtual } from './virtualTime.ts';

/** The frames at which an endless source is pulled from within the first `untilMs`. */
function pulledAt(untilMs: number, ...operators: OperatorFunction<number, number>[]): number[] {
  const pulls = new Pulls();
  virtual(({ expectObservable }) => {
    const flow = operators.reduce((stream, operator) => stream.pipe(operator), fromPull(pulls));
    expectObservable(flow.pipe(filter(() => false)), `^ ${untilMs - 1}ms !`).toBe('-');
  });
  expect(pulls.returnedAt).toBe(untilMs);
  return pulls.frames;
}

const pool = (ms: number, concurrency: number, maxWaiting = 0): OperatorFunction<number, number> =>
  poolMap((value) => taking<number>(ms)(value), { concurrency, maxWaiting });

describe('a source that waits', () => {
  it('is paused while every worker is busy, and resumed in the frame in which one is free', () => {
    expect(pulledAt(13, pool(4, 2))).toEqual([0, 0, 4, 4, 8, 8, 12, 12]);
  });

  it('fills the line in front of the workers, and no more', () => {
    expect(pulledAt(9, pool(4, 1, 2))).toEqual([0, 0, 0, 4, 8]);
  });

  it('fills boundedQueue({ capacity: 2 }), and is resumed when an item moves on', () => {
    expect(pulledAt(16, boundedQueue({ capacity: 2 }), pool(5, 1))).toEqual([0, 0, 0, 5, 10, 15]);
  });

  it('is paused through two queues and two pools by the slowest of them', () => {
    expect(
      pulledAt(21, boundedQueue({ capacity: 1 }), pool(2, 1), boundedQueue({ capacity: 1 }), pool(10, 1)),
    ).toEqual(
      // 0 is at work below from 2 to 12, 1 in the second queue from 4; 2 is finished at 6 and keeps its place above.
      [0, 0, 2, 4, 12],
    );
  });

  it('is paused through map and mergeMap(of)', () => {
    expect(
      pulledAt(
        9,
        map((value) => value + 1),
        mergeMap((value) => of(value)),
        pool(4, 2),
      ),
    ).toEqual([0, 0, 4, 4, 8, 8]);
  });

  it('goes on pulling through filter until an item arrives', () => {
    expect(
      pulledAt(
        9,
        filter((value) => value % 3 === 0),
        pool(4, 1),
      ),
    ).toEqual([0, 4, 4, 4, 8, 8, 8]);
  });

  it('overruns by n − 1 below a synchronous 1→n operator, and by no more', () => {
    expect(
      pulledAt(
        13,
        mergeMap((value) => of(value, value, value)),
        pool(4, 1),
      ),
    ).toEqual([0, 12]);
  });

  it('is paused through an operator written by hand with link', () => {
    const twice: OperatorFunction<number, number> = (source) =>
      new Observable((subscriber) =>
        source.subscribe(link(subscriber, { next: (value) => subscriber.next(value * 2) })),
      );
    expect(pulledAt(9, twice, pool(4, 2))).toEqual([0, 0, 4, 4, 8, 8]);
  });

  it('is paused through concat, defer, subscribeOn and take', () => {
    expect(
      pulledAt(
        9,
        (source) =>
          concat(
            defer(() => source),
            of(1),
          ),
        subscribeOn(asyncScheduler),
        take(99),
        pool(4, 2),
      ),
    ).toEqual([0, 0, 4, 4, 8, 8]);
  });

  it('shares the room of a stage fairly with another, one item a turn', () => {
    const [first, second] = [new Pulls(), new Pulls()];
    const order: string[] = [];
    virtual(({ expectObservable }) => {
      const flow = merge(
        fromPull(first).pipe(map((value) => `a${value}`)),
        fromPull(second).pipe(map((value) => `b${value}`)),
      ).pipe(
        poolMap(
          (value) => {
            order.push(`${value}@${frame()}`);
            return taking<string>(2)(value);
          },
          { concurrency: 1 },
        ),
        filter(() => false),
      );
      expectObservable(flow, '^--------!').toBe('----------');
    });
    expect(order).toEqual(['a0@0', 'a1@2', 'b0@4', 'a2@6', 'b1@8']);
    // The first stood in the line before the second came; from then on they take turns.
    expect([first.frames, second.frames]).toEqual([
      [0, 2, 6],
      [4, 8],
    ]);
  });

  it('is pulled as fast as it gives where no stage is below', () => {
    const pulls = new Pulls(1_000);
    virtual(({ flush }) => {
      fromPull(pulls)
        .pipe(map((value) => value))
        .subscribe();
      flush();
    });
    expect(new Set(pulls.frames)).toEqual(new Set([0]));
    expect(pulls.frames).toHaveLength(1_000);
  });

  it('is closed in the frame in which `take` below is satisfied', () => {
    const pulls = new Pulls();
    virtual(({ expectObservable }) => {
      const flow = fromPull(pulls).pipe(
        pool(4, 2),
        take(3),
        map((value) => String(value)),
      );
      expectObservable(flow).toBe('----(01)(2|)');
    });
    expect(pulls.returnedAt).toBe(8);
  });
});
