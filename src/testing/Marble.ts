import type { Observable } from 'rxjs';
import type { RunFlowOptions } from '../flow/runFlow.ts';
import type { Rows } from './Rows.ts';

/** A picture with its wiring: what the player asserts, and a painter draws. */
export interface Marble {
  /** A fact about the flow. */
  readonly title: string;
  readonly picture: string;
  readonly wiring: Wiring;
  readonly options?: MarblesOptions;
}

/** Builds the flow that a picture shows, from the rows of the picture. */
export type Wiring = (rows: Rows) => Observable<unknown>;

export interface MarblesOptions {
  /** What letters stand for. A letter that is not here stands for itself. @defaultValue nothing */
  readonly values?: Readonly<Record<string, unknown>>;
  /**
   * What the `#` of a row is: an error, a class, or a code. Played rows throw it; of `output` it is expected. An `output`
   * that is not here must error with what a row has thrown. @defaultValue an Error that names the row
   */
  readonly errors?: Readonly<Record<string, unknown>>;
  /**
   * How the flow is run. With options, or with a `drain` or `abort` row, a `!` of `output` is what the run must do;
   * without, the player does it. @defaultValue as `runFlow` does, with warnings as failures
   */
  readonly run?: RunFlowOptions;
  /** Faults that are meant: they do not fail the test. @defaultValue none */
  readonly allow?: readonly ('pending' | 'timers' | 'realTimers' | 'rejections' | 'warnings')[];
}
