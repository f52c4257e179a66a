import { describe, expect, it, vi } from 'vitest';
import { boundedQueue, fromPull, fromPush, poolMap, QueueOverflowError, type DroppedItem } from 'sluice';
import { frame, Pulls, taking, virtual } from './virtualTime.ts';

describe('boundedQueue without a stage below', () => {
  it('passes everything through at once', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('ab-(cd)-|');
      expectObservable(source.pipe(boundedQueue({ capacity: 1 }))).toBe('ab-(cd)-|');
      expectSubscriptions(source.subscriptions).toBe('^-------!');
    });
  });

  it('passes an error through', () => {
    virtual(({ cold, expectObservable }) => {
      expectObservable(cold('a-#').pipe(boundedQueue({ capacity: 1 }))).toBe('a-#');
    });
  });
});

describe('boundedQueue over a source that cannot wait', () => {
  const slow = poolMap((value: string) => taking<string>(10)(value), { concurrency: 1 });

  it('says what a full queue holds', () => {
    expect(new QueueOverflowError('raw', 1).message).toContain('(capacity 1 item)');
    expect(new QueueOverflowError('raw', 2).message).toContain('(capacity 2 items)');
  });

  it("errors under overflow 'fail', once what it holds is out", () => {
    virtual(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot('abcdef---|');
      const flow = source.pipe(boundedQueue({ capacity: 2, name: 'raw' }), slow);
      // a is below, b and c are in the queue, d finds no room.
      expectObservable(flow).toBe('10ms a 9ms b 9ms (c#)', undefined, new QueueOverflowError('raw', 2));
      expectSubscriptions(source.subscriptions).toBe('^--!');
    });
  });

  it("drops the oldest under 'dropOldest', and tells of each", () => {
    const drops: string[] = [];
    virtual(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot('abcdef---|');
      const flow = source.pipe(
        boundedQueue({
          capacity: 2,
          overflow: 'dropOldest',
          onDrop: ({ value, reason }: DroppedItem<string>) => drops.push(`${value} ${reason} @${frame()}`),
        }),
        slow,
      );
      expectObservable(flow).toBe('10ms a 9ms e 9ms (f|)');
      expectSubscriptions(source.subscriptions).toBe('^--------!');
    });
    expect(drops).toEqual(['b dropOldest @3', 'c dropOldest @4', 'd dropOldest @5']);
  });

  it("drops the newest under 'dropNewest', and tells of each", () => {
    const drops: string[] = [];
    virtual(({ hot, expectObservable }) => {
      const flow = hot('abcdef---|').pipe(
        boundedQueue({
          capacity: 2,
          overflow: 'dropNewest',
          onDrop: ({ value, reason }: DroppedItem<string>) => drops.push(`${value} ${reason} @${frame()}`),
        }),
        slow,
      );
      expectObservable(flow).toBe('10ms a 9ms b 9ms (c|)');
    });
    expect(drops).toEqual(['d dropNewest @3', 'e dropNewest @4', 'f dropNewest @5']);
  });

  it('takes in again once there is room', () => {
    virtual(({ hot, expectObservable }) => {
      const flow = hot('abc-------- d|').pipe(boundedQueue({ capacity: 2, overflow: 'dropNewest' }), slow);
      expectObservable(flow).toBe('10ms a 9ms b 9ms c 9ms (d|)');
    });
  });

  it('errors with what onDrop throws', () => {
    virtual(({ hot, expectObservable }) => {
      const onDrop = (): never => {
        throw new Error('cannot note it');
      };
      const flow = hot('abc---|').pipe(boundedQueue({ capacity: 1, overflow: 'dropNewest', onDrop }), slow);
      expectObservable(flow).toBe('10ms a 9ms (b#)', undefined, new Error('cannot note it'));
    });
  });

  it('says nothing on the console: the policy speaks', () => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    virtual(({ hot, expectObservable }) => {
      const flow = hot('abc|').pipe(boundedQueue({ capacity: 1, overflow: 'dropOldest' }), slow);
      expectObservable(flow).toBe('10ms a 9ms (c|)');
    });
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('unsubscribes from the source while it is full', () => {
    virtual(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot('abc-------|');
      const flow = fromPush(source).pipe(boundedQueue({ capacity: 5 }), slow);
      expectObservable(flow, '^---!').toBe('-----');
      expectSubscriptions(source.subscriptions).toBe('^---!');
    });
  });
});

describe('boundedQueue at the end', () => {
  it('passes an error of the source on when it is empty', () => {
    virtual(({ cold, expectObservable }) => {
      const flow = fromPush(cold('abc#')).pipe(
        boundedQueue({ capacity: 9 }),
        poolMap((value) => taking<string>(5)(value), { concurrency: 1 }),
      );
      expectObservable(flow).toBe('-----a----b----(c#)');
    });
  });

  it('keeps the order over a source that waits', () => {
    const out: number[] = [];
    virtual(({ flush }) => {
      fromPull(new Pulls(20))
        .pipe(
          boundedQueue({ capacity: 3 }),
          poolMap((value) => taking<number>(1)(value), { concurrency: 1 }),
        )
        .subscribe((value) => out.push(value));
      flush();
    });
    expect(out).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });
});
