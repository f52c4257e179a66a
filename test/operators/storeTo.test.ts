import { Subject } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  delays,
  fromPull,
  fromPush,
  poolMap,
  runFlow,
  storeTo,
  type DeadLetter,
  type Sink,
  type SinkContext,
  type StoreToOptions,
} from 'sluice';

/** A sink that takes `ms` for a batch, and fails as it is told. */
class Notebook implements Sink<number> {
  readonly stored: string[] = [];
  readonly attempts: number[] = [];
  readonly signals: AbortSignal[] = [];
  active = 0;
  mostActive = 0;
  closed = 0;
  readonly #startedAt = Date.now();
  readonly #ms: number;
  readonly #fault: (items: readonly number[], attempt: number) => unknown;

  constructor(ms = 0, fault: (items: readonly number[], attempt: number) => unknown = () => undefined) {
    this.#ms = ms;
    this.#fault = fault;
  }

  async store(items: readonly number[], { attempt, signal }: SinkContext): Promise<void> {
    this.attempts.push(attempt);
    this.signals.push(signal);
    this.active++;
    this.mostActive = Math.max(this.active, this.mostActive);
    if (this.#ms > 0) await new Promise((resolve) => setTimeout(resolve, this.#ms));
    this.active--;
    const fault = this.#fault(items, attempt);
    if (fault !== undefined) throw fault;
    this.stored.push(`${items.join(',')}@${Date.now() - this.#startedAt}`);
  }

  classify(error: unknown): 'retry' | 'data' | 'fatal' {
    return (error as { kind?: 'retry' | 'data' | 'fatal' }).kind ?? 'retry';
  }

  async close(): Promise<void> {
    this.closed++;
  }
}

const fault = (kind: 'retry' | 'data' | 'fatal'): Error => Object.assign(new Error(kind), { kind });

describe('storeTo', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Runs `items` into `sink` for `ms`, and notes what comes out and when. */
  async function store(
    items: Iterable<number>,
    sink: Sink<number>,
    options: StoreToOptions<number>,
    ms: number,
  ): Promise<string[]> {
    const startedAt = Date.now();
    const seen: string[] = [];
    const at = (): string => `@${Date.now() - startedAt}`;
    fromPull(items)
      .pipe(storeTo(sink, options))
      .subscribe({
        next: (value) => seen.push(`${value}${at()}`),
        error: (error: unknown) => seen.push(`${(error as Error).message}${at()}`),
        complete: () => seen.push(`|${at()}`),
      });
    await vi.advanceTimersByTimeAsync(ms);
    return seen;
  }

  it('stores full batches, and emits each item when the sink has confirmed it', async () => {
    const sink = new Notebook(5);
    const seen = await store([1, 2, 3, 4], sink, { maxItems: 2 }, 20);
    expect(sink.stored).toEqual(['1,2@5', '3,4@10']);
    expect(seen).toEqual(['1@5', '2@5', '3@10', '4@10', '|@10']);
    expect(sink.closed).toBe(1);
  });

  it('emits nothing before the sink has confirmed', async () => {
    const sink = new Notebook(1_000);
    expect(await store([1, 2], sink, { maxItems: 2 }, 999)).toEqual([]);
  });

  it('stores what it has maxWaitMs after the first item', async () => {
    const sink = new Notebook();
    const source = new Subject<number>();
    const got: number[] = [];
    fromPush(source)
      .pipe(storeTo(sink, { maxItems: 9, maxWaitMs: 30 }))
      .subscribe((value) => got.push(value));
    source.next(1);
    await vi.advanceTimersByTimeAsync(29);
    source.next(2);
    expect(sink.stored).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(sink.stored).toEqual(['1,2@30']);
    source.next(3);
    await vi.advanceTimersByTimeAsync(30);
    expect(sink.stored).toEqual(['1,2@30', '3@60']);
    expect(got).toEqual([1, 2, 3]);
  });

  it('stores the rest at the end of the source at once', async () => {
    const sink = new Notebook();
    const seen = await store([1, 2, 3], sink, { maxItems: 2, maxWaitMs: 1_000 }, 1);
    expect(sink.stored).toEqual(['1,2@0', '3@0']);
    expect(seen.at(-1)).toBe('|@0');
  });

  it('stores `concurrency` batches at once, and gathers one more meanwhile', async () => {
    const sink = new Notebook(10);
    let pulled = 0;
    function* endless(): Generator<number> {
      for (;;) yield pulled++;
    }
    void store(endless(), sink, { maxItems: 3, concurrency: 2 }, 0);
    await vi.advanceTimersByTimeAsync(9);
    expect(pulled).toBe(9); // maxItems × (concurrency + 1)
    await vi.advanceTimersByTimeAsync(100);
    expect(sink.mostActive).toBe(2);
  });

  it('tries a batch again as the policy says, and tells the attempt', async () => {
    const sink = new Notebook(0, (_items, attempt) => (attempt < 3 ? fault('retry') : undefined));
    const seen = await store([1, 2], sink, { maxItems: 2, retry: delays([100, 200]) }, 400);
    expect(sink.attempts).toEqual([1, 2, 3]);
    expect(seen).toEqual(['1@300', '2@300', '|@300']);
  });

  it('errors with the last error itself when the policy gives up', async () => {
    const sink = new Notebook(0, () => fault('retry'));
    const seen = await store([1, 2], sink, { maxItems: 2, retry: delays([100]) }, 400);
    expect(seen).toEqual(['retry@100']);
    expect(sink.closed).toBe(1);
  });

  it('does not try again without a policy', async () => {
    const sink = new Notebook(0, () => fault('retry'));
    expect(await store([1, 2], sink, { maxItems: 2 }, 1)).toEqual(['retry@0']);
    expect(sink.attempts).toEqual([1]);
  });

  it('does not try an error again that is fatal, nor looks for a bad item', async () => {
    const sink = new Notebook(0, () => fault('fatal'));
    const letters = vi.fn();
    const options = { maxItems: 4, retry: delays([1, 1]), onFailure: letters };
    expect(await store([1, 2, 3, 4], sink, options, 9)).toEqual(['fatal@0']);
    expect(sink.attempts).toEqual([1]);
    expect(letters).not.toHaveBeenCalled();
  });

  it.each([[undefined], [delays([1])]])(
    'fails where classify gives a promise, and leaves none unheard: %o',
    async (retry) => {
      const unheard = vi.fn();
      process.on('unhandledRejection', unheard);
      const sink = {
        store: () => Promise.reject(new Error('down')),
        classify: () => Promise.reject(new Error('later')) as never,
      };
      const run = runFlow(fromPull([1]).pipe(storeTo(sink, { maxItems: 1, ...(retry && { retry }) })));
      const failure = run.catch((error: unknown) => error);
      await vi.advanceTimersByTimeAsync(1_000);
      process.off('unhandledRejection', unheard);
      expect(await failure).toMatchObject({
        code: 'INVALID_OPTION',
        message: 'storeTo: classify must answer at once, and gave a promise',
      });
      expect(unheard).not.toHaveBeenCalled();
    },
  );

  it('cuts a batch in halves until the bad item is alone, and stores the others', async () => {
    const tried: string[] = [];
    const sink = new Notebook(0, (items) => {
      tried.push(items.join(''));
      return items.includes(3) ? fault('data') : undefined;
    });
    const letters: DeadLetter<number>[] = [];
    const seen = await store(
      [1, 2, 3, 4],
      sink,
      { maxItems: 4, onFailure: (letter) => letters.push(letter), name: 'orders' },
      1,
    );
    expect(tried).toEqual(['1234', '12', '34', '3', '4']);
    expect(seen).toEqual(['1@0', '2@0', '4@0', '|@0']);
    expect(letters).toEqual([
      {
        value: 3,
        error: expect.objectContaining({ kind: 'data' }),
        attempts: 1,
        stage: 'orders',
        elapsedMs: 0,
      },
    ]);
  });

  it('keeps what it has confirmed when the bad item ends the flow', async () => {
    const sink = new Notebook(0, (items) => (items.includes(3) ? fault('data') : undefined));
    expect(await store([1, 2, 3, 4], sink, { maxItems: 4 }, 1)).toEqual(['1@0', '2@0', 'data@0']);
  });

  it('drops what could not be stored, where it is told to', async () => {
    const sink = new Notebook(0, (items) => (items.includes(2) ? fault('data') : undefined));
    const seen = await store([1, 2, 3], sink, { maxItems: 3, onFailure: 'drop' }, 1);
    expect(seen).toEqual(['1@0', '3@0', '|@0']);
  });

  it('waits for an asynchronous dead-letter handler before the item leaves', async () => {
    const sink = new Notebook(0, () => fault('data'));
    const seen = await store(
      [1],
      sink,
      { maxItems: 1, onFailure: () => new Promise((resolve) => setTimeout(resolve, 50)) },
      100,
    );
    expect(seen).toEqual(['|@50']);
  });

  it('errors with what the dead-letter handler throws', async () => {
    const sink = new Notebook(0, () => fault('data'));
    const refuse = (): never => {
      throw new Error('box full');
    };
    expect(await store([1, 2], sink, { maxItems: 1, onFailure: refuse }, 1)).toEqual(['box full@0']);
  });

  it('takes a bare function for a sink', async () => {
    const batches: (readonly number[])[] = [];
    const seen: number[] = [];
    fromPull([1, 2, 3])
      .pipe(
        storeTo(async (items: readonly number[]) => void batches.push(items), {
          maxItems: 2,
        }),
      )
      .subscribe((value) => seen.push(value));
    await vi.advanceTimersByTimeAsync(1);
    expect([batches, seen]).toEqual([
      [[1, 2], [3]],
      [1, 2, 3],
    ]);
  });

  it('aborts the signals of batches being stored when it is unsubscribed from, and closes the sink', async () => {
    const sink = new Notebook(50);
    const flow = fromPull([1, 2, 3, 4]).pipe(storeTo(sink, { maxItems: 2, concurrency: 2 }));
    const subscription = flow.subscribe();
    await vi.advanceTimersByTimeAsync(1);
    subscription.unsubscribe();
    expect(sink.signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    expect(sink.closed).toBe(1);
  });

  describe('without a run of its own', () => {
    /** Takes 10 ms to close. */
    const closing = (end: () => void): Sink<number> => ({
      store: async () => undefined,
      close: async () => {
        await new Promise((resolve) => setTimeout(resolve, 10));
        end();
      },
    });

    it('completes when its sink is closed', async () => {
      let closed = 0;
      const seen = await store(
        [1],
        closing(() => closed++),
        {},
        20,
      );
      expect([seen, closed]).toEqual([['1@0', '|@10'], 1]);
    });

    it('errors when its sink cannot be closed', async () => {
      const fails = closing(() => {
        throw new Error('not closed');
      });
      expect(await store([1], fails, {}, 20)).toEqual(['1@0', 'not closed@10']);
    });

    it('keeps an item of a pool at work until the sink inside is closed', async () => {
      let closed = 0;
      const inside = (id: number) => fromPull([id]).pipe(storeTo(closing(() => closed++)));
      const settled: string[] = [];
      const source = fromPull([1, 2], {
        onSettled: ({ value, failure }) => settled.push(`${value} ${failure ? 'back' : 'done'} ${closed}`),
      });
      const run = runFlow(source.pipe(poolMap(inside, { concurrency: 1 })));
      await vi.advanceTimersByTimeAsync(30);
      expect((await run).end).toBe('completed');
      expect([closed, settled]).toEqual([2, ['1 done 1', '2 done 2']]);
    });

    it('has failed, as work of a pool, where that sink cannot be closed', async () => {
      const letters: DeadLetter<number>[] = [];
      const inside = (id: number) =>
        fromPull([id]).pipe(
          storeTo(
            closing(() => {
              if (id === 1) throw new Error('not closed');
            }),
          ),
        );
      const run = runFlow(
        fromPull([1, 2]).pipe(
          poolMap(inside, { concurrency: 1, onFailure: (letter) => letters.push(letter) }),
        ),
      );
      await vi.advanceTimersByTimeAsync(30);
      expect((await run).stages).toMatchObject([{ dead: 1, out: 1 }]);
      expect(letters).toMatchObject([{ value: 1, error: { message: 'not closed' } }]);
    });
  });

  it('aborts the other batches when one ends the flow, and hands them back', async () => {
    const sink = new Notebook(10, (items) => (items.includes(1) ? fault('fatal') : undefined));
    const run = runFlow(fromPull([1, 2, 3, 4]).pipe(storeTo(sink, { maxItems: 2, concurrency: 2 })));
    const failed = expect(run).rejects.toThrow('fatal');
    await vi.advanceTimersByTimeAsync(10);
    await failed;
    const { left, stages } = run.report();
    expect(left.map(({ value }) => value).sort()).toEqual([1, 2, 3, 4]);
    expect(stages[0]).toMatchObject({ in: 4, out: 0, held: 4 });
  });

  it('passes an error of the source on after everything is stored', async () => {
    const sink = new Notebook(5);
    function* failing(): Generator<number> {
      yield 1;
      yield 2;
      yield 3;
      throw new Error('source');
    }
    const seen = await store(failing(), sink, { maxItems: 2 }, 50);
    expect(sink.stored).toEqual(['1,2@5', '3@10']);
    expect(seen).toEqual(['1@5', '2@5', '3@10', 'source@10']);
  });

  it('counts retries and what is stored in the report', async () => {
    const sink = new Notebook(0, (_items, attempt) => (attempt === 1 ? fault('retry') : undefined));
    const run = runFlow(fromPull([1, 2, 3]).pipe(storeTo(sink, { maxItems: 3, retry: delays([10]) })));
    await vi.advanceTimersByTimeAsync(20);
    expect(await run).toMatchObject({ stored: 3, retried: 3, delivered: 3, end: 'completed', leftOver: 0 });
  });

  it('ends a retry wait as a failure on drain', async () => {
    const sink = new Notebook(0, () => fault('retry'));
    const letters: DeadLetter<number>[] = [];
    const run = runFlow(
      fromPull([1]).pipe(
        storeTo(sink, { maxItems: 1, retry: delays([60_000]), onFailure: (letter) => letters.push(letter) }),
      ),
    );
    await vi.advanceTimersByTimeAsync(10);
    void run.drain();
    await vi.advanceTimersByTimeAsync(0);
    expect(await run).toMatchObject({ end: expect.any(String) as string, dead: 1, leftOver: 0 });
    expect(letters).toHaveLength(1);
  });
});
