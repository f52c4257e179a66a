import { asyncScheduler, filter, map, of, take, timer, type OperatorFunction } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { describe, expect, it } from 'vitest';
import { boundedQueue, fromPull, poolMap, runFlow } from 'sluice';

/** Counts how far the source of a flow is ahead of its end. */
class Lead {
  pulled = 0;
  finished = 0;
  most = 0;

  *endless(): Generator<number, never> {
    for (;;) {
      yield this.pulled++;
      this.#look();
    }
  }

  #look(): void {
    this.most = Math.max(this.most, this.pulled - this.finished);
  }

  readonly finish: OperatorFunction<number, number> = map((value) => {
    this.#look(); // before it counts: the item that comes out is still inside
    this.finished++;
    return value;
  });
}

const CONCURRENCY = 4;
const WORK_MS = 50;
const pool = (): OperatorFunction<number, number> =>
  poolMap((value: number) => timer(WORK_MS).pipe(map(() => value)), { concurrency: CONCURRENCY });

describe('an endless source above a pool of four', () => {
  /** Takes `items` in virtual time, and answers the frame in which the last one came. */
  function inVirtualTime(lead: Lead, items: number, ...between: OperatorFunction<number, number>[]): number {
    let endedAt = 0;
    new TestScheduler(() => undefined).run(({ flush }) => {
      between
        .reduce((stream, operator) => stream.pipe(operator), fromPull(lead.endless()))
        .pipe(pool(), lead.finish, take(items))
        .subscribe({ complete: () => (endedAt = asyncScheduler.now()) });
      flush();
    });
    return endedAt;
  }

  it('is never more than five ahead over 10,000 items, and keeps every worker busy', () => {
    const lead = new Lead();
    const endedAt = inVirtualTime(
      lead,
      10_000,
      map((value) => value),
    );
    expect(lead.finished).toBe(10_000);
    expect(lead.most).toBeLessThanOrEqual(CONCURRENCY + 1);
    expect(lead.most).toBeGreaterThanOrEqual(CONCURRENCY);
    expect(endedAt).toBe((10_000 / CONCURRENCY) * WORK_MS);
  });

  it('is never more than 105 ahead through boundedQueue({ capacity: 100 })', () => {
    const lead = new Lead();
    inVirtualTime(lead, 10_000, boundedQueue({ capacity: 100 }));
    expect(lead.finished).toBe(10_000);
    expect(lead.most).toBeLessThanOrEqual(100 + CONCURRENCY + 1);
    expect(lead.most).toBeGreaterThanOrEqual(100 + CONCURRENCY);
  });

  it('is never more than five ahead over 400 items on the real clock', async () => {
    const lead = new Lead();
    const flow = fromPull(lead.endless()).pipe(
      map((value) => value),
      poolMap(
        async (value) => {
          await new Promise((resolve) => setTimeout(resolve, WORK_MS / 10));
          return value;
        },
        { concurrency: CONCURRENCY },
      ),
      lead.finish,
      take(400),
    );
    expect(await runFlow(flow)).toMatchObject({ delivered: 400, warnings: [] });
    expect(lead.most).toBeLessThanOrEqual(CONCURRENCY + 1);
    expect(lead.most).toBeGreaterThanOrEqual(CONCURRENCY);
  });
});

describe('synchronous work', () => {
  it('of 20,000 items that wait behind a slow one completes, without growing the stack', () => {
    let out = 0;
    let completed = false;
    new TestScheduler(() => undefined).run(({ flush }) => {
      fromPull(Array.from({ length: 20_000 }, (_, i) => i))
        .pipe(
          poolMap((value) => (value === 0 ? timer(1).pipe(map(() => value)) : of(value)), {
            concurrency: 1,
            maxWaiting: 20_000,
          }),
        )
        .subscribe({ next: () => out++, complete: () => (completed = true) });
      flush();
    });
    expect([out, completed]).toEqual([20_000, true]);
  });

  it.each([false, true])('of 20,000 items completes on the real clock, ordered: %s', async (ordered) => {
    const flow = fromPull(Array.from({ length: 20_000 }, (_, i) => i)).pipe(
      poolMap((value) => of(value), { concurrency: 3, ordered }),
      poolMap((value) => [value], { concurrency: 1, ordered, maxWaiting: 10 }),
      filter((value) => value % 2 === 0),
    );
    expect(await runFlow(flow)).toMatchObject({ delivered: 10_000, leftOver: 0 });
  });

  it('that fails, 20,000 times in a row, completes', async () => {
    const flow = fromPull(Array.from({ length: 20_000 }, (_, i) => i)).pipe(
      poolMap(
        () => {
          throw new Error('no');
        },
        { concurrency: 1, maxWaiting: 100, onFailure: 'drop' },
      ),
    );
    expect(await runFlow(flow)).toMatchObject({ dropped: 20_000, delivered: 0 });
  });

  it('of an endless flow leaves the event loop its turns', async () => {
    const run = runFlow(
      fromPull(function* () {
        for (let i = 0; ; i++) yield i;
      }).pipe(poolMap((value) => of(value), { concurrency: 1 })),
    );
    // Without its turns nobody would ever drain it.
    let turns = 0;
    const interval = setInterval(() => {
      if (++turns === 10) void run.drain();
    }, 1);
    expect((await run).end).toBe('drained');
    clearInterval(interval);
    expect(turns).toBeGreaterThanOrEqual(10);
  });
});
