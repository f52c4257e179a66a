import { readdirSync, readFileSync } from 'node:fs';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { withTimeout, type Work } from 'sluice';
import { WorkerThreads } from 'sluice/workers';
import { bare, doubled, numbers, outcomeOf, tasks, type Tasks, type Trouble } from './workers/outcome.ts';
import type * as SlowModule from './workers/slow.ts';

type Slow = typeof SlowModule;

const slow = new URL('./workers/slow.ts', import.meta.url);

describe('F56: a thread that dies is replaced', () => {
  /** How long two calls take that are at work at once. */
  async function twoMs(call: (item: Trouble) => Promise<number>): Promise<number> {
    const since = performance.now();
    await Promise.all([call(1), call(2)]);
    return performance.now() - since;
  }

  /**
   * Both threads die, up to five times; how much longer than two new threads they are away, at best: how long a thread takes
   * to start is the machine's business.
   */
  async function checkBack(call: (item: Trouble) => Promise<number>): Promise<void> {
    let away = Infinity;
    for (let time = 0; time < 5 && away >= 500; time++) {
      await Promise.allSettled([call('exit'), call('exit')]);
      const backMs = await twoMs(call);
      await using others = new WorkerThreads<Tasks>(tasks, { threads: 2 });
      away = Math.min(away, backMs - (await twoMs(others.run('trouble'))));
    }
    expect(away).toBeLessThan(500);
  }

  test('those that died are back as soon as others start, or half a second later', async () => {
    await using threads = new WorkerThreads<Tasks>(tasks, { threads: 2 });
    await checkBack(threads.run('trouble'));
  });

  test('twin: with a module that takes longer to load, they are not', async () => {
    await using threads = new WorkerThreads<Slow>(slow, { threads: 2 });
    await expect(checkBack(threads.run('default'))).rejects.toThrow('to be less than 500');
  });
});

describe('F57: an endless loop is ended at its deadline', () => {
  const items: Trouble[] = [1, 'loop', 2, 3, 'loop', 4, 'loop', 5];
  /** More than a busy machine keeps a thread waiting, and less than `slow` takes to load. */
  const timeoutMs = 600;

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
    const call = threads.run('trouble', { timeoutMs });
    await Promise.all([call(1), call(2)]); // both have started
    await checkOthers(call);
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
