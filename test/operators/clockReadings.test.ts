import { lastValueFrom, type Observable } from 'rxjs';
import { afterEach, expect, test, vi } from 'vitest';
import { delays, fromPull, poolMap, withRetry } from 'sluice';
import { virtual } from './virtualTime.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

const items = 1_000;
const work = (value: number): Promise<number> => Promise.resolve(value);
const source = fromPull(Array.from({ length: items }, (_, i) => i));

/** How often the clocks of the host are read for each item, in the long run: on some machines that is most of its cost. */
async function readings(flow: Observable<unknown>): Promise<number> {
  const date = vi.spyOn(Date, 'now');
  const performance = vi.spyOn(globalThis.performance, 'now');
  await lastValueFrom(flow);
  return Math.round((date.mock.calls.length + performance.mock.calls.length) / items);
}

test.each([
  ['a pool', 0, poolMap(work, { concurrency: 4 })],
  [
    'dead letters, which tell how long an item took',
    1,
    poolMap(work, { concurrency: 4, onFailure: () => undefined }),
  ],
  ['retries without maxElapsedMs', 0, poolMap(withRetry(work, delays([1])), { concurrency: 4 })],
])('where nothing fails: %s: %i an item', async (_, most, operator) => {
  expect(await readings(source.pipe(operator))).toBe(most);
});

test('a dead letter tells the time that its item took in virtual time, too', () => {
  const told: number[] = [];
  virtual(({ cold, flush }) => {
    const failing = poolMap(() => cold('---#'), {
      concurrency: 1,
      onFailure: ({ elapsedMs }) => told.push(elapsedMs),
    });
    fromPull([1, 2]).pipe(failing).subscribe();
    flush();
  });
  expect(told).toEqual([3, 3]);
});
