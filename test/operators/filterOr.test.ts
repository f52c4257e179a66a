import { concat, from, map, NEVER, of, type OperatorFunction } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  boundedQueue,
  filterOr,
  fromPull,
  fromPush,
  InvalidOptionError,
  poolMap,
  route,
  runFlow,
} from 'sluice';
import { sleep } from '../flow/settling.ts';
import { frame, Pulls, taking, virtual } from './virtualTime.ts';

describe('filterOr with a synchronous predicate', () => {
  it('keeps what the predicate accepts, in the frame it comes', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('ab-cd|');
      expectObservable(source.pipe(filterOr((value) => value === 'b' || value === 'd'))).toBe('-b--d|');
      expectSubscriptions(source.subscriptions).toBe('^----!');
    });
  });

  it('tells a function what is not kept', () => {
    const rejected: string[] = [];
    virtual(({ cold, expectObservable }) => {
      const flow = cold('ab-c|').pipe(
        filterOr((value) => value === 'b', { rejected: (value) => rejected.push(`${value}@${frame()}`) }),
      );
      expectObservable(flow).toBe('-b--|');
    });
    expect(rejected).toEqual(['a@0', 'c@3']);
  });

  it('tells an Observer what is not kept', () => {
    const next = vi.fn();
    virtual(({ cold, expectObservable }) => {
      expectObservable(cold('ab|').pipe(filterOr((value) => value === 'b', { rejected: { next } }))).toBe(
        '-b|',
      );
    });
    expect(next.mock.calls).toEqual([['a']]);
  });

  it('counts the index over all items', () => {
    virtual(({ cold, expectObservable }) => {
      expectObservable(cold('aaaa|').pipe(filterOr((_value, index) => index % 2 === 1))).toBe('-a-a|');
    });
  });

  it('errors with what the predicate throws, and unsubscribes from the source', () => {
    virtual(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('ab|');
      const flow = source.pipe(
        filterOr((value) => {
          if (value === 'b') throw new Error('b?');
          return true;
        }),
      );
      expectObservable(flow).toBe('a#', undefined, new Error('b?'));
      expectSubscriptions(source.subscriptions).toBe('^!');
    });
  });

  it('errors with what `rejected` throws', () => {
    virtual(({ cold, expectObservable }) => {
      const rejected = (): never => {
        throw new Error('no place');
      };
      expectObservable(cold('ab|').pipe(filterOr(() => false, { rejected }))).toBe(
        '#',
        undefined,
        new Error('no place'),
      );
    });
  });

  it('passes an error of the source on', () => {
    virtual(({ cold, expectObservable }) => {
      expectObservable(cold('a-#').pipe(filterOr(() => true))).toBe('a-#');
    });
  });

  it('refuses a promise from the predicate, and says which option is missing', () => {
    virtual(({ cold, expectObservable }) => {
      const flow = cold('a|').pipe(filterOr((() => Promise.resolve(false)) as unknown as () => boolean));
      expectObservable(flow).toBe(
        '#',
        undefined,
        new InvalidOptionError('filterOr: an asynchronous predicate needs the option concurrency'),
      );
    });
  });

  it('leaves no rejection unheard of a predicate that gives promises', async () => {
    const unheard = vi.fn();
    process.on('unhandledRejection', unheard);
    const predicate = (() => Promise.reject(new Error('down'))) as unknown as () => boolean;
    await expect(runFlow(fromPull([1]).pipe(filterOr(predicate)))).rejects.toThrow('needs the option');
    await sleep(1);
    process.off('unhandledRejection', unheard);
    expect(unheard).not.toHaveBeenCalled();
  });

  it('holds nothing: what it rejects frees the source at once', () => {
    const pulls = new Pulls(5);
    virtual(({ flush }) => {
      fromPull(pulls)
        .pipe(
          filterOr((value) => value % 2 === 0),
          poolMap((value) => taking<number>(3)(value), { concurrency: 1 }),
        )
        .subscribe();
      flush();
    });
    expect(pulls.frames).toEqual([0, 3, 3, 6, 6]);
  });
});

describe('filterOr with an asynchronous predicate', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const answer = (ms: number, kept: boolean): Promise<boolean> =>
    new Promise((resolve) => setTimeout(resolve, ms, kept));

  it('keeps the order of the items, and asks `concurrency` at once', async () => {
    const asked: string[] = [];
    const got: string[] = [];
    const startedAt = Date.now();
    fromPull(['a9', 'b1', 'c1', 'd1'])
      .pipe(
        filterOr(
          (value) => {
            asked.push(`${value}@${Date.now() - startedAt}`);
            return answer(Number(value[1]), value !== 'b1');
          },
          { concurrency: 2 },
        ),
      )
      .subscribe((value) => got.push(`${value}@${Date.now() - startedAt}`));
    await vi.advanceTimersByTimeAsync(20);
    // b1 is answered at 1 but waits for its turn behind a9, and keeps its place: c and d are asked when a leaves.
    expect(asked).toEqual(['a9@0', 'b1@0', 'c1@9', 'd1@9']);
    expect(got).toEqual(['a9@9', 'c1@10', 'd1@10']);
  });

  it('tells of what is not kept', async () => {
    const rejected: number[] = [];
    const got: number[] = [];
    fromPull([1, 2, 3, 4])
      .pipe(
        filterOr((value) => answer(1, value % 2 === 0), {
          concurrency: 4,
          rejected: (value) => rejected.push(value),
        }),
      )
      .subscribe((value) => got.push(value));
    await vi.advanceTimersByTimeAsync(5);
    expect([got, rejected]).toEqual([
      [2, 4],
      [1, 3],
    ]);
  });

  it.each(['predicate', 'rejected'])('errors with what `%s` throws', async (who) => {
    const boom = new Error('boom');
    const error = vi.fn();
    fromPull([1])
      .pipe(
        filterOr(
          async () => {
            if (who === 'predicate') throw boom;
            return false;
          },
          {
            concurrency: 1,
            rejected: () => {
              throw boom;
            },
          },
        ),
      )
      .subscribe({ error });
    await vi.advanceTimersByTimeAsync(1);
    expect(error).toHaveBeenCalledExactlyOnceWith(boom);
  });

  it('puts kept and rejected in the ledger', async () => {
    const run = runFlow(
      fromPull([1, 2, 3]).pipe(filterOr((value) => answer(1, value > 1), { concurrency: 2 })),
    );
    await vi.advanceTimersByTimeAsync(10);
    const [stage] = (await run).stages;
    expect(stage).toMatchObject({ in: 3, out: 2, emitted: 2, rejected: 1, held: 0 });
  });
});

describe('a promise that nobody waits for, and that rejects', () => {
  const down = async (value: unknown): Promise<never> => {
    await sleep(5);
    throw new Error(`cannot write ${String(value)}`);
  };
  const words: Record<string, [OperatorFunction<number, unknown>, string]> = {
    filterOr: [filterOr(() => false, { rejected: down }), 'filterOr: rejected'],
    'filterOr with concurrency': [
      filterOr(async () => false, { rejected: down, concurrency: 1 }),
      'filterOr: rejected',
    ],
    route: [
      route<number, { none: number }>(() => undefined, {
        branches: { none: map((value) => value) },
        rejected: down,
      }),
      'route: rejected',
    ],
    boundedQueue: [
      (source) =>
        fromPush(source).pipe(
          boundedQueue({ capacity: 1, overflow: 'dropNewest', onDrop: ({ value }) => down(value) }),
          poolMap(() => sleep(1), { concurrency: 1 }),
        ),
      'boundedQueue: onDrop',
    ],
  };
  const cases = Object.entries(words).map(([name, [operator, hook]]) => [name, operator, hook] as const);

  it.each(cases)('is a warning of a run that had nothing else to do: %s', async (_, operator, hook) => {
    const warned: string[] = [];
    const items = from(Array.from({ length: 9 }, (__, i) => i));
    const report = await runFlow(items.pipe(operator), { onWarning: (message) => warned.push(message) });
    expect(report).toMatchObject({ end: 'completed', leftOver: 0 });
    const warnings = report.warnings.filter((message) => message.startsWith(hook));
    expect(warnings).toEqual([expect.stringMatching(`^${hook} failed: cannot write \\d$`)]);
    expect(warned).toEqual(expect.arrayContaining(warnings));
  });

  it.each(cases)('is an error of one that goes on: %s', async (_, operator) => {
    const endless = fromPush(concat(from(Array.from({ length: 9 }, (__, i) => i)), NEVER));
    await expect(runFlow(endless.pipe(operator))).rejects.toThrow('cannot write');
  });

  it('is a line on the console where there is no run', async () => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    of(1)
      .pipe(filterOr(() => false, { rejected: down }))
      .subscribe();
    await sleep(10);
    expect(warn.mock.calls.flat().join()).toContain('filterOr: rejected failed: cannot write 1');
    warn.mockRestore();
  });
});

describe('filterOr between native operators', () => {
  it('says what it drops, so that a long run of it is no warning', () => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    virtual(({ expectObservable }) => {
      const flow = fromPull(Array.from({ length: 5_000 }, (_, i) => i)).pipe(
        map((value) => value),
        filterOr((value) => value === 4_999),
        poolMap((value) => of(value), { concurrency: 1 }),
        map(() => 'last'),
      );
      expectObservable(flow).toBe('(l|)', { l: 'last' });
    });
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('counts for itself per subscription', () => {
    virtual(({ cold, expectObservable }) => {
      const flow = fromPush(cold('aa|')).pipe(filterOr((_value, index) => index === 0));
      expectObservable(flow).toBe('a-|');
      expectObservable(flow, '---^').toBe('---a-|');
    });
  });
});
