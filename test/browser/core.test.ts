import { map } from 'rxjs';
import { describe, expect, it } from 'vitest';
import {
  batch,
  boundedQueue,
  delays,
  filterOr,
  fromPull,
  intake,
  poolMap,
  runFlow,
  storeTo,
  toAsyncIterable,
  withRetry,
  withTimeout,
} from 'sluice';

describe('the core in a browser', () => {
  it('has no Node around it', () => {
    expect('process' in globalThis && 'versions' in (globalThis as { process: object }).process).toBe(false);
    expect(typeof document).toBe('object');
  });

  it('runs a pipeline from a web stream to a sink, bounded, with retries', async () => {
    let pulled = 0;
    let most = 0;
    let finished = 0;
    const source = new ReadableStream<number>(
      {
        pull(controller) {
          if (pulled === 200) controller.close();
          else controller.enqueue(pulled++);
        },
      },
      { highWaterMark: 0 },
    );
    const failedOnce = new Set<number>();
    const rejected: number[] = [];
    const stored: number[] = [];
    const work = withRetry(
      withTimeout(
        async (value: number) => {
          most = Math.max(most, pulled - finished);
          await new Promise((resolve) => setTimeout(resolve, value % 3));
          if (value % 10 === 7 && !failedOnce.has(value)) {
            failedOnce.add(value);
            throw new Error('not yet');
          }
          return value;
        },
        { timeoutMs: 5_000 },
      ),
      delays([1]),
    );
    const report = await runFlow(
      fromPull(source).pipe(
        boundedQueue({ capacity: 5 }),
        poolMap(work, { concurrency: 4 }),
        map((value) => {
          finished++;
          return value;
        }),
        filterOr((value) => value % 2 === 0, { rejected: (value) => rejected.push(value) }),
        storeTo(async (items) => void stored.push(...items), { maxItems: 16, maxWaitMs: 5 }),
        batch({ maxItems: 50 }),
      ),
    );
    expect(report).toMatchObject({
      end: 'completed',
      itemsIn: 200,
      stored: 100,
      rejected: 100,
      retried: 20,
      leftOver: 0,
      warnings: [],
    });
    expect(stored.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i * 2));
    expect(most).toBeLessThanOrEqual(5 + 4 + 1);
    expect(report.explain()).toMatch(/poolMap|storeTo/);
  });

  it('offers and loops', async () => {
    const { offer, end, items$ } = intake<number>({ capacity: 2 });
    const offering = (async () => {
      for (let i = 0; i < 20; i++) await offer(i);
      end();
    })();
    const got: number[] = [];
    for await (const value of toAsyncIterable(items$, { capacity: 1 })) got.push(value);
    await offering;
    expect(got).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it('drains', async () => {
    let pulled = 0;
    const run = runFlow(
      fromPull(function* () {
        for (;;) yield pulled++;
      }).pipe(
        poolMap((value) => new Promise<number>((resolve) => setTimeout(resolve, 1, value)), {
          concurrency: 2,
        }),
      ),
    );
    setTimeout(() => void run.drain(), 20);
    expect(await run).toMatchObject({ end: 'drained', leftOver: 0 });
    expect((await run).delivered).toBe(pulled);
  });
});
