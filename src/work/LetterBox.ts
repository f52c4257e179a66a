import type { ObservableInput } from 'rxjs';
import { subscriptionClock } from '../clock.ts';
import { under } from '../tickets/current.ts';
import type { DeadLetter, DeadLetterHandler } from './DeadLetter.ts';
import { isPromiseLike } from './isPromiseLike.ts';
import { ItemContext } from './ItemContext.ts';
import type { Closable } from './Sink.ts';
import type { Work, WorkContext } from './Work.ts';

/** A sink of dead letters, or what is made of a handler. */
interface Letters<T> extends Closable {
  store(letters: readonly DeadLetter<T>[], context: WorkContext): unknown;
}

/** Where the dead letters of an operator go. Made once a call of the operator, for all its stages. */
export class LetterBox<T> {
  readonly #letters: Letters<T>;
  /** Letters that one call takes: any number, or one. */
  readonly #mostAtOnce: number;

  constructor(letters: Letters<T>, mostAtOnce = Infinity) {
    this.#letters = letters;
    this.#mostAtOnce = mostAtOnce;
  }

  /** Of a handler, which is called for one letter at a time. */
  static of<T>(handler: DeadLetterHandler<T>): LetterBox<T> {
    return new LetterBox<T>({ store: ([letter], context) => handler(letter!, context) }, 1);
  }

  /** Items that failed together, in portions for `put`. */
  portions<E>(items: readonly E[]): (readonly E[])[] {
    return this.#mostAtOnce === 1 ? items.map((item) => [item]) : [items];
  }

  /** What it returns is to be waited for: then the letters are safe. */
  put(letters: readonly DeadLetter<T>[], context: WorkContext): unknown {
    return under(null, () => this.#letters.store(letters, context));
  }

  /** Puts one letter in, and calls `safe`, now or later, or `refused`. */
  take(
    letter: DeadLetter<T>,
    context: WorkContext,
    safe: () => void,
    refused: (reason: unknown) => void,
  ): void {
    try {
      const answer = this.put([letter], context);
      if (isPromiseLike(answer)) Promise.resolve(answer).then(safe, refused);
      else safe();
    } catch (reason) {
      refused(reason);
    }
  }

  /** Has a stage that puts letters in close the sink. */
  closeBy(stage: { closeAtEnd(sink: Closable): void }): void {
    stage.closeAtEnd(this.#letters);
  }
}

/** The same work, but the item's slot knows when its first attempt began. For one subscription. */
export function dated<T, O extends ObservableInput<unknown>>(work: Work<T, O>): Work<T, O> {
  const now = subscriptionClock();
  return (value, context) => {
    if (context instanceof ItemContext) context.begin(now());
    return work(value, context);
  };
}
