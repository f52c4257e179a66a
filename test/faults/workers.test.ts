import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { tap } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { delays, fromPull, poolMap, runFlow, withTimeout, type Work } from 'sluice';
import { WorkerThreads, workerMap } from 'sluice/workers';
import { run } from '../integration/programs.ts';
import type { Growth, Handling } from './workers/payloads.ts';
import type * as TaskModule from './workers/tasks.ts';

type Tasks = typeof TaskModule;
type Trouble = Parameters<Tasks['trouble']>[0];

const tasks = new URL('./workers/tasks.ts', import.meta.url);
const worker = { resourceLimits: { maxOldGenerationSizeMb: 32 } };

/** piscina without sluice: calls the module's functions itself. */
function bare(threads: number, callsEach = 1): Piscina {
  return new Piscina({
    filename: fileURLToPath(tasks),
    minThreads: threads,
    maxThreads: threads,
    concurrentTasksPerWorker: callsEach,
    resourceLimits: worker.resourceLimits,
  });
}

interface Outcome {
  readonly results: readonly number[];
  readonly dead: readonly { readonly value: Trouble; readonly error: unknown }[];
}

async function outcomeOf(
  items: readonly Trouble[],
  concurrency: number,
  work: Work<Trouble, Promise<number>>,
): Promise<Outcome> {
  const results: number[] = [];
  const dead: { value: Trouble; error: unknown }[] = [];
  const pool = poolMap(work, {
    concurrency,
    onFailure: ({ value, error }) => {
      dead.push({ value, error });
    },
  });
  await runFlow(
    fromPull(items).pipe(
      pool,
      tap((result) => results.push(result)),
    ),
  );
  return { results, dead };
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
const doubled = (items: readonly Trouble[]): number[] =>
  items.filter((item) => typeof item === 'number').map((n) => n * 2);
const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

describe('F56: a thread that dies fails exactly its item, and is replaced', () => {
  const items: Trouble[] = numbers(60);
  items.splice(10, 0, 'exit');
  items.splice(25, 0, 'uncaught');
  items.splice(40, 0, 'memory');

  function check({ results, dead }: Outcome): void {
    expect(dead.map(({ value }) => value).sort()).toEqual(['exit', 'memory', 'uncaught']);
    expect(sorted(results)).toEqual(doubled(items));
  }

  test('it exits, throws where nobody catches it, or runs out of memory', async () => {
    await using threads = new WorkerThreads<Tasks>(tasks, { threads: 3, worker });
    const outcome = await outcomeOf(items, 3, threads.run('trouble'));
    check(outcome);
    const errors = Object.fromEntries(outcome.dead.map(({ value, error }) => [value, error]));
    expect(errors).toMatchObject({
      exit: { code: 'WORKER_CRASHED', reason: 'exit', exitCode: 7 },
      uncaught: { code: 'WORKER_CRASHED', reason: 'uncaught', cause: { message: 'thrown outside the call' } },
      memory: { code: 'WORKER_CRASHED', reason: 'memory' },
    });
    expect(await outcomeOf(numbers(30), 3, threads.run('trouble'))).toEqual({
      results: expect.toSatisfy((found: number[]) => found.length === 30) as number[],
      dead: [],
    });
  });

  test('twin: where a thread has several items, it takes others with it', async () => {
    await using pool = bare(1, 3);
    const work = (item: Trouble): Promise<number> =>
      pool.run(item, { name: typeof item === 'number' ? 'later' : 'trouble' }) as Promise<number>;
    const outcome = await outcomeOf(['exit', ...numbers(5)], 3, work);
    expect(outcome.dead.length).toBeGreaterThan(1);
    expect(() => {
      check(outcome);
    }).toThrow();
  });

  test('a retry gives the item to another thread', async () => {
    const dead: unknown[] = [];
    const report = await runFlow(
      fromPull<Trouble>([1, 'exit', 2]).pipe(
        workerMap<Tasks, 'trouble'>(tasks, {
          task: 'trouble',
          threads: 2,
          retry: delays([10, 10]),
          onFailure: ({ value, attempts }) => {
            dead.push({ value, attempts });
          },
        }),
      ),
    );
    expect(dead).toEqual([{ value: 'exit', attempts: 3 }]);
    expect(report).toMatchObject({ delivered: 2, dead: 1, leftOver: 0 });
  });

  test('a module that throws at its top level fails each item with that error', async () => {
    await using threads = new WorkerThreads(new URL('./workers/broken.ts', import.meta.url), { threads: 1 });
    for (const item of [1, 2]) {
      await expect(threads.run('default')(item)).rejects.toThrow('thrown at the top level');
    }
  });

  test('where no thread can be started, calls fail and none hangs', async () => {
    const broken = { execArgv: ['--import', 'data:text/javascript,process.exit(3)'] };
    await using threads = new WorkerThreads<Tasks>(tasks, { threads: 2, worker: broken });
    const calls = numbers(5).map((n) => threads.run('default')(n));
    for (const call of await Promise.allSettled(calls)) {
      expect(call).toMatchObject({ status: 'rejected', reason: { code: 'WORKER_CRASHED' } });
    }
  });
});

describe('F57: an endless loop is ended at its deadline', () => {
  const items: Trouble[] = [1, 'loop', 2, 3, 'loop', 4];

  /** Only the loops are dead, of their timeout, and the event loop of this thread turned all the while. */
  async function check(work: Work<Trouble, Promise<number>>): Promise<void> {
    const delay = monitorEventLoopDelay({ resolution: 10 });
    delay.enable();
    const outcome = await outcomeOf(items, 1, withTimeout(work, { timeoutMs: 1_500 }));
    delay.disable();
    expect(outcome.dead).toMatchObject([
      { value: 'loop', error: { code: 'TIMEOUT' } },
      { value: 'loop', error: { code: 'TIMEOUT' } },
    ]);
    expect(outcome.results).toEqual(doubled(items));
    expect(delay.mean / 1e6).toBeLessThan(50);
  }

  test('its thread is terminated and replaced; the others go on', async () => {
    await using threads = new WorkerThreads<Tasks>(tasks, { threads: 1 });
    await check(threads.run('trouble'));
  });

  test('twin: where the timeout does not reach the thread, it stays in the loop', async () => {
    const pool = bare(1);
    try {
      await expect(check((item) => pool.run(item, { name: 'trouble' }) as Promise<number>)).rejects.toThrow();
    } finally {
      await pool.destroy(); // `close` would wait for the loop
    }
  });

  test('twin: what computes in this thread keeps its event loop from turning', async () => {
    const busy = async (item: Trouble): Promise<number> => {
      while (item === 'loop') {
        const until = performance.now() + 150;
        while (performance.now() < until);
        await setImmediate();
      }
      return Number(item) * 2;
    };
    await expect(check(busy)).rejects.toThrow('to be less than 50');
  });
});

describe('F59: what a thread throws arrives as it was', () => {
  type What = Parameters<Tasks['throws']>[0];

  async function check(call: (what: What) => Promise<unknown>): Promise<void> {
    const thrown = async (what: What): Promise<unknown> =>
      call(what).then(
        () => expect.unreachable(),
        (error: unknown) => error,
      );
    const custom = await thrown('custom');
    expect(custom).toBeInstanceOf(Error);
    expect(custom).toMatchObject({
      name: 'CardDeclinedError',
      message: 'declined',
      code: 'CARD_DECLINED',
      retryable: false,
      attempts: { made: 2 },
      stack: expect.stringContaining('tasks.ts') as string,
      cause: { name: 'RangeError', message: 'limit', cause: { name: 'TypeError', message: 'not a card' } },
    });
    const builtin = await thrown('builtin');
    expect(builtin).toBeInstanceOf(RangeError);
    expect(Object.keys(builtin as object)).toEqual([]);
    expect(await thrown('text')).toBe('just text');
    expect(await thrown('object')).toEqual({ status: 503 });
    expect(await thrown('nothing')).toBeUndefined();
    expect(await thrown('many')).toMatchObject({
      name: 'AggregateError',
      errors: [{ name: 'TypeError' }, { name: 'CardDeclinedError', code: 'CARD_DECLINED' }],
    });
    expect(await thrown('function')).toBe('function that cannot be copied');
    expect(await thrown('unreadable')).toBe('object that cannot be read');
  }

  test('class, code, fields, message, stack and causes; and what is no error', async () => {
    await using threads = new WorkerThreads<Tasks>(tasks, { threads: 1 });
    await check(threads.run('throws'));
  });

  test('twin: copied as it is, an error loses its class and code', async () => {
    await using pool = bare(1);
    await expect(check((what) => pool.run(what, { name: 'throws' }))).rejects.toThrow();
  });

  test('a result that cannot be copied fails its item, and is not tried again', async () => {
    await using threads = new WorkerThreads<Tasks>(tasks, { threads: 1 });
    await expect(threads.run('uncopyable')(undefined)).rejects.toMatchObject({
      code: 'WORKER_DATA',
      retryable: false,
    });
    expect(await threads.run('default')(4)).toBe(8);
  });
});

describe('F60: what is moved is not copied', () => {
  const BOUND = 4;
  const payloads = fileURLToPath(new URL('./workers/payloads.ts', import.meta.url));

  test('a buffer that was moved and is used again is the error of that item', async () => {
    const bytes = new Uint8Array(16);
    const dead: unknown[] = [];
    const report = await runFlow(
      fromPull([bytes, bytes, new Uint8Array(16)]).pipe(
        workerMap<Tasks, 'fill'>(tasks, {
          task: 'fill',
          threads: 1,
          transfer: ({ buffer }) => [buffer],
          onFailure: ({ error }) => {
            dead.push(error);
          },
        }),
      ),
    );
    expect(dead).toMatchObject([{ code: 'WORKER_DATA', retryable: false }]);
    expect(report).toMatchObject({ delivered: 2, dead: 1 });
  });

  /** 1 GiB through four threads in a process of its own, which knows the most memory that it ever had. */
  async function check(handling: Handling): Promise<void> {
    const { stdout, stderr, code } = await run(payloads, [handling], { node: ['--expose-gc'] });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const growth = JSON.parse(stdout) as Growth;
    expect(growth.inside).toBe(BOUND);
    expect(growth.payloads).toBeGreaterThan(BOUND * 0.9);
    expect(growth.payloads).toBeLessThan(BOUND * 1.2);
  }

  test('1 GiB at a bound of 4: memory grows by 4 payloads, if each is given back when it is done with', async () => {
    await check('freed');
  });

  test('nothing refers to a payload any more that has been delivered', async () => {
    await check('collected');
  });

  test('twin: where payloads are copied, they are there twice', async () => {
    await expect(check('copied')).rejects.toThrow('to be less than');
  });

  test('twin: where the last two delivered are kept, memory grows by two more', async () => {
    await expect(check('kept')).rejects.toThrow('to be less than');
  });
});
