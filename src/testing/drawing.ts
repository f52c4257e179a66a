import type { Skip } from './picture.ts';
import type { Happened, PlayedLane, PlayedRow } from './Played.ts';
import type { Timeline } from './timeline.ts';
import type { Values } from './values.ts';

interface Sign {
  readonly at: number;
  readonly sign: string;
}

/** A subscription as a row of text, from column 0; one that has not ended goes on to `end`. */
export function drawRow(
  played: PlayedRow,
  drawnFrom: number,
  values: Values,
  time: Timeline,
  end: number,
): string {
  const signs = played.happened.map((happened) => ({ at: happened.at, sign: signOf(happened, values) }));
  const over = /[|#!]/.test(signs.at(-1)?.sign ?? '');
  return draw(played.role === 'noted' ? drawnFrom : played.from, signs, time, over ? undefined : end);
}

/** A gauge as a row of text. */
export function drawLane(series: PlayedLane, from: number, time: Timeline): string {
  const before = series.findLast((change) => change.at <= from);
  const changes = [...(before ? [{ ...before, at: from }] : []), ...series.filter(({ at }) => at > from)];
  const signs = changes.map(({ at, value }) => ({ at, sign: value < 36 ? value.toString(36) : '?' }));
  return draw(from, signs, time, undefined);
}

function draw(from: number, signs: readonly Sign[], time: Timeline, end: number | undefined): string {
  let text = ' '.repeat(time.columnAt(from));
  const byColumn = new Map<number, string>();
  for (const { at, sign } of signs) {
    const column = time.columnAt(at);
    byColumn.set(column, (byColumn.get(column) ?? '') + sign);
  }
  const columns = [...byColumn];
  for (const [i, [column, group]] of columns.entries()) {
    const room = (columns[i + 1]?.[0] ?? Infinity) - column;
    const several = group.length + 2 <= room ? `(${group})` : '*'; // no room: the words below have it
    text = padded(text, column, time) + (group.length > 1 ? several : group);
  }
  return end === undefined ? text : padded(text, time.columnAt(end) + 1, time);
}

/** `-` up to a column, and the times that are skipped on the way. */
function padded(text: string, column: number, time: Timeline): string {
  let result = text;
  while (result.length < column) {
    const skip = time.skips.find((candidate) => candidate.column === result.length);
    result += skip ? written(skip) : '-';
  }
  return result;
}

/** A skip as it was written. */
function written({ ms, columns }: Skip): string {
  const forms = [`${ms / 60_000}m`, `${ms / 1_000}s`, `${ms}ms`].map((form) => ` ${form} `);
  return forms.find((form) => form.length === columns) ?? '-'.repeat(columns);
}

function signOf(happened: Happened, values: Values): string {
  if (happened.kind === 'next') return values.signOf(happened.value);
  return { complete: '|', error: '#', unsubscribe: '!' }[happened.kind];
}
