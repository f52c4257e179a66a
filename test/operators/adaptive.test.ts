import { map, mergeMap, throwError, timer, type Observable, type ObservableInput } from 'rxjs';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { adaptive, Concurrency, delays, fromPull, poolMap, withRetry, withTimeout, type Work } from 'sluice';
import { AdaptiveLimit } from '../../src/pool/AdaptiveLimit.ts';
import { mutant, removeMutants } from '../support/mutant.ts';
import { frame, Pulls, taking, virtual } from './virtualTime.ts';

/** Milliseconds that a request takes, with `atWork` of them, this one included, at `at`. */
type Latency = (atWork: number, at: number) => number;

/** Numbers from 0 up to 1, the same for the same seed. */
function chances(seed: number): () => number {
  let state = seed * 7_919 + 1;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

/** So many servers behind one line. From `slow.at` on, fewer and slower ones. */
function queueing(
  servers: number,
  ms: number,
  slow?: { readonly at: number; readonly servers: number; readonly ms: number },
): Latency {
  let free = Array.from({ length: servers }, () => 0);
  let took = ms;
  return (_, at) => {
    if (slow && at >= slow.at && took === ms) {
      free = Array.from({ length: slow.servers }, () => at);
      took = slow.ms;
    }
    const first = free.indexOf(Math.min(...free));
    free[first] = Math.max(at, free[first]!) + took;
    return free[first] - at;
  };
}

/** How much longer or shorter than said, from chance. */
type Jitter = (random: () => number) => number;

/** Results a second, and the mean limit, in the second half of `ms` milliseconds of a source that never ends. */
function trial(
  latency: Latency,
  concurrency: Concurrency,
  ms: number,
  jitter: Jitter,
  seed = 1,
): { rate: number; limit: number } {
  const random = chances(seed);
  const limits: number[] = [];
  let atWork = 0;
  let done = 0;
  virtual(({ flush }) => {
    const work = (value: number): Observable<number> =>
      timer(latency(++atWork, frame()) * jitter(random)).pipe(
        map(() => {
          atWork--;
          if (frame() > ms / 2) done++;
          return value;
        }),
      );
    const running = fromPull(new Pulls()).pipe(poolMap(work, { concurrency })).subscribe();
    for (let at = ms / 2; at < ms; at += 100) timer(at).subscribe(() => limits.push(concurrency.limit));
    timer(ms).subscribe(() => {
      running.unsubscribe();
    });
    flush();
  });
  return { rate: (done * 2_000) / ms, limit: limits.reduce((a, b) => a + b) / limits.length };
}

const jitters: Record<string, Jitter> = {
  'to the millisecond': () => 1,
  'by 10 %': (random) => 0.9 + 0.2 * random(),
  'by 50 %': (random) => 0.5 + random(),
  'half of it exponential': (random) => 0.5 - 0.5 * Math.log(random()),
};
/** Each with a limit that it should not need more than. */
const services: [name: string, make: () => Latency, enough: number][] = [
  ['a constant latency', () => () => 100, 30],
  ['a latency that grows with the load', () => (n) => 50 + 10 * n, 30],
  ['one that grows slowly', () => (n) => 100 + 2 * n, 30],
  ['one that grows faster and faster', () => (n) => 50 + (n * n) / 4, 17],
  ['ten servers and a queue', () => queueing(10, 100), 20],
  ['a sudden slowdown', () => queueing(20, 100, { at: 10_000, servers: 10, ms: 200 }), 30],
  ['a sudden slowdown, whatever the load', () => (_, at) => (at < 10_000 ? 100 : 300), 30],
];
const seeds: [jitter: string, seed: number][] = [
  ['to the millisecond', 1],
  ['by 10 %', 1],
  ['by 10 %', 2],
  ['by 50 %', 1],
  ['half of it exponential', 1],
  ['half of it exponential', 2],
];

describe('adaptive, against simulated services, settles within a fifth of the best fixed limit', () => {
  describe.each(services)('%s', (_name, make, enough) => {
    it.each(seeds)('that varies %s, seed %i', (name, seed) => {
      const jitter = jitters[name]!;
      const best = Math.max(
        ...[14, 30].map((limit) => trial(make(), new Concurrency(limit), 30_000, jitter, seed).rate),
      );
      expect(best).toBeGreaterThan(45);
      const { rate, limit } = trial(make(), adaptive({ min: 1, max: 30 }), 30_000, jitter, seed);
      expect(rate / best).toBeGreaterThan(0.8);
      expect(limit).toBeLessThanOrEqual(enough);
    });
  });

  it('from above, too: what was set too high comes down, though the service never says a word', () => {
    const workers = adaptive({ min: 1, max: 30 });
    workers.set(30);
    const { rate, limit } = trial(queueing(5, 50), workers, 30_000, jitters['by 10 %']!);
    expect(rate).toBeGreaterThan(90);
    expect(limit).toBeLessThan(12);
  });

  it('and where more only waits longer, has hardly more than min', () => {
    const { rate, limit } = trial(
      (n) => 5 * n,
      adaptive({ min: 2, max: 30 }),
      20_000,
      () => 1,
    );
    expect(rate).toBeGreaterThan(190);
    expect(limit).toBeLessThan(5);
  });

  it('a service that refuses what is over its capacity: hovers just below it', () => {
    const limits: number[] = [];
    let atWork = 0;
    let refused = 0;
    let done = 0;
    virtual(({ flush }) => {
      const workers = adaptive({ min: 1, max: 50 });
      const work = (value: number): Observable<number> => {
        const busy = ++atWork > 20;
        return timer(busy ? 1 : 100).pipe(
          map(() => {
            atWork--;
            if (busy) refused++;
            else done++;
            if (busy) throw Object.assign(new Error('busy'), { status: 429 });
            return value;
          }),
        );
      };
      const running = fromPull(new Pulls())
        .pipe(poolMap(withRetry(work, delays(Array<number>(20).fill(100))), { concurrency: workers }))
        .subscribe();
      for (let at = 5_000; at < 20_000; at += 50) timer(at).subscribe(() => limits.push(workers.limit));
      timer(20_000).subscribe(() => {
        running.unsubscribe();
      });
      flush();
    });
    const mean = limits.reduce((a, b) => a + b) / limits.length;
    expect(mean).toBeGreaterThan(16);
    expect(Math.max(...limits)).toBeLessThanOrEqual(21);
    expect(refused / done).toBeLessThan(0.5);
  });
});

/** Has a pool of `adaptive` do `work` on items that never end for `ms`, and tells its limits each 10 ms. */
function limitsOf(
  workers: Concurrency,
  work: Work<number, Observable<number>>,
  ms: number,
  source = fromPull(new Pulls()),
): number[] {
  const limits: number[] = [];
  virtual(({ flush }) => {
    const running = source.pipe(poolMap(work, { concurrency: workers, onFailure: 'drop' })).subscribe();
    for (let at = 1; at < ms; at += 10) timer(at).subscribe(() => limits.push(workers.limit));
    timer(ms).subscribe(() => {
      running.unsubscribe();
    });
    flush();
  });
  return limits;
}
const failing = (error: unknown, ms = 10): Observable<never> =>
  timer(ms).pipe(mergeMap(() => throwError(() => error)));
/** One success, which tells how long a round is; then failures. */
const failingLater = (error: unknown): ((value: number) => Observable<number>) => {
  return (value) => (value === 0 ? answering(5)(value) : failing(error, 7));
};
const answering = (ms: number): ((value: number) => Observable<number>) => {
  return (value) => timer(ms).pipe(map(() => value));
};

describe('adaptive', () => {
  it('takes one step a round: the first round is measured, then one more each', () => {
    expect(limitsOf(adaptive({ min: 1, max: 5 }), answering(10), 80)).toEqual([1, 1, 2, 3, 4, 5, 5, 5]);
  });

  it('tries less, now and then, where it has long been at max', () => {
    const limits = limitsOf(adaptive({ min: 1, max: 9 }), answering(10), 2_000);
    const short = limits.slice(20).filter((limit) => limit < 9);
    expect(short.length).toBeGreaterThan(2);
    expect(short.length).toBeLessThan(limits.length / 10);
    expect(Math.min(...short)).toBe(8);
  });

  it('stays between min and max', () => {
    expect(limitsOf(adaptive({ min: 3, max: 3 }), answering(10), 60)).toEqual(Array(6).fill(3));
    const refused = limitsOf(adaptive({ min: 2, max: 9 }), () => failing({ status: 503 }), 60);
    expect(refused).toEqual(Array(6).fill(2));
  });

  it('is not raised where there is not enough to do: nothing is known of more', () => {
    const slowSource = timer(0, 20).pipe(map((n) => n));
    const limits = limitsOf(adaptive({ min: 2, max: 9 }), answering(10), 200, slowSource);
    expect(Math.max(...limits)).toBe(2);
  });

  it('is not raised while results wait for the stage below', () => {
    const workers = adaptive({ min: 2, max: 9 });
    virtual(({ flush }) => {
      const running = fromPull(new Pulls())
        .pipe(poolMap(answering(10), { concurrency: workers }), poolMap(answering(1_000), { concurrency: 1 }))
        .subscribe();
      timer(20_000).subscribe(() => {
        running.unsubscribe();
      });
      flush();
    });
    expect(workers.limit).toBeLessThanOrEqual(3); // all were busy, once: with the first items
  });

  it.each([
    ['status 429', { status: 429 }],
    ['status 503', { status: 503 }],
    ['retryAfterMs', { retryAfterMs: 1 }],
    ['a timeout', { code: 'TIMEOUT' }],
  ])('has a tenth less after %s', (_what, error) => {
    const workers = adaptive({ min: 1, max: 99 });
    workers.set(20);
    limitsOf(workers, failingLater(error), 13);
    expect(workers.limit).toBe(18);
  });

  it('takes no other failure for a latency, or for a pushback', () => {
    const workers = adaptive({ min: 1, max: 99 });
    workers.set(20);
    const limits = limitsOf(
      workers,
      (value) => (value % 2 ? failing(new Error('bad data'), 1) : answering(10)(value)),
      100,
    );
    // Rounds of 10 ms, as successes say; quick failures would end ten times as many.
    expect(limits.at(-1)).toBeLessThanOrEqual(30);
    expect(limits.at(-1)).toBeGreaterThan(22);
    const none = adaptive({ min: 4, max: 99 });
    limitsOf(none, () => failing(new Error('bad data')), 100);
    expect(none.limit).toBe(4);
  });

  it('asks isPushback, where it is given', () => {
    const workers = adaptive({ min: 1, max: 99, isPushback: (error) => error === 'slow down' });
    workers.set(20);
    limitsOf(workers, failingLater('slow down'), 13);
    expect(workers.limit).toBe(18);
    limitsOf(workers, () => failing({ status: 429 }, 5), 60);
    expect(workers.limit).toBe(18);
  });

  it('hears of each attempt of withRetry, and does not time the waits between them', () => {
    const workers = adaptive({ min: 1, max: 9 });
    const failed = new Set<number>();
    const work = withRetry(
      (value: number) => {
        if (failed.has(value)) return answering(10)(value);
        failed.add(value);
        return failing(new Error('x'));
      },
      { ...delays([1]), delayMs: () => 50 + ((failed.size * 37) % 400) },
    );
    const limits = limitsOf(workers, work, 1_500);
    expect(limits.at(-1)).toBe(9);
    expect(limits.toSorted((a, b) => a - b)).toEqual(limits);
    const pushed = adaptive({ min: 1, max: 99 });
    pushed.set(20);
    virtual(({ flush }) => {
      const running = fromPull(new Pulls())
        .pipe(poolMap(withRetry(failingLater({ status: 429 }), delays([500])), { concurrency: pushed }))
        .subscribe();
      timer(13).subscribe(() => {
        running.unsubscribe();
      });
      flush();
    });
    expect(pushed.limit).toBe(18);
  });

  it.each<[string, (value: number) => ObservableInput<number>, number]>([
    ['an array', (value) => [value, value], 0],
    ['an Observable', (value) => timer(5).pipe(mergeMap(() => fromPull([value, value]))), 5],
  ])('does not time how long results wait for room below: of %s', (_, work, ms) => {
    const sampled = vi.spyOn(AdaptiveLimit.prototype, 'sampled');
    virtual(({ flush }) => {
      fromPull([1, 2, 3])
        .pipe(
          poolMap(work, { concurrency: adaptive({ min: 2, max: 2 }) }),
          poolMap(taking<number>(100), { concurrency: 1 }),
        )
        .subscribe();
      flush();
    });
    expect(sampled.mock.calls.map(([latency]) => latency)).toEqual([ms, ms, ms]);
    sampled.mockRestore();
  });

  it('takes an attempt for over also where isPushback throws', () => {
    const sampled = vi.spyOn(AdaptiveLimit.prototype, 'sampled');
    const isPushback = (): boolean => {
      throw new Error('hook');
    };
    const work = (value: number): Observable<number> => (value < 3 ? failing('x', 1) : answering(1)(value));
    limitsOf(adaptive({ min: 1, max: 1, isPushback }), work, 6);
    expect(sampled.mock.calls.map(([, load]) => load)).toEqual([1, 1]);
    sampled.mockRestore();
  });

  it('refuses bounds that are none', () => {
    expect(() => adaptive({ min: 0, max: 1 })).toThrow('adaptive: min must be a whole number of 1 or more');
    expect(() => adaptive({ min: 1, max: Infinity })).toThrow('adaptive: max must be a whole number');
    expect(() => adaptive({ min: 3, max: 2 })).toThrow('adaptive: max must be min or more, got 2 below 3');
    expect(() => adaptive({ min: 1, max: 2, isPushback: 1 as never })).toThrow(
      'isPushback must be a function',
    );
  });
});

describe('adaptive, of promises', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is raised while they are quick, and lowered by their timeouts', async () => {
    const workers = adaptive({ min: 1, max: 8 });
    let ms = 10;
    const work = withTimeout(
      (value: number) => new Promise<number>((resolve) => setTimeout(resolve, ms, value)),
      { timeoutMs: 50 },
    );
    const running = fromPull(new Pulls())
      .pipe(poolMap(work, { concurrency: workers, onFailure: 'drop' }))
      .subscribe();
    await vi.advanceTimersByTimeAsync(200);
    expect(workers.limit).toBe(8);
    ms = 1_000;
    await vi.advanceTimersByTimeAsync(400);
    expect(workers.limit).toBeLessThan(5);
    running.unsubscribe();
  });
});

/** What is left after a pushback; where nobody asks for more; where all do; and whether a queue was found. */
const RIGHT = [18, 2, 9, true];
function figures(of: typeof adaptive): unknown[] {
  const pushed = of({ min: 1, max: 99 });
  pushed.set(20);
  limitsOf(pushed, failingLater({ status: 429 }), 13);
  const idle = of({ min: 2, max: 9 });
  limitsOf(idle, answering(10), 200, timer(0, 20));
  const busy = limitsOf(of({ min: 3, max: 99 }), answering(10), 80);
  const { limit } = trial(queueing(10, 100), of({ min: 1, max: 30 }), 30_000, () => 1);
  return [pushed.limit, idle.limit, busy.at(-1), limit < 20];
}

describe('a twin of adaptive is found out that', () => {
  afterAll(removeMutants);
  const file = 'src/pool/AdaptiveLimit.ts';

  it.each([
    ['never takes less', { file, find: 'const DECREASE = 0.9;', replace: 'const DECREASE = 1;' }],
    ['takes more where nobody asked', { file, find: '!this.#reached || ', replace: '' }],
    [
      'never finds that more only waits',
      { file, find: 'const SATURATED = 0.9;', replace: 'const SATURATED = 9;' },
    ],
    [
      'stays at max for ever',
      { file, find: 'const PROBE_EVERY = 20;', replace: 'const PROBE_EVERY = Infinity;' },
    ],
    ['takes a step at each result', { file, find: 'at < this.#endsAt', replace: 'at < 0' }],
  ])('%s', async (_says, sabotage) => {
    const twin = await mutant<{ adaptive: typeof adaptive }>('operators/index.ts', sabotage);
    expect(figures(twin.adaptive)).not.toEqual(RIGHT);
  });

  it('has none of these faults', () => {
    expect(figures(adaptive)).toEqual(RIGHT);
  });
});
