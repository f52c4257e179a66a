import { Subscriber } from 'rxjs';
import type { Demand } from '../demand/Demand.ts';
import { DEMAND } from './chain.ts';

/** What a stage does with what comes from upstream. */
export interface Receiver<T> {
  readonly demand: Demand;
  receive(value: T): void;
  inputFailed(error: unknown): void;
  inputEnded(): void;
}

/** What a stage subscribes upstream with: linked to its destination, so that the chain holds, and carrying its Demand. */
export class Inlet<T> extends Subscriber<T> {
  readonly [DEMAND]: Demand;
  readonly #receiver: Receiver<T>;

  /** Without a destination it is the end of a chain. */
  constructor(destination: Subscriber<never> | undefined, receiver: Receiver<T>) {
    super(destination);
    this[DEMAND] = receiver.demand;
    this.#receiver = receiver;
  }

  // Instead of `_next`, which RxJS calls at one place for all its subscribers: one call less for each item.
  override next(value: T): void {
    if (this.isStopped) super.next(value);
    else this.#receiver.receive(value);
  }

  // An ended subscriber that stays open would let `take` above swallow an endless source.
  protected override _error(error: unknown): void {
    try {
      this.#receiver.inputFailed(error);
    } finally {
      this.unsubscribe();
    }
  }

  protected override _complete(): void {
    try {
      this.#receiver.inputEnded();
    } finally {
      this.unsubscribe();
    }
  }
}
