import { map, timer } from 'rxjs';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as sluice from 'sluice';
import { adaptive, Concurrency, filterOr, fromPull, poolMap, runFlow, storeTo } from 'sluice';
import type { Sluice } from '../engine/Scenario.ts';
import { mutant, removeMutants } from '../support/mutant.ts';
import { Pulls, taking, virtual } from './virtualTime.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Notes how many calls are at work. */
class AtWork {
  now = 0;
  most = 0;

  async during<R>(ms: number, result: R): Promise<R> {
    this.most = Math.max(this.most, ++this.now);
    await sleep(ms);
    this.now--;
    return result;
  }
}

describe('filterOr with a Concurrency', () => {
  it('asks about as many items at once as it says, also while it runs, and keeps their order', async () => {
    const workers = new Concurrency(1);
    const atWork = new AtWork();
    const kept: number[] = [];
    const run = runFlow(
      fromPull(new Pulls(30)).pipe(
        filterOr((n) => atWork.during(10, n % 3 > 0), { concurrency: workers }),
        map((n) => kept.push(n)),
      ),
    );
    await vi.advanceTimersByTimeAsync(15);
    expect(atWork.most).toBe(1);
    workers.set(4);
    await vi.advanceTimersByTimeAsync(10);
    expect(atWork.most).toBe(4);
    workers.set(2);
    await vi.advanceTimersByTimeAsync(15);
    expect(atWork.now).toBe(2);
    await vi.advanceTimersByTimeAsync(1_000);
    const report = await run;
    expect(kept).toEqual([...Array(30).keys()].filter((n) => n % 3 > 0));
    expect(report.stages[0]).toMatchObject({ in: 30, out: 20, rejected: 10, held: 0, slots: 2 });
  });

  it('finds out by adaptive how many', async () => {
    const workers = adaptive({ min: 1, max: 8 });
    const atWork = new AtWork();
    const run = runFlow(
      fromPull(new Pulls()).pipe(filterOr(() => atWork.during(10, true), { concurrency: workers })),
    );
    await vi.advanceTimersByTimeAsync(150);
    expect([workers.limit, atWork.most]).toEqual([8, 8]);
    await run.abort();
  });

  it('loses nothing, and keeps the order, where it is set at random', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      let state = seed;
      const chance = (n: number): number => (state = (state * 48_271) % 2_147_483_647) % n;
      const workers = new Concurrency(1 + chance(5));
      const atWork = new AtWork();
      const kept: number[] = [];
      const run = runFlow(
        fromPull(new Pulls(100)).pipe(
          filterOr((n) => atWork.during(chance(5), n % 2 === 0), { concurrency: workers }),
          map((n) => kept.push(n)),
        ),
      );
      for (let at = 0; at < 100; at += 3) {
        await vi.advanceTimersByTimeAsync(3);
        workers.set(1 + chance(7));
      }
      await vi.advanceTimersByTimeAsync(1_000);
      expect((await run).rejected).toBe(50);
      expect(kept).toEqual([...Array(50).keys()].map((n) => 2 * n));
    }
  });
});

describe('storeTo with a Concurrency', () => {
  it('stores as many batches at once as it says, also while it runs', async () => {
    const workers = new Concurrency(1);
    const atWork = new AtWork();
    const pulls = new Pulls(40);
    const run = runFlow(
      fromPull(pulls).pipe(
        storeTo(() => atWork.during(10, undefined), { maxItems: 2, concurrency: workers }),
      ),
    );
    await vi.advanceTimersByTimeAsync(5);
    expect([atWork.now, pulls.frames.length]).toEqual([1, 4]); // one batch is stored, the next is gathered
    workers.set(3);
    await vi.advanceTimersByTimeAsync(0);
    expect([atWork.now, pulls.frames.length]).toEqual([3, 8]);
    workers.set(1);
    await vi.advanceTimersByTimeAsync(10);
    expect(atWork.now).toBe(1);
    await vi.advanceTimersByTimeAsync(1_000);
    const report = await run;
    expect(report).toMatchObject({ itemsIn: 40, stored: 40, delivered: 40, leftOver: 0 });
    expect(report.stages[0]).toMatchObject({ slots: 1, held: 0 });
  });

  it('finds out by adaptive how many, and times each attempt', async () => {
    const workers = adaptive({ min: 1, max: 6 });
    const atWork = new AtWork();
    const run = runFlow(
      fromPull(new Pulls()).pipe(
        storeTo(() => atWork.during(10, undefined), { maxItems: 5, concurrency: workers }),
      ),
    );
    await vi.advanceTimersByTimeAsync(150);
    expect([workers.limit, atWork.most]).toEqual([6, 6]);
    await run.abort();
  });

  it('has a tenth less where the sink has too much to do', async () => {
    const workers = adaptive({ min: 1, max: 99 });
    workers.set(20);
    let calls = 0;
    const sink = async (): Promise<void> => {
      const first = calls++ === 0;
      await sleep(first ? 5 : 7);
      if (!first) throw Object.assign(new Error('too many connections'), { status: 503 });
    };
    const run = runFlow(
      fromPull(new Pulls()).pipe(storeTo(sink, { maxItems: 1, concurrency: workers, onFailure: 'drop' })),
    );
    await vi.advanceTimersByTimeAsync(12);
    expect(workers.limit).toBe(18);
    await run.abort();
  });

  it('loses nothing where it is set at random, and where the sink fails now and then', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      let state = seed;
      const chance = (n: number): number => (state = (state * 48_271) % 2_147_483_647) % n;
      const workers = new Concurrency(1 + chance(5));
      const stored: number[] = [];
      const out: number[] = [];
      const sink = async (items: readonly number[]): Promise<void> => {
        await sleep(chance(6));
        if (chance(4) === 0) throw new Error('lost');
        stored.push(...items);
      };
      const run = runFlow(
        fromPull(new Pulls(100)).pipe(
          storeTo(sink, { maxItems: 1 + chance(4), maxWaitMs: 2, concurrency: workers, onFailure: 'drop' }),
          map((n) => out.push(n)),
        ),
      );
      for (let at = 0; at < 100; at += 3) {
        await vi.advanceTimersByTimeAsync(3);
        workers.set(1 + chance(7));
      }
      await vi.advanceTimersByTimeAsync(2_000);
      const report = await run;
      expect(report.leftOver).toBe(0);
      expect(report.dropped + out.length).toBe(100);
      expect(out.toSorted((a, b) => a - b)).toEqual(stored.toSorted((a, b) => a - b));
    }
  });
});

/** A pool that is busy all of the time, with ten workers, and after a second with two: its figures after two seconds. */
function shares(of: Sluice): { busy: number; mean: number; text: string } {
  const figures = { busy: 0, mean: 0, text: '' };
  virtual(({ flush }) => {
    const workers = new of.Concurrency(10);
    const run = of.runFlow(
      of.fromPull(new Pulls()).pipe(of.poolMap(taking(10), { concurrency: workers, name: 'ten' })),
    );
    timer(1_000).subscribe(() => {
      workers.set(2);
    });
    timer(2_000).subscribe(() => {
      const report = run.report();
      const { busyShare, meanSlots } = report.stages[0]!;
      figures.busy = busyShare;
      figures.mean = meanSlots;
      figures.text = report.explain();
      void run.abort();
    });
    flush();
  });
  return figures;
}

describe('the shares of a stage that was resized', () => {
  it('are those of the slot time that was offered', () => {
    const { busy, mean, text } = shares(sluice);
    expect(busy).toBeCloseTo(1, 1);
    expect(mean).toBeCloseTo(6, 1);
    expect(text).toMatch(
      /^Still running\. ten limits the run, at \d+ items\/s: its slots, 6\.0 on average, were busy \d+ % /,
    );
  });

  it('where it was raised, too: not as if it had always had so many', () => {
    virtual(({ flush }) => {
      const workers = new Concurrency(2);
      const run = runFlow(fromPull(new Pulls()).pipe(poolMap(taking(10), { concurrency: workers })));
      timer(1_800).subscribe(() => {
        workers.set(18);
      });
      timer(2_000).subscribe(() => {
        expect(run.report().stages[0]!.busyShare).toBeGreaterThan(0.9);
        void run.abort();
      });
      flush();
    });
  });

  it('count what waits for the stage below alike', () => {
    virtual(({ flush }) => {
      const workers = new Concurrency(1);
      const flow = fromPull(new Pulls()).pipe(
        poolMap(taking(10), { concurrency: workers }),
        poolMap(taking(100), { concurrency: 1, name: 'slow' }),
      );
      const run = runFlow(flow);
      timer(1_000).subscribe(() => {
        workers.set(5);
      });
      timer(5_000).subscribe(() => {
        const { busyShare, blockedShare } = run.report().stages[0]!;
        expect(blockedShare).toBeGreaterThan(0.85);
        expect(busyShare + blockedShare).toBeLessThanOrEqual(1.001);
        void run.abort();
      });
      flush();
    });
  });

  it('do not change any more when the run is over, whatever becomes of the Concurrency', async () => {
    const workers = new Concurrency(4);
    const run = runFlow(fromPull(new Pulls(8)).pipe(poolMap(() => sleep(10), { concurrency: workers })));
    await vi.advanceTimersByTimeAsync(100);
    const before = (await run).stages;
    workers.set(1);
    await vi.advanceTimersByTimeAsync(100);
    expect(run.report().stages).toEqual(before);
    expect(before[0]).toMatchObject({ slots: 4, meanSlots: 4 });
  });

  describe('a twin', () => {
    afterAll(removeMutants);

    it('that divides by the slots of now is found out', async () => {
      const twin = await mutant<Sluice>('operators/index.ts', {
        file: 'src/metrics/StageMeter.ts',
        find: ' + this.#beyondMs',
        replace: '',
      });
      expect(shares(twin).mean).toBe(2);
    });
  });
});
