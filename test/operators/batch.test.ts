import { map, NEVER } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { batch, fromPull, fromPush, poolMap, runFlow } from 'sluice';
import { codeOf } from '../../src/errors.ts';
import { frame, Pulls, taking, virtual } from './virtualTime.ts';

const x = ['a', 'b'];
const y = ['c'];

describe('batch', () => {
  it('emits a batch in the frame in which it is full, and the rest at the end', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('ab-c---|');
      expectObservable(source.pipe(batch({ maxItems: 2 }))).toBe('-x-----(y|)', { x, y });
      expectSubscriptions(source.subscriptions).toBe('^------!');
    });
  });

  it('emits what it has maxWaitMs after the first item of the batch', () => {
    virtual(({ cold, expectObservable }) => {
      const source = cold('ab-----c------|');
      expectObservable(source.pipe(batch({ maxItems: 9, maxWaitMs: 4 }))).toBe('----x------y--|', { x, y });
    });
  });

  it('starts the time anew with each batch', () => {
    virtual(({ cold, expectObservable }) => {
      const source = cold('-ab--c---------|');
      // Full at 2; the time of c begins at 5, not at 1.
      expectObservable(source.pipe(batch({ maxItems: 2, maxWaitMs: 5 }))).toBe('--x-------y----|', { x, y });
    });
  });

  it('emits before an item that would make the batch too heavy', () => {
    virtual(({ cold, expectObservable }) => {
      const source = cold('3-3-2--|');
      const flow = source.pipe(batch({ maxItems: 9, maxWeight: 5, weigh: Number }));
      // 3 + 3 is too heavy: the first leaves alone. 3 + 2 is the limit itself: it leaves at once.
      expectObservable(flow).toBe('--p-q--|', { p: ['3'], q: ['3', '2'] });
    });
  });

  it('gives one that is heavier than the limit a batch of its own', () => {
    virtual(({ cold, expectObservable }) => {
      const flow = cold('1-9-1-|').pipe(batch({ maxItems: 9, maxWeight: 5, weigh: Number }));
      expectObservable(flow).toBe('--(pq)(r|)', {
        p: ['1'],
        q: ['9'],
        r: ['1'],
      });
    });
  });

  it('counts one for each where nobody weighs', () => {
    virtual(({ cold, expectObservable }) => {
      expectObservable(cold('ab-c-|').pipe(batch({ maxItems: 9, maxWeight: 2 }))).toBe('-x---(y|)', { x, y });
    });
  });

  it('is never empty: an empty source gives nothing, and time alone gives nothing', () => {
    virtual(({ cold, expectObservable }) => {
      expectObservable(cold('-----|').pipe(batch({ maxItems: 1, maxWaitMs: 1 }))).toBe('-----|');
    });
  });

  it('emits what it has before it passes an error of the source on', () => {
    virtual(({ cold, expectObservable }) => {
      expectObservable(cold('ab-#').pipe(batch({ maxItems: 9 }))).toBe('---(x#)', { x });
    });
  });

  it('errors with what `weigh` throws, after what it has gathered', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('abz|');
      const weigh = (value: string): number => {
        if (value === 'z') throw new Error('weightless');
        return 1;
      };
      expectObservable(source.pipe(batch({ maxItems: 9, weigh }))).toBe(
        '--(x#)',
        { x },
        new Error('weightless'),
      );
      expectSubscriptions(source.subscriptions).toBe('^-!');
    });
  });

  it.each([1n, '1', NaN, -1, null, undefined, Symbol('1')])(
    'errors where `weigh` gives no weight: %s',
    async (weight) => {
      const settled: unknown[] = [];
      const source = fromPull([1, 2], {
        onSettled: ({ value, failure }) => settled.push([value, codeOf(failure)]),
      });
      const weigh = (value: number): number => (value === 1 ? 1 : (weight as number));
      const run = runFlow(source.pipe(batch({ maxItems: 9, maxWeight: 5, weigh })));
      await expect(run).rejects.toMatchObject({
        code: 'INVALID_OPTION',
        message: 'batch: weigh must give a number of 0 or more',
      });
      expect(settled.at(-1)).toEqual([2, 'INVALID_OPTION']);
      expect(run.report()).toMatchObject({ itemsIn: 2, leftOver: 1 });
    },
  );

  it('stops its clock when it is unsubscribed from', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('a-----------|');
      expectObservable(source.pipe(batch({ maxItems: 9, maxWaitMs: 5 })), '^--!').toBe('----');
      expectSubscriptions(source.subscriptions).toBe('^--!');
    });
  });

  it('goes on filling while the stage below is full, and leaves as soon as there is room', () => {
    const seen: string[] = [];
    virtual(({ cold, flush }) => {
      fromPush(cold('a--bc-d-----|'))
        .pipe(
          batch({ maxItems: 4, maxWaitMs: 2 }),
          map((values) => values.join('')),
          poolMap(
            (values) => {
              seen.push(`${values} at ${frame()}`);
              return taking<string>(10)(values);
            },
            { concurrency: 1 },
          ),
        )
        .subscribe((values) => seen.push(`${values} out ${frame()}`));
      flush();
    });
    // The time of bc is up at 5, the stage below is busy until 12: d still goes with them.
    expect(seen).toEqual(['a at 2', 'a out 12', 'bcd at 12', 'bcd out 22']);
  });

  it('closes its demand at maxItems, and pulls the next batch when one has left', () => {
    const pulls = new Pulls(9);
    virtual(({ flush }) => {
      fromPull(pulls)
        .pipe(
          batch({ maxItems: 3 }),
          poolMap((values) => taking<number[]>(10)(values), { concurrency: 1 }),
        )
        .subscribe();
      flush();
    });
    expect(pulls.frames).toEqual([0, 0, 0, 0, 0, 0, 10, 10, 10]);
  });

  it('keeps to maxItems where the stage below is full and time is up', () => {
    const sizes: number[] = [];
    const pulls = new Pulls(8);
    virtual(({ flush }) => {
      fromPull(pulls)
        .pipe(
          batch({ maxItems: 3, maxWaitMs: 1 }),
          poolMap(
            (values) => {
              sizes.push(values.length);
              return taking<number[]>(10)(values);
            },
            { concurrency: 1 },
          ),
        )
        .subscribe();
      flush();
    });
    expect(sizes).toEqual([3, 3, 2]);
  });

  it('emits one item alone with maxItems 1, each in its frame', () => {
    virtual(({ cold, expectObservable }) => {
      const flow = cold('ab-c|').pipe(
        batch({ maxItems: 1 }),
        map(([only]) => only),
      );
      expectObservable(flow).toBe('ab-c|');
    });
  });

  it('waits for ever for a full batch where no time is set', () => {
    virtual(({ cold, expectObservable }) => {
      expectObservable(cold('a').pipe(batch({ maxItems: 2 })), '^ 999s !').toBe('-');
      expectObservable(NEVER.pipe(batch({ maxItems: 2, maxWaitMs: 1 })), '^ 99ms !').toBe('-');
    });
  });
});
