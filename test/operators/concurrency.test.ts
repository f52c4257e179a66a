import { lastValueFrom, map, of, tap, timer, toArray, type Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { Concurrency, fromPull, InvalidOptionError, poolMap, runFlow } from 'sluice';
import { frame, Pulls, taking, virtual } from './virtualTime.ts';

/** Work of `ms` that notes how many are at work, and the highest worker number in use. */
class Busy {
  now = 0;
  most = 0;
  readonly workers = new Set<number>();
  readonly #ms: number;

  constructor(ms: number) {
    this.#ms = ms;
  }

  work = (value: number, { worker }: { readonly worker: number }): Observable<number> => {
    expect(this.workers, 'no worker has two items').not.toContain(worker);
    this.workers.add(worker);
    this.most = Math.max(this.most, ++this.now);
    return timer(this.#ms).pipe(
      map(() => {
        this.now--;
        this.workers.delete(worker);
        return value;
      }),
    );
  };
}

describe('a Concurrency', () => {
  it('that is raised opens demand at once, for as many as there are new workers', () => {
    const workers = new Concurrency(1);
    const pulls = new Pulls(6);
    virtual(({ flush }) => {
      fromPull(pulls)
        .pipe(poolMap(taking(10), { concurrency: workers }))
        .subscribe();
      timer(4).subscribe(() => {
        workers.set(3);
      });
      flush();
    });
    expect(pulls.frames).toEqual([0, 4, 4, 10, 14, 14]);
  });

  it('that is lowered has running work finished, and then never has more at work', () => {
    const workers = new Concurrency(4);
    const busy = new Busy(10);
    const seen: number[] = [];
    const atWork: number[] = [];
    virtual(({ flush }) => {
      fromPull(new Pulls(12))
        .pipe(poolMap(busy.work, { concurrency: workers, maxWaiting: 2 }))
        .subscribe((value) => seen.push(value));
      timer(5).subscribe(() => {
        workers.set(2);
      });
      for (let at = 1; at < 60; at += 10) timer(at).subscribe(() => atWork.push(busy.now));
      flush();
    });
    expect(atWork).toEqual([4, 2, 2, 2, 2, 0]);
    expect(seen).toEqual([...Array(12).keys()]);
  });

  it('rules every pool that it was given to, each with that many workers of its own, and those to come', () => {
    const workers = new Concurrency(1);
    const first = new Busy(10);
    const second = new Busy(10);
    const later = new Busy(10);
    virtual(({ flush }) => {
      const run = ({ work }: Busy): unknown =>
        fromPull(new Pulls(9))
          .pipe(poolMap(work, { concurrency: workers }))
          .subscribe();
      run(first);
      run(second);
      timer(15).subscribe(() => {
        workers.set(3);
        run(later);
      });
      flush();
    });
    expect([first.most, second.most, later.most]).toEqual([3, 3, 3]);
  });

  it('may be set by the work itself, and from inside a result', async () => {
    const workers = new Concurrency(1);
    const flow = fromPull(Array.from({ length: 1_000 }, (_, i) => i)).pipe(
      poolMap(
        (value) => {
          workers.set(1 + (value % 7));
          return of(value);
        },
        { concurrency: workers, maxWaiting: 3 },
      ),
      tap((value) => {
        workers.set(1 + (value % 5));
      }),
    );
    const seen = await lastValueFrom(flow.pipe(toArray()));
    expect(seen).toEqual([...Array(1_000).keys()]);
  });

  it.each([
    ['in order', { ordered: true }],
    ['in any order', {}],
    ['by key', { by: (value: number) => value % 5 }],
  ])('loses nothing, %s, when it is set at random while items take random times', (_title, options) => {
    for (let seed = 1; seed <= 40; seed++) {
      let state = seed;
      const chance = (n: number): number => (state = (state * 48_271) % 2_147_483_647) % n;
      const workers = new Concurrency(1 + chance(6));
      const seen: number[] = [];
      let most = 0;
      let now = 0;
      virtual(({ flush }) => {
        fromPull(new Pulls(150))
          .pipe(
            poolMap(
              (value, { worker }) => {
                expect(worker).toBeLessThan(workers.limit);
                most = Math.max(most, ++now);
                expect(now).toBeLessThanOrEqual(workers.limit);
                return timer(chance(5)).pipe(
                  map(() => {
                    now--;
                    return value;
                  }),
                );
              },
              { concurrency: workers, maxWaiting: chance(4), ...options },
            ),
          )
          .subscribe((value) => seen.push(value));
        for (let at = 0; at < 60; at += 1 + chance(4)) {
          timer(at).subscribe(() => {
            workers.set(1 + chance(8));
          });
        }
        flush();
      });
      expect(seen.toSorted((a, b) => a - b)).toEqual([...Array(150).keys()]);
      if ('ordered' in options) expect(seen).toEqual([...Array(150).keys()]);
      expect(most).toBeGreaterThan(1);
    }
  });

  it('forgets a pool that has ended', () => {
    const workers = new Concurrency(1);
    const followed: number[] = [];
    const { follow } = workers;
    workers.follow = (pool) => {
      followed.push(1);
      const leave = follow.call(workers, pool);
      return () => {
        followed.push(-1);
        leave();
      };
    };
    fromPull([1, 2])
      .pipe(poolMap((value) => [value], { concurrency: workers }))
      .subscribe();
    fromPull(new Pulls())
      .pipe(poolMap(taking(1), { concurrency: workers }))
      .subscribe()
      .unsubscribe();
    expect(followed).toEqual([1, -1, 1, -1]);
  });

  it('keeps its ledger through drain: what was accepted is finished', async () => {
    const workers = new Concurrency(4);
    function* endless(): Generator<number> {
      for (let n = 0; ; n++) yield n;
    }
    const flow = fromPull(endless).pipe(
      poolMap(
        async (value) => {
          if (value === 50) workers.set(1);
          if (value === 60) void run.drain();
          await Promise.resolve();
          return value;
        },
        { concurrency: workers, maxWaiting: 5 },
      ),
    );
    const run = runFlow(flow);
    const report = await run;
    expect(report.end).toBe('drained');
    expect(report.delivered).toBe(report.itemsIn);
    expect(report.leftOver).toBe(0);
    expect(report.stages[0]).toMatchObject({ slots: 1, active: 0, waiting: 0 });
  });

  it('is seen in the figures: slots, those in use, and what waits', () => {
    const workers = new Concurrency(3);
    const seen: unknown[] = [];
    virtual(({ flush }) => {
      const pool = poolMap(taking<number>(10), { concurrency: workers, maxWaiting: 2 });
      const run = runFlow(fromPull(new Pulls(5)).pipe(pool));
      const look = (): void => {
        const { slots, active, waiting } = run.report().stages[0]!;
        seen.push([slots, active, waiting]);
      };
      timer(5).subscribe(look);
      timer(6).subscribe(() => {
        workers.set(1);
        look();
      });
      timer(11).subscribe(look);
      timer(21).subscribe(look);
      flush();
    });
    expect(seen).toEqual([
      [3, 3, 2],
      [1, 3, 2],
      [1, 1, 1],
      [1, 1, 0],
    ]);
  });

  it('refuses a limit that is none', () => {
    const workers = new Concurrency(2);
    for (const limit of [0, -1, 1.5, NaN, Infinity]) {
      expect(() => new Concurrency(limit)).toThrow(InvalidOptionError);
      expect(() => {
        workers.set(limit);
      }).toThrow(InvalidOptionError);
    }
    expect(workers.limit).toBe(2);
    expect(() => poolMap(taking(0), { concurrency: {} as never })).toThrow(
      'poolMap: concurrency.follow must be a function, got undefined',
    );
  });

  it('starts a line of any length without growing the stack', () => {
    const workers = new Concurrency(1);
    const seen: number[] = [];
    virtual(({ flush }) => {
      fromPull(Array.from({ length: 50_001 }, (_, i) => i))
        .pipe(
          poolMap((value) => (value === 0 ? taking<number>(5)(0) : of(value)), {
            concurrency: workers,
            maxWaiting: 50_000,
          }),
        )
        .subscribe((value) => seen.push(value));
      timer(1).subscribe(() => {
        workers.set(2);
        expect(frame()).toBe(1);
        expect(seen).toHaveLength(50_000);
      });
      flush();
    });
    expect(seen.at(-1)).toBe(0);
  });
});
