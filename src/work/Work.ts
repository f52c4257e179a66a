import type { ObservableInput } from 'rxjs';

/** What work is told about the item and the attempt it is called for. */
export interface WorkContext {
  /** Position of the item among those that this stage accepted, from 0. */
  readonly index: number;
  /** The slot that works on it: 0 … concurrency − 1. */
  readonly worker: number;
  /** 1 for the first attempt at the item, and one more for each further one: a retry, or the second of `withHedge`. */
  readonly attempt: number;
  /** Aborted when the attempt times out, or the flow is stopped. Made only when it is read. */
  readonly signal: AbortSignal;
}

/** Work on one value. Its result is anything that RxJS takes as an inner stream; a promise is the usual case. */
export type Work<T, O extends ObservableInput<unknown>> = (value: T, context: WorkContext) => O;
