import { bufferCount, distinct, filter, map, mergeMap, of, scan } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { drops, fromPull, poolMap, runFlow, stage } from 'sluice';
import { Pulls, taking, virtual } from './virtualTime.ts';

describe('stage', () => {
  it('changes neither values, frames nor subscriptions', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('ab-cd|');
      const flow = source.pipe(
        stage(
          'every other',
          filter((_value, index) => index % 2 === 1),
          mergeMap((value: string) => of(value)),
        ),
      );
      expectObservable(flow).toBe('-b--d|');
      expectSubscriptions(source.subscriptions).toBe('^----!');
    });
  });

  it('passes an error on, of the source and of its operators', () => {
    virtual(({ cold, expectObservable }) => {
      const boom = new Error('boom');
      const throwing = map((value: string) => {
        if (value === 'b') throw boom;
        return value;
      });
      expectObservable(cold('a-#').pipe(stage('s', throwing))).toBe('a-#');
      expectObservable(cold('a-b').pipe(stage('s', throwing))).toBe('a-#', undefined, boom);
    });
  });

  it('counts what goes in and comes out, under its name', async () => {
    const flow = fromPull([1, 2, 3, 4, 5]).pipe(
      stage(
        'pairs',
        bufferCount(2),
        scan((sum, pair) => sum + pair.length, 0),
      ),
    );
    expect((await runFlow(flow)).stages).toEqual([
      expect.objectContaining({ name: 'pairs', operator: 'stage', in: 5, emitted: 3, held: 0 }),
    ]);
  });

  it('keeps the chain', () => {
    const pulls = new Pulls(3);
    virtual(({ flush }) => {
      fromPull(pulls)
        .pipe(
          stage(
            'same',
            map((value: number) => value),
          ),
          poolMap((value) => taking<number>(4)(value), { concurrency: 1 }),
        )
        .subscribe();
      flush();
    });
    expect(pulls.frames).toEqual([0, 4, 8]);
  });

  it('silences the warning of a filter that swallows long runs', () => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    const flow = (named: boolean): void => {
      const last = filter((value: number) => value === 2_999);
      virtual(({ flush }) => {
        fromPull(Array.from({ length: 3_000 }, (_, i) => i))
          .pipe(
            named ? stage('last', last) : last,
            poolMap((value) => of(value), { concurrency: 1 }),
          )
          .subscribe();
        flush();
      });
    };
    flow(true);
    expect(warn).not.toHaveBeenCalled();
    flow(false);
    expect(warn).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('did not arrive'));
    warn.mockRestore();
  });
});

describe('drops', () => {
  it('changes neither values, frames nor subscriptions', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('aba-c|');
      expectObservable(source.pipe(drops(distinct()))).toBe('ab--c|');
      expectSubscriptions(source.subscriptions).toBe('^----!');
    });
  });

  it('passes errors on', () => {
    virtual(({ cold, expectObservable }) => {
      expectObservable(cold('a-#').pipe(drops(filter(() => true)))).toBe('a-#');
    });
  });

  it('silences the warning of a filter that swallows long runs', () => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    virtual(({ expectObservable }) => {
      const flow = fromPull(Array.from({ length: 3_000 }, (_, i) => i)).pipe(
        drops(filter((value) => value === 2_999)),
        poolMap(() => of('x'), { concurrency: 1 }),
      );
      expectObservable(flow).toBe('(x|)');
    });
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('settles what it drops in an acknowledged flow', async () => {
    const settled: unknown[] = [];
    const flow = fromPull([1, 2, 3], { onSettled: (settlement) => settled.push(settlement) }).pipe(
      drops(filter((value) => value === 2)),
      poolMap(async (value) => value, { concurrency: 1 }),
    );
    await runFlow(flow, { strict: true });
    expect(settled).toEqual([
      { value: 1, failure: undefined },
      { value: 2, failure: undefined },
      { value: 3, failure: undefined },
    ]);
  });
});
