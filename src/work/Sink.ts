import type { Origins } from '../tickets/Origins.ts';

/** What a sink says of an error: try again, look for the bad item, or give up. */
export type FailureClass = 'retry' | 'data' | 'fatal';

/**
 * How the flow into a sink ended. Everything that it took in is stored where it was drained, or completed, unless an
 * operator below the sink (`take`, `takeUntil`) completed it early.
 */
export type SinkEnding = 'completed' | 'drained' | 'aborted' | 'failed';

/** Told to a sink with each batch. */
export interface SinkContext {
  /** 1 for the first attempt at these items. */
  readonly attempt: number;
  /**
   * Aborted when the flow is stopped. The items are handed back at once; what was begun may still take effect, so they may
   * be stored although they were handed back, and stored again in the next run (at least once). Stop at it where you can.
   */
  readonly signal: AbortSignal;
  /** What the items come from, for a sink that writes down, with them, how far their source has got. */
  readonly origins?: Origins;
}

/** What is closed with a flow. */
export interface Closable {
  close?(ending?: SinkEnding): Promise<void>;
}

/** Whether a sink that is stored into again after a good end begins anew: what was stored before is gone. */
export function startsAnew(sink: Closable & { readonly startsAnew?: boolean }): boolean {
  return sink.startsAnew === true;
}

/** Where items end up. Resolving `store` means: all of these items are safe now. */
export interface Sink<T> extends Closable {
  store(items: readonly T[], context: SinkContext): Promise<void>;
  /** `'retry'`: may work next time; `'data'`: some of the items are bad; `'fatal'`: no use. Absent: `'retry'`. Answers at once: a promise fails the flow. */
  classify?(error: unknown): FailureClass;
  /**
   * Called once: at the end of the run, or, without `runFlow` and inside the work of an item, of the subscription, with
   * how that ended. A run that has stored everything waits for it as long as it takes, within `drainTimeoutMs` where it is
   * drained, and so does a subscription before it completes, but where an operator below the sink completes it early. One
   * whose sink cannot be closed is a failed one.
   */
  close?(ending?: SinkEnding): Promise<void>;
}
