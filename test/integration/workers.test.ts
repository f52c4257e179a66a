import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { lastValueFrom, toArray, type Observable } from 'rxjs';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { fromPull, poolMap, runFlow, storeTo } from 'sluice';
import { WorkerThreads, workerMap } from 'sluice/workers';
import type * as TaskModule from '../faults/workers/tasks.ts';

type Tasks = typeof TaskModule;

const tasks = new URL('../faults/workers/tasks.ts', import.meta.url);
const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

describe('workerMap', () => {
  test('maps in threads, by the default export of a module in TypeScript', async () => {
    const flow = fromPull(numbers(50)).pipe(workerMap<Tasks>(tasks, { threads: 2, ordered: true }));
    expectTypeOf(flow).toEqualTypeOf<Observable<number>>();
    expect(await lastValueFrom(flow.pipe(toArray()))).toEqual(numbers(50).map((n) => n * 2));
  });

  test('takes what poolMap takes, and is a stage with its own name', async () => {
    const report = await runFlow(
      fromPull(numbers(20)).pipe(
        workerMap<Tasks, 'later'>(tasks, { task: 'later', threads: 2, maxWaiting: 3, by: (n) => n % 3 }),
      ),
    );
    expect(report.stages).toMatchObject([{ name: 'workerMap', slots: 2, in: 20, out: 20, held: 0 }]);
  });

  test('has threads of its own for each subscription, which end with it', async () => {
    const flow = fromPull(numbers(4)).pipe(
      workerMap<Tasks, 'countCalls'>(tasks, { task: 'countCalls', threads: 1 }),
    );
    for (let time = 0; time < 2; time++) {
      expect(await lastValueFrom(flow.pipe(toArray()))).toEqual([1, 2, 3, 4]);
    }
  });

  test('holds no more than its threads, and drains', async () => {
    let pulled = 0;
    function* input(): Generator<number> {
      for (;;) yield ++pulled;
    }
    const run = runFlow(
      fromPull(input).pipe(workerMap<Tasks, 'later'>(tasks, { task: 'later', threads: 2 })),
    );
    let most = 0;
    await new Promise<void>((resolve) => {
      run.stats$.subscribe(({ leftOver, delivered }) => {
        most = Math.max(most, leftOver);
        if (delivered > 5) resolve();
      });
    });
    const { end, delivered, left } = await run.drain();
    expect({ end, delivered, left, most }).toEqual({ end: 'drained', delivered: pulled, left: [], most: 2 });
  });

  test('hands back what is in threads when it is aborted, and ends them', async () => {
    const run = runFlow(
      fromPull(['loop' as const, 'loop' as const]).pipe(
        workerMap<Tasks, 'trouble'>(tasks, { task: 'trouble', threads: 2 }),
      ),
    );
    const { end, left, warnings } = await run.abort();
    expect(end).toBe('aborted');
    expect(left).toHaveLength(2);
    expect(warnings).toEqual([]);
  });

  test('acknowledges through threads', async () => {
    const settled: unknown[] = [];
    const source = fromPull(numbers(10), {
      onSettled: ({ value, failure }) => settled.push([value, failure]),
    });
    await runFlow(
      source.pipe(
        workerMap<Tasks>(tasks, { threads: 2 }),
        storeTo(async () => {}),
      ),
    );
    expect(settled.sort()).toEqual(
      numbers(10)
        .map((n) => [n, undefined])
        .sort(),
    );
  });
});

describe('WorkerThreads', () => {
  test('lets calls wait in a line of its own, which they can leave', async () => {
    await using threads = new WorkerThreads<Tasks>(tasks, { threads: 2 });
    const call = threads.run('later');
    const controller = new AbortController();
    const calls = numbers(4).map((n) => call(n));
    const leaving = call(5, { signal: controller.signal });
    await Promise.resolve();
    expect(threads.stats).toEqual({ busy: 2, waiting: 3 });
    controller.abort(new Error('no longer wanted'));
    await expect(leaving).rejects.toThrow('no longer wanted');
    expect(threads.stats).toEqual({ busy: 2, waiting: 2 });
    expect(await Promise.all(calls)).toEqual(numbers(4));
    expect(threads.stats).toEqual({ busy: 0, waiting: 0 });
  });

  test('refuses a call whose signal is aborted already', async () => {
    await using threads = new WorkerThreads<Tasks>(tasks, { threads: 1 });
    await expect(
      threads.run('later')(1, { signal: AbortSignal.abort(new Error('too late')) }),
    ).rejects.toThrow('too late');
    expect(await threads.run('later')(1)).toBe(1);
  });

  test('lets running and waiting calls end when it is closed, and refuses new ones', async () => {
    const threads = new WorkerThreads<Tasks>(tasks, { threads: 1 });
    const call = threads.run('later');
    const calls = numbers(3).map((n) => call(n));
    const closed = threads.close();
    expect(threads.close()).toBe(closed);
    await expect(call(4)).rejects.toMatchObject({ code: 'WORKERS_CLOSED' });
    expect(await Promise.all(calls)).toEqual(numbers(3));
    await closed;
  });

  test('ends what still runs after closeTimeoutMs', async () => {
    const threads = new WorkerThreads<Tasks>(tasks, { threads: 1, closeTimeoutMs: 50 });
    const calls = [threads.run('trouble')('loop'), threads.run('default')(1)];
    const settled = Promise.allSettled(calls);
    await threads.close();
    expect(await settled).toMatchObject([
      { status: 'rejected', reason: { code: 'WORKERS_CLOSED' } },
      { status: 'rejected', reason: { code: 'WORKERS_CLOSED' } },
    ]);
  });

  test('says which functions there are where one is missing', async () => {
    await using threads = new WorkerThreads(tasks, { threads: 1 });
    await expect(threads.run('no such task')(1)).rejects.toThrow(
      /exports no function 'no such task', but .*later/,
    );
  });

  test('does not keep the process while it is idle, and has no need of vitest', async () => {
    const program = `
      import { WorkerThreads } from ${JSON.stringify(new URL('../../src/connectors/workers.ts', import.meta.url).href)};
      const threads = new WorkerThreads(new URL(${JSON.stringify(tasks.href)}), { threads: 2 });
      console.log(await threads.run('default')(21));
    `;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '--eval', program],
      {
        timeout: 20_000,
      },
    );
    expect(stdout).toBe('42\n');
  });

  test('is typed by the module', () => {
    const threads = new WorkerThreads<Tasks>(tasks, { threads: 1 });
    void threads.close();
    expectTypeOf(threads.run('later')).parameter(0).toEqualTypeOf<number>();
    expectTypeOf(threads.run('later')).returns.resolves.toEqualTypeOf<number>();
    expectTypeOf(threads.run('fill')).returns.resolves.toEqualTypeOf<Uint8Array<ArrayBuffer>>();
    // @ts-expect-error -- a class cannot be called
    threads.run('CardDeclinedError');
    // @ts-expect-error -- there is no such function
    threads.run('earlier');
    // @ts-expect-error -- a function that is not the default export is named, as type and as option
    workerMap<Tasks, 'later'>(tasks, { threads: 1 });
    expectTypeOf(poolMap(threads.run('later'), { concurrency: 1 }))
      .parameter(0)
      .toExtend<Observable<number>>();
  });
});

test('options are checked at call time', () => {
  expect(() => new WorkerThreads('./work.js' as never)).toThrow('WorkerThreads: module must be a URL');
  expect(() => new WorkerThreads(tasks, { threads: 0 })).toThrow('WorkerThreads: threads must be');
  expect(() => new WorkerThreads(tasks, { closeTimeoutMs: -1 })).toThrow(
    'WorkerThreads: closeTimeoutMs must be',
  );
  expect(() => workerMap(tasks, { threads: 0 })).toThrow('workerMap: threads must be');
  expect(() => workerMap('./work.js' as never, { threads: 1 })).toThrow('module must be a URL');
  expect(() => workerMap(tasks, { threads: 1, timeoutMs: 0 })).toThrow(
    'workerMap: timeoutMs must be a finite number above 0',
  );
  const threads = new WorkerThreads(tasks, { threads: 1 });
  expect(() => threads.run('default', { timeoutMs: 0 })).toThrow(
    'WorkerThreads.run: timeoutMs must be a finite number above 0',
  );
  void threads.close();
});
