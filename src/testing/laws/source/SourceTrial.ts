import { counted } from '../../../counted.ts';
import type { Observable } from 'rxjs';
import { Below } from '../Below.ts';
import { must, reason, shown } from '../Law.ts';
import { sameValue } from '../../values.ts';
import { watch, type Watched } from '../watch.ts';

/** How the source that is checked is made, and how large it can be. */
export interface SourceTrial {
  readonly make: (count: number) => Observable<unknown>;
  readonly items: ((count: number) => readonly unknown[]) | undefined;
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

/** The items that were said; where none were, none twice. */
export function mustBeItsItems({ items }: Pick<SourceTrial, 'items'>, found: readonly unknown[]): void {
  if (items) {
    const expected = items(found.length);
    const at = found.findIndex((item, i) => !sameValue(item, expected[i]));
    must(at < 0, `item ${at + 1} to be ${shown(expected[at])}`, shown(found[at]));
    return;
  }
  const first = new Map<string, unknown>();
  const at = found.findIndex((item) => {
    const text = shown(item);
    if (first.has(text)) return sameValue(first.get(text), item);
    first.set(text, item);
    return false;
  });
  must(at < 0, 'no two items the same (where some are, say `items`)', `${shown(found[at])} again`);
}

/** A source above a stage with one place. */
export function slowly(source: Observable<unknown>): {
  readonly below: Below<unknown>;
  readonly seen: Watched<unknown>;
} {
  const below = new Below();
  return { below, seen: watch(source.pipe(below.operator)) };
}
