import { counted } from '../../../counted.ts';
import { map, Observable, tap, type MonoTypeOperatorFunction, type OperatorFunction } from 'rxjs';
import type { Demand } from '../../../demand/Demand.ts';
import { fromPull } from '../../../demand/fromPull.ts';
import { demandBelow } from '../../../rx/chain.ts';
import { Below } from '../Below.ts';
import { unlike } from '../contents.ts';
import { ending } from '../ending.ts';
import { must } from '../Law.ts';
import { numbers } from '../numbers.ts';
import { watch } from '../watch.ts';

/** The operator that is checked, and what was said of it. */
export interface OperatorTrial {
  readonly make: () => OperatorFunction<unknown, unknown>;
  readonly throwing: (() => OperatorFunction<unknown, unknown>) | undefined;
  readonly limit: number;
  readonly stores: boolean;
  readonly input: (number: number) => unknown;
  /** What was said of its outputs. Absent: one each, made of that item alone. */
  readonly said: ((items: readonly unknown[]) => number | readonly unknown[]) | undefined;
  /** How many there are. */
  readonly outputs: (items: readonly unknown[]) => number;
}

/** The values of these items; undefined: only their number was said. */
export async function valuesOf(
  { make, said }: OperatorTrial,
  items: readonly unknown[],
): Promise<readonly unknown[] | undefined> {
  if (said) {
    const outputs = said(items);
    return typeof outputs === 'number' ? undefined : outputs;
  }
  const values: unknown[] = [];
  for (const item of items) values.push(...(await ending(make()(fromPull([item])))).values);
  return values;
}

/**
 * It gave what it gives where there is always room. Those that give other than one each may cut it another way, but not
 * give less.
 */
export function mustBeWhole(
  { said }: OperatorTrial,
  whole: readonly unknown[],
  found: readonly unknown[],
  where: string,
): void {
  const values = counted(whole.length, 'value');
  must(found.length >= whole.length, `${values}${where}`, counted(found.length, 'value'));
  const other = said ? undefined : unlike(whole, found);
  must(other === undefined, `the same ${values}${where}`, String(other));
}

/** Windows of items that are tried for the most that a number of them can give. */
const WINDOWS = 100;

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

/** Items, synchronously, for as long as somebody pulls; up to `most`, so that a loop that nothing stops does end. */
export function* endless(
  { input }: OperatorTrial,
  pulled: { count: number },
  most: number,
): Generator<unknown, void> {
  while (pulled.count < most) yield input(++pulled.count);
}

/** An operator between a source that waits and a stage that is slow. */
export class Pipeline {
  readonly below = new Below<unknown>();
  /** Items that have reached the operator. */
  arrived = 0;
  /** Values that have left the stage below. */
  readonly delivered: unknown[] = [];
  readonly flow: Observable<unknown>;

  constructor(trial: OperatorTrial, source: Observable<unknown>) {
    const arrives = tap(() => this.arrived++);
    const leaves = tap((value: unknown) => void this.delivered.push(value));
    this.flow = source.pipe(arrives, trial.make(), this.below.operator, leaves);
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
