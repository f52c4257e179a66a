import { defer, range, type Observable } from 'rxjs';
import { fromPull, fromPush, intake } from 'sluice';
import type { ObservedSource, SourceLawOptions } from '../../src/testing/laws/index.ts';
import { oneByOne, numbers } from '../../src/testing/laws/numbers.ts';

export interface SourceCase {
  readonly make: (count: number) => Observable<number>;
  readonly options?: SourceLawOptions<number>;
}

/** Numbers, with a note of what is read and closed. `pause`: none is there at once. */
export function observed(
  count: number,
  read: (input: Iterable<number> | AsyncIterable<number>) => Observable<number>,
  pause = false,
): ObservedSource<number> {
  let pulled = 0;
  let closed = 0;
  const next = (): IteratorResult<number, undefined> =>
    pulled < count ? { done: false, value: ++pulled } : { done: true, value: undefined };
  const done: IteratorResult<number, undefined> = { done: true, value: undefined };
  const leave = (): IteratorResult<number, undefined> => {
    closed++;
    return done;
  };
  const input = pause
    ? { [Symbol.asyncIterator]: () => ({ next: async () => next(), return: async () => leave() }) }
    : { [Symbol.iterator]: () => ({ next, return: leave }) };
  return { source: read(input), pulled: () => pulled, closed: () => closed };
}

function* failsAfterTwo(): Generator<number> {
  yield* [1, 2];
  throw new Error('reading failed');
}

/** All ways in. */
export const sources: Record<string, SourceCase> = {
  'fromPull, synchronous': {
    make: (count) => fromPull(numbers(count)),
    options: {
      observed: (count) => observed(count, (input) => fromPull(input)),
      failing: () => fromPull(failsAfterTwo),
    },
  },
  'fromPull, asynchronous': {
    make: (count) => fromPull(() => oneByOne(numbers(count))),
    options: {
      observed: (count) => observed(count, (input) => fromPull(input), true),
      failing: () =>
        fromPull(async function* () {
          yield* failsAfterTwo();
        }),
      maxItems: 20_000,
    },
  },
  'fromPull, promised': {
    make: (count) => fromPull(() => Promise.resolve(numbers(count))),
    options: { failing: () => fromPull(() => Promise.resolve(failsAfterTwo())) },
  },
  'fromPull, one-shot': {
    make: (count) => fromPull(numbers(count).values()),
  },
  fromPush: {
    make: (count) => fromPush(range(1, count)),
    options: { waits: false, failing: () => fromPush(defer(failsAfterTwo)) },
  },
  intake: {
    make: (count) => {
      const box = intake<number>({ capacity: 2 });
      for (const number of numbers(count)) box.offer(number).catch(() => undefined);
      box.end();
      return box.items$;
    },
    options: {
      failing: () => {
        const box = intake<number>({ capacity: 2 });
        for (const number of numbers(2)) box.offer(number).catch(() => undefined);
        box.fail(new Error('failed'));
        return box.items$;
      },
      maxItems: 20_000,
    },
  },
};
