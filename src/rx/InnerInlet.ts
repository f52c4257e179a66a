import { Subscriber } from 'rxjs';
import { Demand } from '../demand/Demand.ts';
import type { Run } from '../flow/Run.ts';
import { DEMAND, RUN } from './chain.ts';

/**
 * What a pool subscribes to an Observable of work with. Its Demand has one place, for the result that is not delivered
 * yet, and is made only when a source inside the work looks for it. It never drains: the item was accepted.
 */
export class InnerInlet<R> extends Subscriber<R> {
  readonly [RUN]: Run | undefined;
  readonly #emitted: (result: R) => void;
  readonly #failed: (error: unknown) => void;
  readonly #completed: () => void;
  #demand: Demand | undefined;

  constructor(
    emitted: (result: R) => void,
    failed: (error: unknown) => void,
    completed: () => void,
    run: Run | undefined,
  ) {
    super();
    this[RUN] = run;
    this.#emitted = emitted;
    this.#failed = failed;
    this.#completed = completed;
  }

  get [DEMAND](): Demand {
    return (this.#demand ??= new Demand(1));
  }

  /** One result has left the pool. */
  delivered(): void {
    if (this.#demand && this.#demand.held > 0) this.#demand.release();
  }

  protected override _next(result: R): void {
    if (this.#demand) this.#demand.held++;
    this.#emitted(result);
  }

  // The pool unsubscribes first: what the work held (a database client, say) is free before the next asks.
  protected override _error(error: unknown): void {
    this.#failed(error);
  }

  protected override _complete(): void {
    this.#completed();
  }
}
