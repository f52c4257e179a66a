import { compareLane, comparePulled, compareRow, type Difference } from './comparison.ts';
import { drawLane, drawRow } from './drawing.ts';
import type { ExpectedError } from './expectedError.ts';
import type { Gauges } from './Gauges.ts';
import type { LaneRow, Picture, Row, StreamRow } from './picture.ts';
import type { PlayedRow } from './Played.ts';
import type { Timeline } from './timeline.ts';
import type { Values } from './values.ts';

/** So many differences are put into words; the rows show the rest. */
const IN_WORDS = 8;

/** What happened, to be held against a picture. */
export interface Outcome {
  readonly rows: ReadonlyMap<string, readonly PlayedRow[]>;
  readonly gauges: Gauges;
  readonly values: Values;
  /** Why a row has no subscription. */
  readonly unplayed: (row: string) => string;
  /** What the `#` of a row stands for. */
  readonly expectedError: (row: string) => ExpectedError;
  /** Faults that no row can show. */
  readonly faults: readonly string[];
  readonly end: number;
}

/** Undefined: all is as the picture says. Else both, as aligned rows, the differing columns marked; and in words. */
export function verdict(picture: Picture, time: Timeline, outcome: Outcome): string | undefined {
  const width = Math.max(...picture.rows.map(({ name }) => name.length)) + 2;
  const lines: string[] = [];
  const words: string[] = [];
  const seen = new Map<string, number>();

  for (const row of picture.rows) {
    const nth = seen.get(row.name) ?? 0;
    seen.set(row.name, nth + 1);
    const { differences, actual } =
      row.kind === 'lane' ? lane(row, time, outcome) : stream(row, nth, time, outcome);
    const label = row.name.padEnd(width);
    const expected = label + drawn(row, time);
    if (differences.length === 0) {
      lines.push(expected);
      continue;
    }
    const carets = marked(differences.map(({ at }) => time.columnAt(at)));
    const wide = Math.max(expected.length, width + actual.length, width + carets.length) + 2;
    const errors = differences.find((difference) => difference.errors)?.errors;
    lines.push(
      `${expected.padEnd(wide)}expected${errors ? `  # is ${firstLine(errors.expected)}` : ''}`,
      `${(' '.repeat(width) + actual).padEnd(wide)}actual${errors ? `    # is ${firstLine(errors.actual)}` : ''}`,
    );
    lines.push(' '.repeat(width) + carets);
    if (nth === 0 && isAside(row, outcome)) {
      words.push(
        `rows begin in different columns, ${row.name} not where output does: if that is not meant, pad the names`,
      );
    }
    const nthOf = nth > 0 ? ` (row ${nth + 1})` : '';
    for (const { at, words: what } of differences) words.push(`${row.name}${nthOf}, column ${at}: ${what}`);
  }
  const told = [...words.slice(0, IN_WORDS), ...outcome.faults];
  if (words.length > IN_WORDS) told.splice(IN_WORDS, 0, `… and ${words.length - IN_WORDS} more places`);
  if (told.length === 0) return undefined;
  const what = words.length > 0 ? 'did not do what its picture says' : onlyFaults(outcome.faults);
  return `the flow ${what}\n\n${indent(lines)}\n\n${told.map((line) => `- ${line}`).join('\n')}`;
}

/** Whether the first row of a source is subscribed to together with the output, but drawn to begin in another column. */
function isAside(row: Row, { rows }: Outcome): boolean {
  const [played] = rows.get(row.name) ?? [];
  const [output] = rows.get('output') ?? [];
  if (row.kind !== 'stream' || !played || !output) return false;
  const isSource = played.role === 'pushed' || played.role === 'pulled';
  return isSource && played.from === output.from && row.from !== output.from;
}

/** Where every row is as drawn, what is wrong stands in the first line. */
function onlyFaults([first = '', ...more]: readonly string[]): string {
  return `did what its picture says, but ${first}${more.length > 0 ? ` (and ${more.length} more)` : ''}`;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}

interface Judged {
  readonly differences: readonly Difference[];
  readonly actual: string;
}

function stream(row: StreamRow, nth: number, time: Timeline, outcome: Outcome): Judged {
  if (row.name === 'drain' || row.name === 'abort') return { differences: [], actual: '' };
  const played = outcome.rows.get(row.name)?.[nth];
  if (!played) {
    return { differences: [{ at: row.from, words: outcome.unplayed(row.name) }], actual: '' };
  }
  const { values, end } = outcome;
  const differences =
    played.role === 'pulled'
      ? comparePulled(row, played)
      : compareRow(row, played, values, outcome.expectedError(row.name));
  return { differences, actual: drawRow(played, row.from, values, time, end) };
}

function lane(row: LaneRow, time: Timeline, { gauges }: Outcome): Judged {
  if (gauges.unread(row.name) !== undefined) return { differences: [], actual: '' }; // told of as a fault
  const series = gauges.seriesOf(row);
  return {
    differences: compareLane(row, series),
    actual: drawLane(series, row.changes[0]?.at ?? 0, time),
  };
}

function drawn(row: Row, time: Timeline): string {
  const from = row.kind === 'stream' ? row.from : (row.changes[0]?.at ?? 0);
  const before = row.kind === 'stream' ? 0 : row.text.search(/[^-]/);
  return ' '.repeat(time.columnAt(from) - before) + row.text;
}

function marked(columns: readonly number[]): string {
  const width = Math.max(...columns) + 1;
  return Array.from({ length: width }, (_, column) => (columns.includes(column) ? '^' : ' ')).join('');
}

function indent(lines: readonly string[]): string {
  return lines.map((line) => `    ${line}`.trimEnd()).join('\n');
}
