import type { Observable } from 'rxjs';
import { HandedBackError, InvalidOptionError, SourceUsedError } from '../errors.ts';
import type { Failure } from '../flow/Run.ts';
import { given, wholeNumber } from '../options.ts';
import { RingQueue } from '../queue/RingQueue.ts';
import { UNLIMITED } from './Demand.ts';
import { pulled } from './PullSource.ts';

export interface IntakeOptions {
  /** Items that may wait inside. Whole number, 1 or more. */
  readonly capacity: number;
}

/** A way into a flow for code that has items and can wait. */
export interface Intake<T> {
  /**
   * Resolves when the item is inside. Rejects with `HandedBackError` where its flow is drained, stopped or has failed, and
   * with `InvalidOptionError` after `end` or `fail`, whose error is its cause.
   */
  offer(item: T): Promise<void>;
  /** No more items: the flow completes when it has taken those inside and those offered before. */
  end(): void;
  /** No more items, then this error. */
  fail(error: unknown): void;
  /** The items, for one subscriber at a time. */
  readonly items$: Observable<T>;
}

interface Offer<T> {
  readonly item: T;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface End {
  /** Present, even if undefined: it fails with this. */
  readonly error?: unknown;
  /** What offers are refused with, where it was draining that ended it. */
  readonly refusal?: HandedBackError;
}

interface Taken<T> {
  done: boolean;
  readonly value: T | undefined;
}

/**
 * Makes a queue of `capacity` items between code that offers and a flow that takes.
 *
 * `items$` — **Emits when** the stage below has room. **Waits when** the flow is slow: `offer` resolves when there is
 * room inside. **Drops** nothing. **Completes when** `end` was called, and what was offered before is taken, or draining
 * has begun, and what is inside is taken: offers that wait then reject. **Errors when** `fail` was called, after the same.
 * **Unsubscribing** leaves what is inside for the next subscriber; offers that wait go on waiting, until the run that
 * took the items is over: then they reject, as all offers do until the items are subscribed to again.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function intake<T>(options: IntakeOptions): Intake<T> {
  const { capacity } = given(options);
  wholeNumber('intake: capacity', capacity, 1);
  const inside = new RingQueue<T>();
  const offers = new RingQueue<Offer<T>>();
  let end: End | undefined;
  let taken = false;
  let finished = false;
  /** The run that took the items is over, and nobody takes them now: why offers are refused. */
  let stopped: HandedBackError | undefined;
  let pull: ((result: Taken<T>) => void) | undefined;
  let refuse: ((error: unknown) => void) | undefined;
  /** Between the promise that is resolved and its reaction the item is still ours. */
  let handing: Taken<T> | undefined;

  const take = (): T => {
    const item = inside.take();
    if (offers.size > 0) {
      const offer = offers.take();
      inside.push(offer.item);
      offer.resolve();
    }
    return item;
  };
  const settle = (): void => {
    if (!pull) return;
    const [resolve, reject] = [pull, refuse];
    if (inside.size > 0) {
      pull = refuse = undefined;
      handing = { done: false, value: take() };
      resolve(handing);
    } else if (end) {
      pull = refuse = undefined;
      finished = true;
      if ('error' in end) reject?.(end.error);
      else resolve({ done: true, value: undefined });
    }
  };
  const tooLate = ({ error }: End): InvalidOptionError =>
    new InvalidOptionError(
      'intake: offer after end or fail',
      error === undefined ? undefined : { cause: error },
    );
  const close = (how: End): void => {
    end ??= how;
    settle();
  };
  const refuseAll = (why: string, cause?: unknown): HandedBackError => {
    const refusal = new HandedBackError('intake', why, cause);
    while (offers.size > 0) offers.take().reject(refusal);
    return refusal;
  };
  /** What is inside was accepted; what waits outside is refused. */
  const drain = (): void => {
    close({ refusal: refuseAll('the flow was drained') });
  };
  /** Nobody takes what is inside any more, so whoever waits outside would wait for ever. */
  const over = (failure: Failure | undefined): void => {
    stopped = refuseAll(failure ? 'the flow has failed' : 'the flow was stopped', failure?.error);
  };
  const iterator = (): AsyncIterator<T, undefined> => ({
    next() {
      const pulled = new Promise<Taken<T>>((resolve, reject) => {
        pull = resolve;
        refuse = reject;
        settle();
      });
      const handed = (): void => {
        handing = undefined;
      };
      pulled.then(handed, handed); // the first reaction: the next one is that of the source
      return pulled as Promise<IteratorResult<T, undefined>>;
    },
    return() {
      taken = false;
      pull?.({ done: true, value: undefined });
      pull = refuse = undefined;
      if (handing) {
        inside.putBack(handing.value as T);
        handing.done = true; // left before it was received: there is nothing to receive
        handing = undefined;
      }
      return Promise.resolve({ done: true, value: undefined });
    },
  });
  const open = (): AsyncIterable<T> => {
    if (taken || finished) throw new SourceUsedError('intake');
    taken = true;
    stopped = undefined;
    return { [Symbol.asyncIterator]: iterator };
  };

  const items$ = pulled(open, { name: 'intake', window: UNLIMITED, onDrain: drain, onOver: over });

  return {
    offer(item) {
      const refusal = end === undefined ? stopped : (end.refusal ?? tooLate(end));
      if (refusal) return Promise.reject(refusal);
      if (inside.size < capacity && offers.size === 0) {
        inside.push(item);
        settle();
        return Promise.resolve();
      }
      return new Promise((resolve, reject) => {
        offers.push({ item, resolve, reject });
      });
    },
    end() {
      close({});
    },
    fail(error) {
      close({ error });
    },
    items$,
  };
}
