/** A marble picture as data: what the player asserts, the painter draws, and a doc comment repeats. One column is 1 ms. */
export interface Picture {
  readonly rows: readonly Row[];
}

export type Row = StreamRow | LaneRow;

/** One subscription of a stream. A name drawn in two rows is subscribed to twice, in the order of the rows. */
export interface StreamRow {
  readonly kind: 'stream';
  readonly name: string;
  /** The row as it was drawn, for messages. */
  readonly text: string;
  /** The column in which it is subscribed to. */
  readonly from: number;
  readonly marks: readonly Mark[];
}

/** What happens on a stream. `end`: completed (`|`), errored (`#`), or unsubscribed from (`!`). */
export type Mark =
  | { readonly at: number; readonly kind: 'next'; readonly label: string }
  | { readonly at: number; readonly kind: 'complete' | 'error' | 'unsubscribe' };

/** A gauge over time: `fetch.active`, or `active` where one stage has it. */
export interface LaneRow {
  readonly kind: 'lane';
  readonly name: string;
  readonly text: string;
  /** A value only where it changes. */
  readonly changes: readonly { readonly at: number; readonly value: number }[];
}
