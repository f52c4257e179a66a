import { map, throwError, timer, mergeMap, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  delays,
  fromPull,
  poolMap,
  runFlow,
  storeTo,
  withRetry,
  type DeadLetter,
  type FlowReport,
  type OnFailure,
  type Settlement,
  type Sink,
  type SinkContext,
  type WorkContext,
} from 'sluice';
import { virtual } from './virtualTime.ts';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
const isBad = (item: number): boolean => item % 10 === 0;

/** A sink of dead letters that takes `ms`, and refuses what it is told to. */
class Box implements Sink<DeadLetter<number>> {
  readonly calls: number[][] = [];
  readonly written: number[] = [];
  readonly contexts: SinkContext[] = [];
  closed = 0;
  readonly #ms: number;
  readonly #refuses: (attempt: number) => boolean;

  constructor(ms = 0, refuses: (attempt: number) => boolean = () => false) {
    this.#ms = ms;
    this.#refuses = refuses;
  }

  async store(letters: readonly DeadLetter<number>[], context: SinkContext): Promise<void> {
    this.contexts.push(context);
    const values = letters.map(({ value }) => value);
    this.calls.push(values);
    if (this.#ms > 0) await sleep(this.#ms);
    if (this.#refuses(context.attempt)) throw new Error('box full');
    this.written.push(...values);
  }

  async close(): Promise<void> {
    this.closed++;
  }
}

type Failing = (onFailure: OnFailure<number>) => (source: Observable<number>) => Observable<number>;

const both: readonly (readonly [string, Failing])[] = [
  [
    'poolMap',
    (onFailure) =>
      poolMap(
        async (item: number) => {
          if (isBad(item)) throw new Error(`item ${item}`);
          return item;
        },
        { concurrency: 4, onFailure },
      ),
  ],
  [
    'storeTo',
    (onFailure) =>
      storeTo(
        {
          async store(items: readonly number[]) {
            const bad = items.find(isBad);
            if (bad !== undefined) throw new Error(`item ${bad}`);
          },
          classify: () => 'data' as const,
        },
        { maxItems: 4, onFailure },
      ),
  ],
];

describe.each(both)('dead letters of %s', (name, failing) => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  interface Ran {
    readonly run: ReturnType<typeof runFlow>;
    readonly settled: Settlement<number>[];
  }

  function start(onFailure: OnFailure<number>, items = upTo(20)): Ran {
    const settled: Settlement<number>[] = [];
    const source = fromPull(items, { onSettled: (settlement) => settled.push(settlement) });
    return { run: runFlow(source.pipe(failing(onFailure))), settled };
  }

  const acknowledged = (settled: readonly Settlement<number>[]): number[] =>
    settled
      .filter(({ failure }) => failure === undefined)
      .map(({ value }) => value)
      .sort((a, b) => a - b);

  it('go to a sink, which is closed at the end of the run', async () => {
    const box = new Box(5);
    const { run, settled } = start(box);
    await vi.advanceTimersByTimeAsync(100);
    expect(await run).toMatchObject({ end: 'completed', delivered: 18, dead: 2, leftOver: 0 });
    expect(box.written).toEqual([10, 20]);
    expect(box.closed).toBe(1);
    expect(acknowledged(settled)).toEqual(upTo(20));
  });

  it('close their sink with the subscription, where there is no run', async () => {
    const box = new Box();
    fromPull(upTo(20)).pipe(failing(box)).subscribe();
    await vi.advanceTimersByTimeAsync(10);
    expect([box.written, box.closed]).toEqual([[10, 20], 1]);
  });

  it('leave an item its slot, and unacknowledged, until they are written', async () => {
    const box = new Box(50);
    const { run, settled } = start(box, upTo(10));
    await vi.advanceTimersByTimeAsync(49);
    const [stage] = run.report().stages;
    expect(stage).toMatchObject({ in: 10, out: 9, dead: 0, held: 1 });
    expect(acknowledged(settled)).toEqual(upTo(9));
    await vi.advanceTimersByTimeAsync(1);
    expect(acknowledged(settled)).toEqual(upTo(10));
    expect((await run).dead).toBe(1);
  });

  it('end the flow where they cannot be written, and the item is handed back', async () => {
    const box = new Box(5, () => true);
    const { run, settled } = start(box, upTo(10));
    const failed = expect(run).rejects.toThrow('box full');
    await vi.advanceTimersByTimeAsync(10);
    await failed;
    const report = run.report();
    expect(report).toMatchObject({ end: 'failed', dead: 0, leftOver: 1 });
    expect(report.left).toEqual([{ stage: name, value: 10 }]);
    expect(settled.filter(({ failure }) => failure !== undefined).map(({ value }) => value)).toEqual([10]);
    expect(box.closed).toBe(1);
  });

  it('are waited for while draining', async () => {
    const box = new Box(100);
    const { run } = start(box, upTo(1_000));
    await vi.advanceTimersByTimeAsync(50);
    void run.drain();
    await vi.advanceTimersByTimeAsync(1_000);
    const report = await run;
    expect(report).toMatchObject({ end: 'drained', leftOver: 0 });
    expect(report.dead).toBeGreaterThan(0);
    expect(box.written).toHaveLength(report.dead);
  });

  it('are given up by an abort: the signal of the box is aborted, the item is what is left', async () => {
    const box = new Box(100);
    const { run, settled } = start(box, upTo(10));
    await vi.advanceTimersByTimeAsync(50);
    // Read before, and read only then: both are aborted.
    const [context] = box.contexts;
    const { signal } = context!;
    const ended = run.abort();
    await vi.advanceTimersByTimeAsync(0);
    const report: FlowReport = await ended;
    expect(report.left).toEqual([{ stage: name, value: 10 }]);
    expect(signal.aborted).toBe(true);
    expect(acknowledged(settled)).toEqual(upTo(9));
    await vi.advanceTimersByTimeAsync(100);
    expect(run.report()).toMatchObject({ dead: 0, leftOver: 1 }); // although it came to be written
  });

  it('are tried again by withRetry around a handler', async () => {
    const box = new Box(0, (attempt) => attempt < 3);
    const put = (letter: DeadLetter<number>, context: WorkContext): Promise<void> =>
      box.store([letter], context);
    const { run } = start(withRetry(put, delays([100, 200])), upTo(10));
    await vi.advanceTimersByTimeAsync(299);
    expect(box.written).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await run).toMatchObject({ dead: 1, delivered: 9, retried: 0 });
    expect(box.written).toEqual([10]);
  });

  it('end that wait on drain: the flow fails, and the item is handed back', async () => {
    const box = new Box(0, () => true);
    const put = (letter: DeadLetter<number>, context: WorkContext): Promise<void> =>
      box.store([letter], context);
    const { run } = start(withRetry(put, delays([60_000])), upTo(10));
    await vi.advanceTimersByTimeAsync(10);
    const failed = expect(run.drain()).rejects.toThrow('box full');
    await vi.advanceTimersByTimeAsync(0);
    await failed;
    expect(run.report()).toMatchObject({ dead: 0, leftOver: 1 });
  });
});

describe('the time in a dead letter', () => {
  it('of poolMap is that since its first attempt, waits between attempts included, and not that in the line', () => {
    const letters: DeadLetter<string>[] = [];
    virtual(({ cold, flush }) => {
      const work = (): Observable<string> => timer(5).pipe(mergeMap(() => throwError(() => 'x')));
      const onFailure = (letter: DeadLetter<string>): unknown => letters.push(letter);
      const pool = poolMap(withRetry(work, delays([20])), { concurrency: 1, maxWaiting: 3, onFailure });
      cold('(ab|)').pipe(pool).subscribe();
      flush();
    });
    expect(letters.map(({ value, elapsedMs }) => [value, elapsedMs])).toEqual([
      ['a', 30],
      ['b', 30],
    ]);
  });

  it('of poolMap is right for a thousand items in turn', () => {
    const letters: number[] = [];
    virtual(({ flush }) => {
      const work = (n: number): Observable<number> =>
        timer(n % 7).pipe(
          map(() => {
            throw new Error('x');
          }),
        );
      const onFailure = ({ value, elapsedMs }: DeadLetter<number>): void => {
        expect(elapsedMs).toBe(value % 7);
        letters.push(value);
      };
      fromPull(upTo(1_000))
        .pipe(poolMap(work, { concurrency: 3, onFailure }))
        .subscribe();
      flush();
    });
    expect(letters).toHaveLength(1_000);
  });

  it('of storeTo is that since its batch was begun', async () => {
    vi.useFakeTimers();
    const letters: DeadLetter<number>[] = [];
    const sink: Sink<number> = {
      async store() {
        await sleep(10);
        throw new Error('down');
      },
    };
    const onFailure = (letter: DeadLetter<number>): unknown => letters.push(letter);
    fromPull([1, 2])
      .pipe(storeTo(sink, { maxItems: 2, retry: delays([100]), onFailure }))
      .subscribe();
    await vi.advanceTimersByTimeAsync(200);
    vi.useRealTimers();
    expect(letters).toEqual(
      [1, 2].map((value) => ({
        value,
        error: new Error('down'),
        attempts: 2,
        stage: 'storeTo',
        elapsedMs: 120,
      })),
    );
  });
});

describe('storeTo', () => {
  it('gives the letters of a batch to a sink in one call, and to a function one after the other', async () => {
    const down: Sink<number> = {
      store: () => Promise.reject(new Error('down')),
    };
    const box = new Box();
    await runFlow(fromPull(upTo(6)).pipe(storeTo(down, { maxItems: 3, onFailure: box })));
    expect(box.calls).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    let atOnce = 0;
    let most = 0;
    const handler = async (): Promise<void> => {
      most = Math.max(most, ++atOnce);
      await Promise.resolve();
      atOnce--;
    };
    await runFlow(fromPull(upTo(6)).pipe(storeTo(down, { maxItems: 3, onFailure: handler })));
    expect(most).toBe(1);
  });

  it('counts the attempts of the store alone, not those of the letter', async () => {
    vi.useFakeTimers();
    const seen: [number, number][] = [];
    const put = async ({ value, attempts }: DeadLetter<number>, { attempt }: WorkContext): Promise<void> => {
      if (attempt < 4) throw new Error('not yet');
      seen.push([value, attempts]);
    };
    const sink: Sink<number> = { store: () => Promise.reject(new Error('bad')), classify: () => 'data' };
    const onFailure = withRetry(put, delays([1, 1, 1]));
    const run = runFlow(fromPull([1, 2]).pipe(storeTo(sink, { maxItems: 2, onFailure })));
    await vi.advanceTimersByTimeAsync(20);
    vi.useRealTimers();
    expect((await run).dead).toBe(2);
    expect(seen).toEqual([
      [1, 1],
      [2, 1],
    ]);
  });

  it.each([1, 2, 3, 7, 8, 100, 500])(
    'finds one bad item among %i in 2·log2 n + 2 calls, wherever it is',
    async (n) => {
      for (const bad of new Set(
        [1, 2, Math.ceil(n / 3), Math.ceil(n / 2), n - 1, n].filter((i) => i >= 1 && i <= n),
      )) {
        let calls = 0;
        const stored: number[] = [];
        const sink: Sink<number> = {
          async store(items) {
            calls++;
            if (items.includes(bad)) throw new Error('bad');
            stored.push(...items);
          },
          classify: () => 'data',
        };
        const box = new Box();
        await runFlow(fromPull(upTo(n)).pipe(storeTo(sink, { maxItems: n, onFailure: box })));
        expect(box.written).toEqual([bad]);
        expect(stored).toEqual(upTo(n).filter((item) => item !== bad));
        expect(calls).toBeLessThanOrEqual(2 * Math.log2(n) + 2);
      }
    },
  );
});
