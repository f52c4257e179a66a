import type { Observable } from 'rxjs';
import { callable, wholeNumber } from '../options.ts';
import { InvalidOptionError } from '../errors.ts';
import { UNLIMITED } from './Demand.ts';
import type { PullInput } from './pullInput.ts';
import { pulled, type Settlement } from './PullSource.ts';

export interface FromPullOptions<T> {
  /**
   * Makes the source an acknowledged one: called once for each item, with its outcome. A promise is not waited for. That it
   * throws or rejects is an error of the source, and a warning once the source has ended.
   */
  readonly onSettled?: (settlement: Settlement<T>) => unknown;
  /** Items without an outcome at any time; only with `onSettled`. Whole number, 1 or more. @defaultValue no limit */
  readonly maxPending?: number;
  /**
   * Called when draining begins. The input is then read to its end instead of being closed at once: let it end
   * when it has given what it accepted before. @defaultValue nobody
   */
  readonly onDrain?: () => void;
  /** Name in messages. @defaultValue 'fromPull' */
  readonly name?: string;
}

/**
 * Emits what an iterable, async iterable or stream gives, pulling only while the stage below has room.
 *
 *     demand  1--0--1--0
 *     output  abc   def
 *     fromPull(['a', 'b', 'c', 'd', 'e', 'f'])
 *
 * - **Emits when** the stage below has room, one value a pull; at once, as `from` does, where no stage is below.
 * - **Waits when** the stage below is full: nothing is pulled meanwhile, at most one value is in hand.
 * - **Drops** nothing.
 * - **Completes when** the input ends, or when draining begins and a value in hand has been delivered.
 * - **Errors when** the input throws or does not open, or a stream is destroyed before its end.
 * - **Unsubscribing** calls `return()` of the iterator at once, also while a pull is pending, and aborts the signal.
 *
 *     fromPull(async (signal) => (await fetch(url, { signal })).body!)
 *
 * `fetch` takes any status for an answer: check `ok`, or, for status and retries, use `http.bytes` of `sluice/http`.
 *
 * @param input What to read, or a function that opens it for each subscription, or promises it, and gets a signal for what
 * is pending; what opens when nobody wants it any more is closed unread. A one-shot iterator or stream that is subscribed
 * to twice is `SourceUsedError`, never an empty completion.
 */
export function fromPull<T>(input: PullInput<T>, options: FromPullOptions<T> = {}): Observable<T> {
  const { onSettled, maxPending, onDrain, name = 'fromPull' } = options;
  if (onSettled !== undefined) callable('fromPull: onSettled', onSettled);
  if (maxPending !== undefined) wholeNumber('fromPull: maxPending', maxPending, 1);
  if (maxPending !== undefined && !onSettled) {
    throw new InvalidOptionError(
      'fromPull: maxPending bounds the items without an outcome, so it needs onSettled',
    );
  }
  if (onDrain !== undefined) callable('fromPull: onDrain', onDrain);
  return pulled(input, { name, onSettled, window: maxPending ?? UNLIMITED, onDrain });
}
