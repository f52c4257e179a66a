import { catchError, concat, EMPTY, from, NEVER, Observable, range, tap } from 'rxjs';
import { fromPull } from 'sluice';
import { numbers } from '../../src/testing/laws/numbers.ts';
import { deeper } from './brokenOperators.ts';
import { observed, type SourceCase } from './sources.ts';

/** Reads `count` items more than it gives. */
function ahead(input: Iterable<number>, count: number): Observable<number> {
  const iterator = input[Symbol.iterator]();
  const read: number[] = [];
  const fill = (): void => {
    while (read.length <= count) {
      const result = iterator.next();
      if (result.done) return;
      read.push(result.value);
    }
  };
  const next = (): IteratorResult<number, undefined> => {
    fill();
    const value = read.shift();
    return value === undefined ? { done: true, value } : { done: false, value };
  };
  const leave = (): IteratorResult<number, undefined> => {
    iterator.return?.();
    return { done: true, value: undefined };
  };
  return fromPull({ [Symbol.iterator]: () => ({ next, return: leave }) });
}

/** Sources with one fault each. */
export const brokenSources: Record<string, SourceCase & { readonly breaks: readonly string[] }> = {
  'ignores demand': {
    make: (count) => range(1, count),
    breaks: ['gives nothing while those below have no room'],
  },
  'drops its last item': {
    make: (count) => fromPull(numbers(count < 2 ? count : count - 1)),
    breaks: [
      'gives its items, then completes',
      'gives all of many, on a flat stack',
      'goes on when those below have room again',
    ],
  },
  'stops after 1,000 items': {
    make: (count) => fromPull(numbers(Math.min(count, 1_000))),
    breaks: ['gives all of many, on a flat stack'],
  },
  'stays open after 1,000 items': {
    make: (count) => {
      const first = fromPull(numbers(Math.min(count, 1_000)));
      return count > 1_000 ? concat(first, NEVER) : first;
    },
    breaks: ['gives all of many, on a flat stack'],
  },
  'begins again after 1,000 items': {
    make: (count) => fromPull(numbers(count).map((number) => number % 1_000)),
    breaks: ['gives all of many, on a flat stack'],
  },
  'skips an item, and gives the next one twice': {
    make: (count) => fromPull(numbers(count).map((number) => (number === 2 ? 3 : number))),
    breaks: ['gives its items, then completes', 'gives all of many, on a flat stack'],
  },
  'gives other items than are said': {
    make: (count) => fromPull(numbers(count).map((number) => (number === 2 ? -2 : number))),
    options: { items: numbers },
    breaks: ['gives its items, then completes', 'gives all of many, on a flat stack'],
  },
  'is empty for a second subscriber': {
    make: (count) => {
      const input = numbers(count).values();
      return fromPull(() => ({ [Symbol.iterator]: () => ({ next: () => input.next() }) }));
    },
    breaks: ['gives the same to a second subscriber, or says that it is used'],
  },
  'goes on although it is left': {
    make: (count) => fromPull(numbers(count)),
    options: {
      observed: (count) =>
        observed(count, (input) => {
          return new Observable((subscriber) => {
            for (const value of input as Iterable<number>) subscriber.next(value);
            subscriber.complete();
          });
        }),
    },
    breaks: [
      'closes what it reads at once when it is left',
      'stops reading when it is left while it gives an item',
      'reads one item more than there is room for, at most',
    ],
  },
  'completes when reading fails': {
    make: (count) => fromPull(numbers(count)),
    options: {
      failing: () =>
        fromPull(function* () {
          yield* [1, 2];
          throw new Error('reading failed');
        }).pipe(catchError(() => EMPTY)),
    },
    breaks: ['ends with an error where reading fails'],
  },
  'gives more after its end': {
    make: (count) =>
      new Observable((subscriber) => {
        fromPull(numbers(count))
          .pipe(tap({ complete: () => queueMicrotask(() => subscriber.next(0)) }))
          .subscribe(subscriber);
      }),
    breaks: ['gives nothing after its end'],
  },
  'completes twice': {
    make: (count) =>
      new Observable((subscriber) => {
        fromPull(numbers(count))
          .pipe(tap({ finalize: () => queueMicrotask(() => subscriber.complete()) }))
          .subscribe(subscriber);
      }),
    breaks: ['ends once'],
  },
  'does not complete on drain': {
    make: (count) => {
      const slow = async function* (): AsyncGenerator<number> {
        for (const number of numbers(count)) {
          await new Promise((resolve) => setTimeout(resolve, 700));
          yield number;
        }
      };
      return fromPull(slow, { onDrain: () => undefined });
    },
    breaks: ['completes when the flow is drained'],
  },
  'goes one call deeper with each item': {
    make: (count) => fromPull(numbers(count)).pipe(deeper()),
    breaks: ['gives all of many, on a flat stack'],
  },
  'reads before it is subscribed to': {
    make: (count) => fromPull(numbers(count)),
    options: {
      observed: (count) =>
        observed(count, (input) => {
          const iterator = (input as Iterable<number>)[Symbol.iterator]();
          const { value } = iterator.next() as { readonly value: number };
          return concat(from([value]), fromPull({ [Symbol.iterator]: () => iterator }));
        }),
    },
    breaks: ['reads nothing before it is subscribed to'],
  },
  'does not close what it reads': {
    make: (count) => fromPull(numbers(count)),
    options: {
      observed: (count) =>
        observed(count, (input) => {
          const iterator = (input as Iterable<number>)[Symbol.iterator]();
          return fromPull({ [Symbol.iterator]: () => ({ next: () => iterator.next() }) });
        }),
    },
    breaks: ['closes what it reads at once when it is left'],
  },
  'reads ahead': {
    make: (count) => fromPull(numbers(count)),
    options: { observed: (count) => observed(count, (input) => ahead(input as Iterable<number>, 4)) },
    breaks: [
      'stops reading when it is left while it gives an item',
      'reads one item more than there is room for, at most',
      'gives what it has in hand when the flow is drained',
    ],
  },
  'loses what it has in hand on drain': {
    make: (count) => fromPull(numbers(count)),
    options: { observed: (count) => observed(count, (input) => ahead(input as Iterable<number>, 1)) },
    breaks: ['gives what it has in hand when the flow is drained'],
  },
};
