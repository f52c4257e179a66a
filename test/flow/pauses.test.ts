import { of, Subject, take } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { boundedQueue, fromPull, fromPush, poolMap, runFlow, type Settlement } from 'sluice';

// A long row of results lets the event loop turn. Here time flies, so that it pauses at every second look at the clock.
const MANY = Array.from({ length: 2_000 }, (_, i) => i);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Three items that give 2,000 results each. */
function results(settled?: (settlement: Settlement<number>) => void, ordered = false) {
  const source = fromPull([1, 2, 3], settled && { onSettled: settled });
  return source.pipe(poolMap(() => MANY, { concurrency: 1, ordered }));
}

describe('while a row of results pauses', () => {
  let at = 0;
  beforeEach(() => {
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + (at += 4));
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it.each([false, true])('who unsubscribes gets nothing more; ordered: %s', async (ordered) => {
    const seen: number[] = [];
    const subscription = results(undefined, ordered).subscribe((value) => seen.push(value));
    const before = seen.length;
    subscription.unsubscribe();
    await turn();
    await turn();
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(MANY.length);
    expect(seen).toHaveLength(before);
  });

  it('drain delivers what is inside, each result once', async () => {
    const seen: number[] = [];
    const run = runFlow(results().pipe(poolMap((value) => of(seen.push(value)), { concurrency: 1 })));
    expect(seen.length).toBeLessThan(MANY.length);
    const report = await run.drain();
    expect(report).toMatchObject({ end: 'drained', leftOver: 0 });
    expect(seen).toEqual(MANY);
  });

  it('abort hands the item back', async () => {
    const settled: Settlement<number>[] = [];
    const run = runFlow(results((settlement) => settled.push(settlement)));
    const report = await run.abort();
    expect(report).toMatchObject({ end: 'aborted', leftOver: 1 });
    expect(settled).toEqual([{ value: 1, failure: expect.any(Error) as Error }]);
  });

  it('an error of the source comes after all results', async () => {
    const source = new Subject<number>();
    const seen: number[] = [];
    const errors: unknown[] = [];
    fromPush(source)
      .pipe(poolMap(() => MANY, { concurrency: 1 }))
      .subscribe({ next: (value) => seen.push(value), error: (error: unknown) => errors.push(error) });
    source.next(1);
    source.error(new Error('source'));
    expect(errors).toEqual([]);
    await vi.waitFor(() => expect(errors).toEqual([new Error('source')]));
    expect(seen).toEqual(MANY);
  });

  it('work that fails has the results before it delivered first', async () => {
    const source = new Subject<number>();
    const seen: number[] = [];
    const errors: unknown[] = [];
    fromPush(source)
      .pipe(poolMap((value) => (value === 1 ? MANY : Promise.reject(new Error('work'))), { concurrency: 2 }))
      .subscribe({ next: (value) => seen.push(value), error: (error: unknown) => errors.push(error) });
    source.next(1);
    source.next(2);
    await vi.waitFor(() => expect(errors).toEqual([new Error('work')]));
    expect(seen).toEqual(MANY);
  });

  it('what comes in meanwhile is delivered as well, and overflows no queue', async () => {
    const source = new Subject<number>();
    const seen: number[] = [];
    fromPush(source)
      .pipe(
        boundedQueue({ capacity: 1 }),
        poolMap(() => MANY, { concurrency: 1, maxWaiting: 2 }),
      )
      .subscribe((value) => {
        seen.push(value);
      });
    source.next(1);
    source.next(2);
    source.next(3);
    await vi.waitFor(() => expect(seen).toHaveLength(3 * MANY.length));
  });

  it('a stage below that takes a few at a time gets each result once, up to where it is left', async () => {
    const seen: number[] = [];
    await runFlow(
      results().pipe(
        poolMap(
          async (value) => {
            seen.push(value);
            return value;
          },
          { concurrency: 3 },
        ),
        take(5_000),
      ),
    );
    expect(seen.slice(0, 5_000)).toEqual([...MANY, ...MANY, ...MANY].slice(0, 5_000));
  });
});
