/** One notification, or the end of a subscription, as it happened. */
export type Happened =
  | { readonly at: number; readonly kind: 'next'; readonly value: unknown }
  | { readonly at: number; readonly kind: 'error'; readonly error: unknown }
  | { readonly at: number; readonly kind: 'complete' | 'unsubscribe' };

/**
 * What a row is to a flow: pushed into it, the inner stream of an item, pulled by it, written by it (`note`), or what
 * comes out of it.
 */
export type Role = 'pushed' | 'inner' | 'pulled' | 'noted' | 'output';

/** One subscription, as it happened. */
export interface PlayedRow {
  readonly role: Role;
  /** The millisecond of the subscription; meaningless where it is `noted`. */
  readonly from: number;
  readonly happened: readonly Happened[];
}

/** A lane, as it happened: a value only where it changed. */
export type PlayedLane = readonly { readonly at: number; readonly value: number }[];
