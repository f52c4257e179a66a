import { setImmediate as turn } from 'node:timers/promises';
import { NEVER, Observable, concat, repeat, take, throwError } from 'rxjs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { boundedQueue, fromPull, poolMap, storeTo, toAsyncIterable, withResources, type Sink } from 'sluice';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Takes its time, and notes its end. */
const closing = (log: string[], what: string) => async (): Promise<void> => {
  log.push(`${what} closes`);
  for (let i = 0; i < 5; i++) await turn();
  log.push(`${what} is closed`);
};

/** An endless source that takes its time to close. */
async function* endless(close: () => Promise<void>): AsyncGenerator<number, void> {
  try {
    for (let i = 0; ; i++) yield i;
  } finally {
    await close();
  }
}

describe('the end of a loop over a flow', () => {
  it('waits on break, as of an async generator, until the source, the work and the resources are closed', async () => {
    const log: string[] = [];
    const flow = withResources(
      ({ use }) => use({}, closing(log, 'the resource')),
      () =>
        fromPull(endless(closing(log, 'the source'))).pipe(
          boundedQueue({ capacity: 2 }),
          poolMap(() => endless(closing(log, 'the work')), { concurrency: 1 }),
        ),
    );
    for await (const value of toAsyncIterable(flow, { capacity: 1 })) if (value === 2) break;
    log.push('after the loop');
    expect(log).toEqual([
      'the source closes',
      'the work closes',
      'the source is closed',
      'the work is closed',
      'the resource closes',
      'the resource is closed',
      'after the loop',
    ]);
  });

  it('waits at the end of the flow, and gives what it has before', async () => {
    const log: string[] = [];
    const flow = withResources(
      ({ use }) => use({}, closing(log, 'the resource')),
      () => fromPull([1, 2, 3]),
    );
    for await (const value of toAsyncIterable(flow, { capacity: 3 })) log.push(`${value}`);
    log.push('after the loop');
    expect(log).toEqual(['1', '2', '3', 'the resource closes', 'the resource is closed', 'after the loop']);
  });

  it('throws the error of the flow when all is closed', async () => {
    const log: string[] = [];
    const boom = new Error('boom');
    const flow = withResources(
      ({ use }) => use({}, closing(log, 'the resource')),
      () =>
        concat(
          [1],
          throwError(() => boom),
        ),
    );
    const read = async (): Promise<void> => {
      for await (const value of toAsyncIterable(flow, { capacity: 3 })) log.push(`${value}`);
    };
    await expect(read()).rejects.toBe(boom);
    log.push('after the loop');
    expect(log).toEqual(['1', 'the resource closes', 'the resource is closed', 'after the loop']);
  });

  it('answers a next that is pending, and each return, when all is closed', async () => {
    const log: string[] = [];
    const flow = withResources(
      ({ use }) => use({}, closing(log, 'the resource')),
      () => NEVER,
    );
    const loop = toAsyncIterable(flow, { capacity: 1 })[Symbol.asyncIterator]();
    const note = (what: string) => (result: IteratorResult<unknown>) => {
      expect(result).toEqual({ done: true, value: undefined });
      log.push(what);
    };
    const pending = loop.next().then(note('next'));
    const left = [loop.return!().then(note('return')), loop.return!().then(note('a second return'))];
    await Promise.all([pending, ...left, loop.next().then(note('a late next'))]);
    expect(log.slice(0, 2)).toEqual(['the resource closes', 'the resource is closed']);
    expect(log.slice(2).toSorted()).toEqual(['a late next', 'a second return', 'next', 'return']);
    expect(log[2]).toBe('next');
    await loop.return!().then(note('return, long after'));
    const subscribed = vi.fn();
    const unread = toAsyncIterable(new Observable(subscribed), { capacity: 1 })[Symbol.asyncIterator]();
    await unread.return!().then(note('return, first of all'));
    await unread.next().then(note('next after that'));
    expect(subscribed).not.toHaveBeenCalled();
  });

  for (const [what, closeTimeoutMs, leftAfterMs] of [
    ['a second at most', undefined, 1_000],
    ['as long as resources may take', 5_000, 5_100],
  ] as const) {
    it(`waits ${what} for what never closes`, async () => {
      const warn = vi.spyOn(console, 'warn').mockReturnValue();
      vi.useFakeTimers();
      const stuck = fromPull(endless(() => new Promise(() => undefined)));
      const flow =
        closeTimeoutMs === undefined
          ? stuck
          : withResources(
              ({ use }) => use({}, () => new Promise(() => undefined)),
              () => fromPull([0, 1, 2, 3]),
              { closeTimeoutMs },
            );
      const left = vi.fn();
      const loop = toAsyncIterable(flow, { capacity: 1 })[Symbol.asyncIterator]();
      await loop.next();
      void loop.return!().then(left);
      await vi.advanceTimersByTimeAsync(leftAfterMs - 1);
      expect(left).not.toHaveBeenCalled();
      await vi.advanceTimersByTimeAsync(1);
      expect(left).toHaveBeenCalled();
      const told =
        closeTimeoutMs === undefined
          ? ['[sluice] fromPull: it is still closing']
          : ['[sluice] withResources: closing took longer than 5000 ms, and goes on'];
      expect(warn.mock.calls.flat()).toEqual(told);
      expect(vi.getTimerCount()).toBe(0);
    });
  }

  it('waits for a source in an await of its own, but for one that heeds its signal not', async () => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    vi.useFakeTimers();
    const waits = (heeds: boolean) =>
      async function* (signal: AbortSignal): AsyncGenerator<number> {
        yield 1;
        await new Promise<void>((resolve, reject) => {
          setTimeout(resolve, 600);
          if (heeds) signal.addEventListener('abort', () => reject(new Error('aborted')));
        });
      };
    const leftAfter = async (source: (signal: AbortSignal) => AsyncGenerator<number>): Promise<number> => {
      const loop = toAsyncIterable(fromPull(source), { capacity: 1 })[Symbol.asyncIterator]();
      await loop.next();
      const leftAt = performance.now();
      const left = loop.return!();
      await vi.advanceTimersByTimeAsync(0);
      while (vi.getTimerCount() > 0 && !(await Promise.race([left, turn()])))
        await vi.advanceTimersByTimeAsync(100);
      await left;
      return performance.now() - leftAt;
    };
    expect(await leftAfter(waits(false))).toBe(600);
    expect(await leftAfter(waits(true))).toBe(0);
    expect(warn).not.toHaveBeenCalled();
  });

  it('waits for what is closed only when the loop has taken the last item', async () => {
    const log: string[] = [];
    const source = fromPull(endless(closing(log, 'the source')), {
      onSettled: ({ value }) => log.push(`${value}`),
    });
    for await (const _value of toAsyncIterable(source.pipe(take(2)), { capacity: 2 })) await turn();
    log.push('after the loop');
    expect(log).toEqual(['0', '1', 'the source closes', 'the source is closed', 'after the loop']);
  });

  it('warns on the console of what cannot be closed', async () => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    const failing = async (): Promise<void> => {
      await turn();
      throw new Error('boom');
    };
    for await (const _value of toAsyncIterable(fromPull(endless(failing)), { capacity: 1 })) break;
    expect(warn.mock.calls.flat()).toEqual(['[sluice] fromPull: closing failed: boom']);
  });

  it('waits for sinks, which are closed once, with their stage', async () => {
    for (const leave of [true, false]) {
      const log: string[] = [];
      const sink: Sink<number> = {
        store: async () => undefined,
        close: async (ending) => {
          await closing(log, 'the sink')();
          log.push(String(ending));
        },
      };
      const flow = fromPull(leave ? endless(async () => undefined) : [0, 1]).pipe(
        storeTo(sink, { maxItems: 1 }),
      );
      for await (const value of toAsyncIterable(flow, { capacity: 1 })) {
        log.push(`${value}`);
        if (leave) break;
      }
      log.push('after the loop');
      const items = leave ? ['0'] : ['0', '1'];
      const end = ['the sink closes', 'the sink is closed', leave ? 'aborted' : 'completed'];
      const { length } = log.filter((line) => line === 'the sink closes');
      expect(length).toBe(1);
      expect(log.filter((line) => !end.includes(line))).toEqual([...items, 'after the loop']);
      expect(log.filter((line) => end.includes(line) || line === 'after the loop')).toEqual([
        ...end,
        'after the loop',
      ]);
    }
  });

  it('leaves a sink that begins anew with each subscription, which a run would refuse', async () => {
    const endings: unknown[] = [];
    const sink: Sink<number> & { startsAnew: boolean } = {
      startsAnew: true,
      store: async () => undefined,
      close: async (ending) => void endings.push(ending),
    };
    const round = fromPull([1, 2]).pipe(storeTo(sink), repeat(2));
    const got: number[] = [];
    for await (const value of toAsyncIterable(round, { capacity: 1 })) got.push(value);
    const inside = fromPull([1, 2]).pipe(
      poolMap(() => fromPull([3]).pipe(storeTo(sink)), { concurrency: 1 }),
    );
    for await (const value of toAsyncIterable(inside, { capacity: 1 })) got.push(value);
    expect(got).toEqual([1, 2, 1, 2, 3, 3]);
    expect(endings).toEqual(Array(4).fill('completed'));
  });
});
