import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { tap } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { delays, fromPull, poolMap, runFlow, withTimeout, type Work } from 'sluice';
import { WorkerThreads, workerMap } from 'sluice/workers';
import { run } from '../integration/programs.ts';
import type { Growth, Handling } from './workers/payloads.ts';
import type * as SlowModule from './workers/slow.ts';
import type * as TaskModule from './workers/tasks.ts';

type Tasks = typeof TaskModule;
type Slow = typeof SlowModule;
type Trouble = Parameters<Tasks['trouble']>[0];

const tasks = new URL('./workers/tasks.ts', import.meta.url);
const slow = new URL('./workers/slow.ts', import.meta.url);
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

/** Counts the threads that are started with what it gives, by a file to which each adds. */
class Starts {
  readonly #file = join(mkdtempSync(join(tmpdir(), 'sluice-starts-')), 'starts');

  counted(then = ''): string[] {
    const add = `(await import('node:fs')).appendFileSync(${JSON.stringify(this.#file)}, '.');`;
    return ['--import', `data:text/javascript,${encodeURIComponent(add + then)}`];
  }

  /** When there have been no more for a while. */
  async count(): Promise<number> {
    await sleep(400);
    return readFileSync(this.#file, 'utf8').length;
  }
}

describe('F56: a thread that dies fails exactly its item, and is replaced', () => {
  const items: Trouble[] = numbers(60);
  items.splice(10, 0, 'exit');
  items.splice(25, 0, 'uncaught');
  items.splice(40, 0, 'memory');
  items.splice(50, 0, 'rejection');

  function check({ results, dead }: Outcome): void {
    expect(dead.map(({ value }) => value).sort()).toEqual(['exit', 'memory', 'rejection', 'uncaught']);
    expect(sorted(results)).toEqual(doubled(items));
  }

  test('it exits, throws or rejects where nobody catches it, or runs out of memory', async () => {
    await using threads = new WorkerThreads<Tasks>(tasks, { threads: 3, worker });
    const outcome = await outcomeOf(items, 3, threads.run('trouble'));
    check(outcome);
    const errors = Object.fromEntries(outcome.dead.map(({ value, error }) => [value, error]));
    expect(errors).toMatchObject({
      exit: { code: 'WORKER_CRASHED', reason: 'exit', exitCode: 7 },
      uncaught: { code: 'WORKER_CRASHED', reason: 'uncaught', cause: { message: 'thrown outside the call' } },
      rejection: { code: 'WORKER_CRASHED', reason: 'uncaught', cause: { message: 'awaited by nobody' } },
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

  /** Both threads die, three times; the best time until two calls have ended that are at work at once. */
  async function checkBack(call: (item: Trouble) => Promise<number>): Promise<void> {
    const times: number[] = [];
    for (let time = 0; time < 3; time++) {
      await Promise.allSettled([call('exit'), call('exit')]);
      const since = performance.now();
      await Promise.all([call(1), call(2)]);
      times.push(performance.now() - since);
    }
    expect(Math.min(...times)).toBeLessThan(1_000);
  }

  test('those that died are back within a second, the best of three times', async () => {
    await using threads = new WorkerThreads<Tasks>(tasks, { threads: 2 });
    await checkBack(threads.run('trouble'));
  });

  test('twin: with a module that takes longer to load, they are not', async () => {
    await using threads = new WorkerThreads<Slow>(slow, { threads: 2 });
    await expect(checkBack(threads.run('default'))).rejects.toThrow('to be less than 1000');
  });

  describe('a module that cannot be used fails each item, is not tried again, and costs no thread', () => {
    test.each([
      ['throws at its top level', './workers/broken.ts', { message: 'thrown at the top level' }],
      ['is not there', './workers/nowhere.ts', { code: 'ERR_MODULE_NOT_FOUND' }],
    ])('it %s', async (_, file, cause) => {
      const starts = new Starts();
      await using threads = new WorkerThreads(new URL(file, import.meta.url), {
        threads: 1,
        worker: { execArgv: starts.counted() },
      });
      for (const item of [1, 2]) {
        const failure = { code: 'WORKER_MODULE', retryable: false, cause };
        await expect(threads.run('default')(item)).rejects.toMatchObject(failure);
      }
      expect(await starts.count()).toBe(1);
    });

    test('it has no such function', async () => {
      await using threads = new WorkerThreads(tasks, { threads: 1 });
      await expect(threads.run('nothing')(1)).rejects.toMatchObject({
        code: 'WORKER_MODULE',
        message: expect.stringMatching(/exports no function 'nothing', but .*later/) as string,
      });
    });
  });

  test('where the module ends the thread, calls fail, and a thread is started for each and no more', async () => {
    const starts = new Starts();
    await using threads = new WorkerThreads(new URL('./workers/exits.ts', import.meta.url), {
      threads: 2,
      worker: { execArgv: starts.counted() },
    });
    for (const item of [1, 2, 3]) {
      await expect(threads.run('default')(item)).rejects.toMatchObject({ reason: 'exit', exitCode: 4 });
    }
    expect(await starts.count()).toBe(2 + 3);
  });

  test('where no thread can be started, calls fail, none hangs, and nobody goes on trying', async () => {
    const starts = new Starts();
    await using threads = new WorkerThreads<Tasks>(tasks, {
      threads: 2,
      worker: { execArgv: starts.counted('process.exit(3)') },
    });
    const calls = numbers(5).map((n) => threads.run('default')(n));
    for (const call of await Promise.allSettled(calls)) {
      expect(call).toMatchObject({ status: 'rejected', reason: { code: 'WORKER_CRASHED' } });
    }
    expect(await starts.count()).toBeLessThanOrEqual(2 * (2 + 5));
  });
});

describe('F57: an endless loop is ended at its deadline', () => {
  const items: Trouble[] = [1, 'loop', 2, 3, 'loop', 4, 'loop', 5];
  const timeoutMs = 300;

  /**
   * Only the loops are dead, at their deadline, the best of three times, and the event loop of this thread turned all the
   * while, the best of three as well: the machine has other work.
   */
  async function check(work: Work<Trouble, Promise<number>>): Promise<void> {
    const tookMs: number[] = [];
    const stoodMs: number[] = [];
    const watched: typeof work = async (item, context) => {
      const since = performance.now();
      let turnedAt = since;
      let stood = 0;
      const turned = (): void => {
        stood = Math.max(stood, performance.now() - turnedAt);
        turnedAt = performance.now();
      };
      const turning = setInterval(turned, 5);
      try {
        return await work(item, context);
      } finally {
        clearInterval(turning);
        turned();
        if (item === 'loop') {
          tookMs.push(performance.now() - since);
          stoodMs.push(stood);
        }
      }
    };
    const outcome = await outcomeOf(items, 1, watched);
    const timedOut = { value: 'loop', error: { code: 'TIMEOUT' } };
    expect(outcome.dead).toMatchObject([timedOut, timedOut, timedOut]);
    expect(outcome.results).toEqual(doubled(items));
    for (const ms of tookMs) expect(ms).toBeGreaterThan(timeoutMs - 5);
    expect(Math.min(...tookMs)).toBeLessThan(timeoutMs + 500);
    expect(Math.min(...stoodMs)).toBeLessThan(50);
  }

  /** Threads of this process, beside the one that asks, that have something to compute each time that one looks. */
  async function busyThreads(): Promise<number> {
    const found: number[] = [];
    for (let time = 0; time < 10; time++) {
      await sleep(20);
      const others = readdirSync('/proc/self/task').filter((thread) => Number(thread) !== process.pid);
      const states = others.map((thread) => stateOf(`/proc/self/task/${thread}/stat`));
      found.push(states.filter((state) => state === 'R').length);
    }
    return Math.min(...found);
  }

  function stateOf(file: string): string | undefined {
    try {
      return readFileSync(file, 'utf8').replace(/^.*\) /s, '')[0];
    } catch {
      return undefined; // it has ended meanwhile
    }
  }

  test('its thread is terminated and replaced', async () => {
    await using threads = new WorkerThreads<Tasks>(tasks, { threads: 1 });
    await check(threads.run('trouble', { timeoutMs }));
    expect(await busyThreads()).toBe(0);
  });

  test('twin: where the timeout does not reach the thread, it stays in the loop', async () => {
    const pool = bare(1);
    try {
      const call = (item: Trouble): Promise<number> => pool.run(item, { name: 'trouble' }) as Promise<number>;
      await expect(check(withTimeout(call, { timeoutMs }))).rejects.toThrow();
      expect(await busyThreads()).toBeGreaterThan(0);
    } finally {
      await pool.destroy(); // `close` would wait for the loop
    }
  });

  test('twin: what computes in this thread keeps its event loop from turning', async () => {
    const busy: Work<Trouble, Promise<number>> = async (item, { signal }) => {
      while (item === 'loop' && !signal.aborted) {
        const until = performance.now() + 150;
        while (performance.now() < until);
        await setImmediate();
      }
      return Number(item) * 2;
    };
    await expect(check(withTimeout(busy, { timeoutMs }))).rejects.toThrow('to be less than 50');
  });

  /** While one is in a loop, all others are done. */
  async function checkOthers(work: Work<Trouble, Promise<number>>): Promise<void> {
    const ends: Trouble[] = [];
    const watched: typeof work = (item, context) => work(item, context).finally(() => ends.push(item));
    const { dead } = await outcomeOf(['loop', ...numbers(10)], 2, watched);
    expect(dead).toMatchObject([{ value: 'loop', error: { code: 'TIMEOUT' } }]);
    expect(ends).toEqual([...numbers(10), 'loop']);
  }

  test('the others are done meanwhile', async () => {
    await using threads = new WorkerThreads<Tasks>(tasks, { threads: 2 });
    await checkOthers(threads.run('trouble', { timeoutMs }));
  });

  test('twin: where a thread has two items, the other one waits', async () => {
    const pool = bare(1, 2);
    const call = (item: Trouble, context?: { signal: AbortSignal }): Promise<number> =>
      pool.run(item, { name: 'trouble', signal: context?.signal ?? null }) as Promise<number>;
    try {
      await expect(checkOthers(withTimeout(call, { timeoutMs }))).rejects.toThrow();
    } finally {
      await pool.destroy();
    }
  });

  async function checkInnocent(
    items: readonly Trouble[],
    work: Work<Trouble, Promise<number>>,
  ): Promise<void> {
    const { results, dead } = await outcomeOf(items, 1, work);
    expect(dead).toMatchObject([{ value: 'loop', error: { code: 'TIMEOUT' } }]);
    expect(results).toEqual(doubled(items));
  }

  test('a thread that starts, or loads a module, costs no other item its time', async () => {
    await using threads = new WorkerThreads<Slow>(slow, { threads: 1 });
    await checkInnocent([1, 'loop', 2], threads.run('default', { timeoutMs }));
  });

  test('twin: where the time begins with the call, it does', async () => {
    await using threads = new WorkerThreads<Slow>(slow, { threads: 1 });
    const call = withTimeout(threads.run('default'), { timeoutMs });
    await expect(checkInnocent([1, 'loop', 2], call)).rejects.toThrow();
  });

  test('a signal that is aborted ends it as well, with its reason', async () => {
    await using threads = new WorkerThreads<Tasks>(tasks, { threads: 1 });
    await threads.run('trouble')(1);
    const controller = new AbortController();
    const looping = threads.run('trouble')('loop', { signal: controller.signal });
    const reason = new Error('no longer wanted');
    setTimeout(() => {
      controller.abort(reason);
    }, 50);
    await expect(looping).rejects.toBe(reason);
    expect(await threads.run('trouble')(2)).toBe(4);
    expect(await busyThreads()).toBe(0);
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
    expect(await thrown('getters')).toMatchObject({ name: 'LimitError', code: 'LIMIT', retryAfterMs: 250 });
    expect(await thrown('foreign')).toMatchObject({ name: 'AbortError', message: 'given up' });
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
    expect(await thrown('unreadable')).toEqual(new Error('unreadable'));
    expect(await thrown('closed')).toBe('object that cannot be read');
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

  test('a value that cannot be read, copied or moved fails its item, and no thread', async () => {
    const starts = new Starts();
    await using threads = new WorkerThreads<Tasks>(tasks, {
      threads: 1,
      worker: { execArgv: starts.counted() },
    });
    const unreadable = {
      get value(): number {
        throw new Error('cannot be read');
      },
    };
    for (const value of [unreadable, () => 1]) {
      const failure = { code: 'WORKER_DATA', retryable: false };
      await expect(threads.run('default')(value as never)).rejects.toMatchObject(failure);
    }
    const moved = threads.run('default', { transfer: () => [{} as ArrayBuffer] });
    await expect(moved(1)).rejects.toMatchObject({ code: 'WORKER_DATA' });
    expect(await threads.run('default')(4)).toBe(8);
    expect(await starts.count()).toBe(1);
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
