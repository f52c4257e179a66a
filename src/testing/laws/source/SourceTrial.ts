import { counted } from '../../../counted.ts';
import type { Observable } from 'rxjs';
import { Below } from '../Below.ts';
import { reason } from '../Law.ts';
import { watch, type Watched } from '../watch.ts';

/** How the source that is checked is made, and how large it can be. */
export interface SourceTrial {
  readonly make: (count: number) => Observable<unknown>;
  readonly maxItems: number;
}

/** Items of a source that is looked at for a while. */
export const SOME = 20;
/** Milliseconds in which a flow must have drained. */
export const DRAIN_MS = 10_000;

/** What came of a stream, as messages say it. */
export function endOf({ completed, error, values }: Watched<unknown>): string {
  const end = completed ? 'completion' : error === undefined ? 'no end' : reason(error);
  return `${counted(values.length, 'item')}, then ${end}`;
}

/** A source above a stage with one place. */
export function slowly(source: Observable<unknown>): {
  readonly below: Below<unknown>;
  readonly seen: Watched<unknown>;
} {
  const below = new Below();
  return { below, seen: watch(source.pipe(below.operator)) };
}
