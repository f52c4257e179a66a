import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { delays, fromPull, runFlow } from 'sluice';
import { WorkerThreads, workerMap } from 'sluice/workers';
import { run } from '../integration/programs.ts';
import {
  bare,
  doubled,
  numbers,
  outcomeOf,
  sorted,
  Starts,
  tasks,
  worker,
  type Outcome,
  type Tasks,
  type Trouble,
} from './workers/outcome.ts';
import type { Growth, Handling } from './workers/payloads.ts';

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
    expect(await starts.count(2 + 3)).toBe(2 + 3);
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
