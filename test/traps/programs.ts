import { map, of, timer, type Observable } from 'rxjs';
import { vi } from 'vitest';
import type { WorkContext } from 'sluice';

export const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

const figure = (n: number): string => n.toLocaleString('en');

/** Work of 50 ms. */
export async function job<T>(value: T, ms = 50): Promise<T> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return value;
}

/** What a flow gives, and how it stands after `ms` of virtual time. */
export async function outcome(flow: Observable<unknown>, ms = 10_000): Promise<string> {
  const values: unknown[] = [];
  let end = 'still waits';
  const subscription = flow.subscribe({
    next: (value) => values.push(value),
    error: (error: unknown) => {
      end = `error: ${error instanceof RangeError ? 'RangeError' : (error as Error).message}`;
    },
    complete: () => {
      end = 'complete';
    },
  });
  await vi.advanceTimersByTimeAsync(ms);
  subscription.unsubscribe();
  return `${values.map((value) => JSON.stringify(value)).join(' ') || 'nothing'}, ${end}`;
}

/** R1: how far an asynchronous generator is read before the first job is done. */
export async function pulledAhead(
  flowOf: (source: () => AsyncGenerator<number>) => Observable<unknown>,
): Promise<string> {
  let pulled = 0;
  const subscription = flowOf(async function* () {
    while (pulled < 10_000) yield ++pulled;
  }).subscribe();
  await vi.advanceTimersByTimeAsync(49);
  subscription.unsubscribe();
  return `${figure(pulled)} items pulled before the first job is done`;
}

/** R2, R13: work that fails at its first `failures` attempts on one item. */
export function failing(item: number, failures: number): (n: number) => Promise<number> {
  let left = failures;
  return async (n) => {
    if (n === item && left-- > 0) throw new Error(`failed at ${n}`);
    return n;
  };
}

/** R4: the first inner takes its time, the others complete at once. */
export function soon(n: number): Observable<number> {
  return n === 1 ? timer(1).pipe(map(() => n)) : of(n);
}

/** R4: how a flow of 20,000 ends, which may be not at all. */
export async function ending(flow: Observable<unknown>): Promise<string> {
  let values = 0;
  let end = 'neither completes nor errors';
  flow.subscribe({
    next: () => values++,
    error: () => {
      end = 'errors';
    },
    complete: () => {
      end = 'completes';
    },
  });
  await vi.advanceTimersByTimeAsync(10_000);
  return `${values === 20_000 ? 'all 20,000 come out' : 'not all come out'}; it ${end}`;
}

/** R6: when a generator that waits for its next item is closed. */
export async function closing(
  flowOf: (open: (signal?: AbortSignal) => AsyncGenerator<number>) => Observable<number>,
): Promise<string> {
  let closedAt: number | undefined;
  async function* idle(signal?: AbortSignal): AsyncGenerator<number> {
    try {
      await new Promise((resolve) => signal?.addEventListener('abort', resolve));
      yield 1;
    } finally {
      closedAt = Date.now();
    }
  }
  const subscription = flowOf(idle).subscribe();
  await vi.advanceTimersByTimeAsync(5);
  subscription.unsubscribe();
  const leftAt = Date.now();
  await vi.advanceTimersByTimeAsync(500);
  return closedAt === undefined
    ? 'its `finally` has not run after 500 ms'
    : `its \`finally\` runs after ${closedAt - leftAt} ms`;
}

/** R7, R16: jobs that are counted, of which one may fail. */
export class Jobs {
  started = 0;
  done = 0;
  readonly #bad: number | undefined;

  constructor(bad?: number) {
    this.#bad = bad;
  }

  readonly work = async (n: number): Promise<number> => {
    this.started++;
    await job(n);
    if (n === this.#bad) throw new Error(`failed at ${n}`);
    this.done++;
    return n;
  };
}

/** R8: three jobs of ten steps each are left in their fifth. */
export async function stepsAfterLeaving(
  flowOf: (work: (n: number, context: unknown) => Promise<number>) => Observable<number>,
): Promise<string> {
  let steps = 0;
  const subscription = flowOf(async (n, context) => {
    for (let step = 0; step < 10; step++) {
      (context as Partial<WorkContext>).signal?.throwIfAborted();
      steps++;
      await job(n, 10);
    }
    return n;
  }).subscribe();
  await vi.advanceTimersByTimeAsync(45);
  const before = steps;
  subscription.unsubscribe();
  await vi.advanceTimersByTimeAsync(1_000);
  return `${steps - before} more steps are done for nobody`;
}

/** R9: how many of five items an asynchronous consumer has at once. */
export async function handledAtOnce(consume: (handle: () => Promise<void>) => unknown): Promise<string> {
  let busy = 0;
  let most = 0;
  void consume(async () => {
    most = Math.max(most, ++busy);
    await job(undefined);
    busy--;
  });
  await vi.advanceTimersByTimeAsync(1_000);
  return `${most} of 5 are handled at once`;
}

/** R10: what an item costs with 100,000 to go, beside what it costs with 1,000, in time of the processor. */
export async function growth(
  flowOf: (items: number[], work: (n: number) => Promise<number>) => Observable<number>,
): Promise<string> {
  const costOfOne = async (items: number, runs: number): Promise<number> => {
    const before = process.threadCpuUsage();
    for (let i = 0; i < runs; i++) {
      await new Promise<void>((resolve) => {
        flowOf(upTo(items), async (n) => n).subscribe({ complete: resolve });
      });
    }
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / (items * runs);
  };
  await costOfOne(1_000, 20); // warms up
  const few = await costOfOne(1_000, 100);
  const many = await costOfOne(100_000, 1);
  return `with 100 × the items, one costs ${many > 3 * few ? 'more' : 'less'} than 3 × as much`;
}

/** R12, R15: how often a source that always fails is subscribed to. */
export async function attempts(
  flowOf: (attempt: () => void) => Observable<unknown>,
  ms: number,
): Promise<string> {
  let made = 0;
  const how = await outcome(
    flowOf(() => made++),
    ms,
  );
  if (how.includes('error: failed')) return `${figure(made)} attempts, then the error`;
  // What a full stack leaves behind depends on where it became full: a RangeError, or nothing at all.
  if (made < 20_000 && ms > 20_000) return 'stops before its 20,000 attempts: the stack is full';
  return `${figure(made)} attempts in ${ms} ms, and no end`;
}

/** R14: when a flow has its first item, in virtual time. */
export async function firstAt(flow: Observable<unknown>): Promise<string> {
  const startedAt = Date.now();
  let at: number | undefined;
  const subscription = flow.subscribe(() => (at ??= Date.now() - startedAt));
  await vi.advanceTimersByTimeAsync(100);
  await vi.advanceTimersByTimeAsync(2 ** 31);
  subscription.unsubscribe();
  return `after ${figure(at ?? NaN)} ms`;
}
