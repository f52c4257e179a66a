import { refuse } from '../options.ts';
import { LetterBox } from './LetterBox.ts';
import type { Sink } from './Sink.ts';
import type { WorkContext } from './Work.ts';

/** An item that failed for good, with what is known of it. */
export interface DeadLetter<T> {
  readonly value: T;
  readonly error: unknown;
  /** How many attempts were made. */
  readonly attempts: number;
  /** Name of the stage in which it failed. */
  readonly stage: string;
  /** Milliseconds from the start of its first attempt until it had failed for good, waits between attempts included. */
  readonly elapsedMs: number;
}

/**
 * Takes dead letters. A returned promise is waited for: the item keeps its slot until it settles, and is acknowledged
 * after that. One that throws or rejects ends the flow with its error, and the item is handed back. `context.signal` is
 * aborted when the flow is stopped meanwhile: the item is handed back then, and the letter may be written all the same.
 */
export type DeadLetterHandler<T> = (letter: DeadLetter<T>, context: WorkContext) => unknown;

/**
 * What becomes of an item whose work has failed for good: `'fail'` ends the flow with the error, `'drop'` counts it
 * as dropped, a function, a `Sink` or an Observer receives it as a dead letter. A sink is closed as that of `storeTo` is.
 */
export type OnFailure<T> =
  | 'fail'
  | 'drop'
  | DeadLetterHandler<T>
  | Sink<DeadLetter<NoInfer<T>>>
  | { readonly next: (letter: DeadLetter<T>) => void };

/** An `onFailure` option after it was checked. */
export type FailurePolicy<T> = 'fail' | 'drop' | LetterBox<T>;

/** Checks an `onFailure` option, and makes a letter box of what takes dead letters. */
export function failurePolicy<T>(operator: string, onFailure: OnFailure<T>): FailurePolicy<T> {
  if (onFailure === 'fail' || onFailure === 'drop') return onFailure;
  if (typeof onFailure === 'function') return LetterBox.of(onFailure);
  const { next, store } = (onFailure ?? {}) as { next?: unknown; store?: unknown };
  if (typeof store === 'function') return new LetterBox(onFailure as Sink<DeadLetter<T>>);
  if (typeof next !== 'function') {
    refuse(`${operator}: onFailure`, "'fail', 'drop', a function, a sink or an Observer", onFailure);
  }
  return LetterBox.of((letter) => {
    (onFailure as { next: (letter: DeadLetter<T>) => void }).next(letter);
  });
}
