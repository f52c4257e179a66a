import type { Skip } from './picture.ts';

/** What turns the columns of a picture into milliseconds and back: one each, but for the skips. */
export class Timeline {
  readonly skips: readonly Skip[];

  constructor(skips: readonly Skip[]) {
    this.skips = skips;
  }

  msAt(column: number): number {
    let ms = column;
    for (const skip of this.skips) if (column >= skip.column + skip.columns) ms += skip.ms - skip.columns;
    return ms;
  }

  /** A millisecond within a skip is drawn in its first column. */
  columnAt(ms: number): number {
    let column = ms;
    for (const skip of this.skips) {
      if (ms >= skip.at + skip.ms) column += skip.columns - skip.ms;
      else if (ms >= skip.at) return skip.column;
    }
    return column;
  }
}
