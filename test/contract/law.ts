import assert from 'node:assert/strict';
import { Observable, type MonoTypeOperatorFunction } from 'rxjs';
import type { Demand } from '../../src/demand/Demand.ts';
import { sleep, within } from '../../src/testing/laws/time.ts';
import { watch } from '../../src/testing/laws/watch.ts';
import type { Sabotage } from '../support/mutant.ts';
import type * as kernel from './kernel.ts';

export { advance, flush, jump, sleep, supervised as obeys, within } from '../../src/testing/laws/time.ts';
export { gate, watch, type Gate, type Watched } from '../../src/testing/laws/watch.ts';

/** The module under test: the sources, or a twin with one change. */
export type Kernel = typeof kernel;

export interface Law {
  /** The rule of the kernel that it watches. */
  readonly rule: string;
  /** A fact, in the present tense. */
  readonly says: string;
  /** Throws where the fact does not hold. */
  readonly check: (sluice: Kernel) => void | Promise<void>;
  /** Changes each of which must make `check` throw. */
  readonly sabotage: readonly Sabotage[];
}

/** A change in a source file that breaks a rule. */
export function without(file: string, find: string, replace = ''): Sabotage {
  return { file, find, replace };
}

/** Work that takes `ms` and gives its value back. */
export function takes(ms: number): <T>(value: T) => Promise<T> {
  return async (value) => {
    await sleep(ms);
    return value;
  };
}

/** Whole numbers from 1 to `end`, counted when they are pulled. Throws after 10,000, so that a loop that nothing stops does end. */
export function* endless(pulled: { count: number } = { count: 0 }, end = Infinity): Generator<number, void> {
  for (let i = 1; i <= 10_000; i++) {
    if (i > end) return;
    pulled.count++;
    yield i;
  }
  throw new Error('10,000 values were pulled: nothing stops this loop');
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

/** Waits for the end of a stream; throws where it errors. */
export async function all<T>(stream: Observable<T>): Promise<T[]> {
  const seen = watch(stream);
  await within(seen.ended);
  if (!seen.completed) throw seen.error;
  return seen.values;
}

/** The error that a promise rejects with. */
export async function failure(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    await within(promise);
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: 'it does not fail' });
}

/** The stable code of an error of ours. */
export function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code;
}

/** Passes on, and shows the Demand that a source at this place would find. */
export function probe<T>(
  sluice: Kernel,
  found: { demand?: Demand | undefined },
): MonoTypeOperatorFunction<T> {
  return (source) =>
    new Observable((subscriber) => {
      found.demand = sluice.demandBelow(subscriber);
      return source.subscribe(subscriber);
    });
}
