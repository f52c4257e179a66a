import { InvalidOptionError } from '../errors.ts';

/** An item that failed for good, with what is known of it. */
export interface DeadLetter<T> {
  readonly value: T;
  readonly error: unknown;
  /** How many attempts were made. */
  readonly attempts: number;
  /** Name of the stage in which it failed. */
  readonly stage: string;
}

/** Takes dead letters. A returned promise is waited for: the item keeps its slot until it settles. */
export type DeadLetterHandler<T> = (letter: DeadLetter<T>) => unknown;

/**
 * What becomes of an item whose work has failed for good: `'fail'` ends the flow with the error, `'drop'` counts it
 * as dropped, a function or Observer receives it as a dead letter.
 */
export type OnFailure<T> =
  'fail' | 'drop' | DeadLetterHandler<T> | { readonly next: (letter: DeadLetter<T>) => void };
/** An `onFailure` option after it was checked. */
export type FailurePolicy<T> = 'fail' | 'drop' | DeadLetterHandler<T>;

/** Checks an `onFailure` option, and makes a function of an Observer. */
export function failurePolicy<T>(operator: string, onFailure: OnFailure<T>): FailurePolicy<T> {
  if (onFailure === 'fail' || onFailure === 'drop' || typeof onFailure === 'function') return onFailure;
  if (typeof (onFailure as Partial<typeof onFailure> | null)?.next !== 'function') {
    throw new InvalidOptionError(`${operator}: onFailure must be 'fail', 'drop', a function or an Observer`);
  }
  return (letter) => {
    onFailure.next(letter);
  };
}
