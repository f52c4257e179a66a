/** A marble picture as data: what the player asserts, the painter draws, and a doc comment repeats. One column is 1 ms. */
export interface Picture {
  readonly rows: readonly Row[];
  /** Columns that stand for a longer time, from left to right. */
  readonly skips?: readonly Skip[];
}

/** Columns that are not 1 ms each, but `ms` together: ` 1s ` in at least one row. */
export interface Skip {
  /** Its first column in the text, with the space before the number. */
  readonly column: number;
  readonly columns: number;
  /** The millisecond at which it begins. */
  readonly at: number;
  readonly ms: number;
}

export type Row = StreamRow | LaneRow;

/** One subscription of a stream. A name drawn in two rows is subscribed to twice, in the order of the rows. */
export interface StreamRow {
  readonly kind: 'stream';
  readonly name: string;
  /** The row as it was drawn, for messages. */
  readonly text: string;
  /** The millisecond in which it is subscribed to: its column, where there are no skips. */
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
