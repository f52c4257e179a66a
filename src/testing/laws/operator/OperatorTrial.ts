import { map, Observable, tap, type MonoTypeOperatorFunction, type OperatorFunction } from 'rxjs';
import type { Demand } from '../../../demand/Demand.ts';
import { fromPull } from '../../../demand/fromPull.ts';
import { demandBelow } from '../../../rx/chain.ts';
import { Below } from '../Below.ts';
import { counted, must } from '../Law.ts';
import { within } from '../time.ts';
import { watch, type Watched } from '../watch.ts';

/** The operator that is checked, and what was said of it. */
export interface OperatorTrial {
  readonly make: () => OperatorFunction<unknown, unknown>;
  readonly throwing: (() => OperatorFunction<unknown, unknown>) | undefined;
  readonly limit: number;
  readonly stores: boolean;
  readonly input: (number: number) => unknown;
  readonly outputs: (items: readonly unknown[]) => number;
}

/** Virtual milliseconds that a stream may take to its end. */
const LONGEST_MS = 600_000;
/** Windows of items that are tried for the most that a number of them can give. */
const WINDOWS = 100;

export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

/** The same values, none of them at once. */
export async function* oneByOne<T>(values: readonly T[]): AsyncGenerator<T, void> {
  for (const value of values) {
    await Promise.resolve();
    yield value;
  }
}

/** The first items. */
export function items({ input }: OperatorTrial, count: number): unknown[] {
  return numbers(count).map(input);
}

/** As many values as `count` of the first `total` items can give, next to one another. */
export function mostOutputs(trial: OperatorTrial, count: number, total: number): number {
  const all = items(trial, total);
  const windows = Math.min(WINDOWS, Math.max(1, total - count + 1));
  return count === 0
    ? 0
    : Math.max(...numbers(windows).map((at) => trial.outputs(all.slice(at - 1, at - 1 + count))));
}

/** Items one by one, without an end. Throws after 10,000, so that a loop that nothing stops does end. */
export function* endless({ input }: OperatorTrial, pulled: { count: number }): Generator<unknown, void> {
  for (let number = 1; number <= 10_000; number++) {
    pulled.count++;
    yield input(number);
  }
  throw new Error('10,000 items were pulled: nothing stops this loop');
}

/** The end of a stream. */
export async function ending<T>(stream: Observable<T>): Promise<Watched<T>> {
  const seen = watch(stream);
  await ended(seen);
  return seen;
}

export async function ended(seen: Watched<unknown>): Promise<void> {
  try {
    await within(seen.ended, LONGEST_MS);
  } catch (error) {
    if (!String(error).includes('hangs')) throw error;
    must(false, 'it to end', `no end, after ${counted(seen.values.length, 'value')}`);
  }
}

/** The end of a stream that must complete. */
export async function completing<T>(stream: Observable<T>): Promise<Watched<T>> {
  const seen = await ending(stream);
  must(seen.completed, 'it to complete', `the error ${String(seen.error)}`);
  return seen;
}

/** An operator between a source that waits and a stage that is slow. */
export class Pipeline {
  readonly below = new Below<unknown>();
  /** Items that have reached the operator. */
  arrived = 0;
  readonly flow: Observable<unknown>;

  constructor(trial: OperatorTrial, source: Observable<unknown>) {
    const arrives = tap(() => this.arrived++);
    this.flow = source.pipe(arrives, trial.make(), this.below.operator);
  }
}

/** Passes on, and tells which Demand a source at this place would find. */
export function demandHere<T>(found: (demand: Demand | undefined) => void): MonoTypeOperatorFunction<T> {
  return (source) =>
    new Observable((subscriber) => {
      found(demandBelow(subscriber));
      return source.subscribe(subscriber);
    });
}

/** Whether a source above the operator sees the demand below it. What rests on that is not checked without it. */
export function keepsChain(trial: OperatorTrial): boolean {
  let demand: Demand | undefined;
  const probe = demandHere((found) => {
    demand = found;
  });
  watch(new Observable().pipe(probe, trial.make(), new Below().operator)).subscription.unsubscribe();
  return demand !== undefined;
}

/** What becomes of each item of an acknowledged source. */
export class Settlements {
  readonly acknowledged: number[] = [];
  readonly handedBack: number[] = [];
  readonly source: Observable<unknown>;

  constructor({ input }: OperatorTrial, count: number) {
    this.source = fromPull(numbers(count), {
      onSettled: ({ value, failure }) => {
        (failure === undefined ? this.acknowledged : this.handedBack).push(value);
      },
    }).pipe(map(input));
  }
}
