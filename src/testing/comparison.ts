import type { LaneRow, Mark, StreamRow } from './picture.ts';
import type { Happened, PlayedLane, PlayedRow } from './Played.ts';
import type { ExpectedError } from './expectedError.ts';
import { sameValue, shown, type Values } from './values.ts';

/** One place where what happened is not what is drawn. */
export interface Difference {
  readonly at: number;
  readonly words: string;
  /** Where both are errors, and not the same: what the `#` of either row is. */
  readonly errors?: { readonly expected: string; readonly actual: string };
}

/** Where a subscription is not as its row is drawn. */
export function compareRow(
  row: StreamRow,
  played: PlayedRow,
  values: Values,
  error: ExpectedError,
): Difference[] {
  const differences = played.role === 'noted' ? [] : compareStart(row, played);
  const same = (mark: Mark, happened: Happened): boolean =>
    mark.kind === happened.kind &&
    (mark.kind !== 'next' ||
      happened.kind !== 'next' ||
      sameValue(values.valueOf(mark.label), happened.value)) &&
    (happened.kind !== 'error' || error.is(happened.error));
  for (const at of moments(row.marks, played.happened)) {
    const drawn = row.marks.filter((mark) => mark.at === at);
    const seen = played.happened.filter((happened) => happened.at === at);
    if (drawn.length === seen.length && drawn.every((mark, i) => same(mark, seen[i] as Happened))) continue;
    const expected = drawn.map((mark) => markInWords(mark, values, error));
    const actual = seen.map(happenedInWords);
    const thrown = seen.find((happened) => happened.kind === 'error');
    const errors = drawn.some(({ kind }) => kind === 'error') &&
      thrown && { expected: error.words, actual: shown(thrown.error) };
    const words = `expected ${list(expected)}, got ${list(actual)}`;
    differences.push({ at, words, ...(errors && { errors }) });
  }
  return differences;
}

/** Where a source that waits is not subscribed to, read to its end, or left, as drawn: its letters say when it is ready. */
export function comparePulled(row: StreamRow, played: PlayedRow): Difference[] {
  const differences = compareStart(row, played);
  const drawn = row.marks.at(-1);
  const end = played.happened.at(-1);
  const at = drawn?.at ?? row.from;
  const words = endInWords(end);
  if (drawn?.kind === 'unsubscribe') {
    if (end?.kind !== 'unsubscribe') differences.push({ at, words: `expected unsubscription, got ${words}` });
    else if (end.at !== at)
      differences.push({ at, words: `unsubscribed from in column ${end.at} instead of ${at}` });
  } else if (drawn?.kind !== 'next' && drawn?.kind !== end?.kind) {
    differences.push({ at: end?.at ?? at, words: `expected to be read to its end, got ${words}` });
  } else if (end?.kind === 'unsubscribe') {
    differences.push({ at: end.at, words: `expected nothing, got ${words}` });
  }
  return differences;
}

function compareStart(row: StreamRow, played: PlayedRow): Difference[] {
  if (played.from === row.from) return [];
  return [{ at: row.from, words: `subscribed to in column ${played.from} instead of ${row.from}` }];
}

function endInWords(end: Happened | undefined): string {
  return end === undefined || end.kind === 'next' ? 'no end' : happenedInWords(end);
}

/** Where a gauge is not as its lane is drawn: from the first drawn value on. */
export function compareLane(lane: LaneRow, series: PlayedLane): Difference[] {
  const [first] = lane.changes;
  if (!first) return [];
  const differences: Difference[] = [];
  for (const at of moments(lane.changes, series)) {
    if (at < first.at) continue;
    const expected = valueAt(lane.changes, at);
    const actual = valueAt(series, at);
    if (expected !== actual)
      differences.push({ at, words: `expected ${expected ?? 'nothing'}, got ${actual ?? 0}` });
  }
  return differences;
}

function valueAt(series: PlayedLane, at: number): number | undefined {
  return series.findLast((change) => change.at <= at)?.value;
}

function moments(...lists: readonly (readonly { readonly at: number }[])[]): number[] {
  return [...new Set(lists.flat().map(({ at }) => at))].sort((a, b) => a - b);
}

function list(words: readonly string[]): string {
  return words.length === 0 ? 'nothing' : words.join(' and ');
}

function markInWords(mark: Mark, values: Values, error: ExpectedError): string {
  if (mark.kind === 'error') return `error ${error.words}`;
  if (mark.kind !== 'next') return mark.kind === 'complete' ? 'completion' : 'unsubscription';
  const value = values.valueOf(mark.label);
  return value === mark.label ? shown(value) : `${mark.label} = ${shown(value)}`;
}

function happenedInWords(happened: Happened): string {
  if (happened.kind === 'next') return shown(happened.value);
  if (happened.kind === 'error') return `error ${shown(happened.error)}`;
  return happened.kind === 'complete' ? 'completion' : 'unsubscription';
}
