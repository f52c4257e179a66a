import { setTimeout } from 'node:timers/promises';
import { firstValueFrom, type ObservableInput } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { adaptive, delays, fromPull, poolMap, withBreaker, withRetry, withTimeout, type Work } from 'sluice';

const expected = 'work must return a promise, an Observable or an iterable';

/** Work whose types lie. */
const plain = (result: unknown): Work<number, ObservableInput<unknown>> => {
  return () => result as ObservableInput<unknown>;
};

function fails(work: Work<number, ObservableInput<unknown>>, options = {}): Promise<unknown> {
  return firstValueFrom(fromPull([1]).pipe(poolMap(work, { concurrency: 1, name: 'doubled', ...options })));
}

describe('work that returns no stream', () => {
  it.each([
    [2, 'number'],
    [undefined, 'undefined'],
    [null, 'null'],
    [{ secret: 'x' }, 'object'],
  ])('fails with the name of the stage, and what it should be: %o', async (result, got) => {
    const error = expect.objectContaining({
      code: 'INVALID_OPTION',
      message: `doubled: ${expected}, got ${got}; a plain value comes from an async function`,
    });
    await expect(fails(plain(result))).rejects.toEqual(error);
  });

  it('is not tried again', async () => {
    let calls = 0;
    const work = withRetry<number, ObservableInput<unknown>>(
      (value, context) => {
        calls++;
        return plain(2)(value, context);
      },
      delays([60_000]),
    );
    await expect(fails(work)).rejects.toThrow(`withRetry: ${expected}, got number`);
    expect(calls).toBe(1);
  });

  it('is told of by what is around it', async () => {
    const timed = withTimeout(plain(2), { timeoutMs: 60_000 });
    await expect(fails(timed)).rejects.toThrow(`withTimeout: ${expected}, got number`);
    const concurrency = adaptive({ min: 1, max: 2 });
    await expect(fails(plain(2), { concurrency })).rejects.toThrow(`adaptive: ${expected}, got number`);
  });

  it('is told of by a retry that had a promise before', async () => {
    const results = [() => Promise.reject(new Error('down')), () => 2];
    const work = withRetry(() => results.shift()?.() as ObservableInput<unknown>, delays([1]));
    await expect(fails(work)).rejects.toThrow(`withRetry: ${expected}, got number`);
  });

  it.each([
    ['waited for it', 100, 0],
    ['came later', 10, 30],
  ])('leaves a breaker that tries one item, which %s, as failed work does', async (_, openMs, laterMs) => {
    const results = [() => Promise.reject(new Error('down')), () => 2, () => Promise.resolve('well')];
    const work = withBreaker(() => results.shift()?.() as ObservableInput<unknown>, {
      maxFailures: 1,
      openMs,
    });
    await expect(fails(work)).rejects.toThrow('down');
    await setTimeout(laterMs);
    await expect(fails(work)).rejects.toThrow(`withBreaker: ${expected}, got number`);
    await expect(fails(work)).resolves.toBe('well');
  });
});

describe('work that gives an iterable', () => {
  const wrappers: Record<
    string,
    (work: Work<number, Generator<number>>) => Work<number, ObservableInput<number>>
  > = {
    withRetry: (work) => withRetry(work, delays([1])),
    withTimeout: (work) => withTimeout(work, { timeoutMs: 60_000 }),
    withBreaker: (work) => withBreaker(work, { maxFailures: 1, openMs: 10 }),
  };

  it.each(Object.entries(wrappers))('is read as fast as the stage below takes it: %s', async (_, wrap) => {
    let pulled = 0;
    let closed = 0;
    function* endless(): Generator<number> {
      try {
        for (;;) yield ++pulled;
      } finally {
        closed++;
      }
    }
    const slow = poolMap(() => new Promise<never>(() => undefined), { concurrency: 1 });
    const subscription = fromPull([1])
      .pipe(poolMap(wrap(endless), { concurrency: 1 }), slow)
      .subscribe();
    await setTimeout(5);
    expect(pulled).toBeLessThan(4);
    subscription.unsubscribe();
    expect(closed).toBe(1);
  });
});
