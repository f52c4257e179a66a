import { PictureError } from '../errors.ts';
import type { LaneRow, Mark, Picture, Row, Skip, StreamRow } from './picture.ts';
import { Timeline } from './timeline.ts';

/** What a lane may show: `fetch.active`. */
const GAUGES = ['active', 'waiting', 'demand', 'dropped', 'rejected', 'dead', 'retried', 'pulled'];

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };
const ENDS: Readonly<Record<string, 'complete' | 'error' | 'unsubscribe'>> = {
  '|': 'complete',
  '#': 'error',
  '!': 'unsubscribe',
};

/** A row as it stands in the text: its name, and its signals from a column on. */
interface Line {
  readonly name: string;
  readonly column: number;
  readonly signals: string;
}

/**
 * Reads a marble picture: a row a line, a name and then its signals. One column is 1 ms, and the leftmost signal of the
 * picture is in column 0.
 *
 *     source  ab-c|         a letter is a value, | completes, # errors, ! is left (unsubscribed)
 *     a       ----A|        a row begins in the column where it is subscribed to
 *     output  ----A--(C|)   all of a group is in the column of its (
 *     active  12-----10     a lane has a value (0 to 9, then a for 10, to z) only where it changes
 *
 * ` 1s ` (or `ms`, or `m`) stands for that time: the number with the space before and after it. Such columns take that
 * time in every row; a row that lives through them repeats it, or draws `-` or blanks.
 *
 * @throws `PictureError`, with the row and the column.
 */
export function readPicture(text: string): Picture {
  const lines = readLines(text);
  const drawn = readSkips(lines);
  const skips = drawn.map(({ skip }) => skip);
  const time = new Timeline(skips);
  return { rows: lines.map((line) => readRow(line, time, drawn)), skips };
}

/** Lanes that need no stage's name where one stage has them. */
const BARE = ['active', 'waiting', 'demand'];

/** Whether a row of this name is a lane. */
function isLane(name: string): boolean {
  const dot = name.lastIndexOf('.');
  return dot < 0 ? BARE.includes(name) : GAUGES.includes(name.slice(dot + 1));
}

function readLines(text: string): Line[] {
  const lines = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, margin = '', name, signals] = /^(\s*(\S+)\s+)(\S.*?)\s*$/.exec(line) ?? [];
      if (name === undefined || signals === undefined) {
        throw new PictureError(`not a row of a picture (a name, then its signals): ${line.trim()}`);
      }
      if (line.includes('\t')) throw new PictureError(`row ${name}: a tab has no width; align with spaces`);
      return { name, column: margin.length, signals };
    });
  if (lines.length === 0) throw new PictureError('a picture without rows');
  const zero = Math.min(...lines.map(({ column }) => column));
  return lines.map((line) => ({ ...line, column: line.column - zero }));
}

/** A skip, and which row draws it where, in words. */
interface DrawnSkip {
  readonly skip: Skip;
  readonly where: string;
}

/** The skips of all rows; the same skip may be drawn in many. */
function readSkips(lines: readonly Line[]): DrawnSkip[] {
  const found = new Map<
    number,
    { column: number; columns: number; ms: number; row: string; words: string }
  >();
  for (const { name, column, signals } of lines) {
    for (const match of signals.matchAll(/ (\d+)(ms|s|m)(?= )/g)) {
      const skip = {
        column: column + match.index,
        columns: match[0].length + 1,
        ms: Number(match[1]) * (UNITS[match[2] ?? ''] ?? 1),
        row: name,
        words: match[0].trim(),
      };
      const known = found.get(skip.column);
      if (known && (known.columns !== skip.columns || known.ms !== skip.ms)) {
        refuse(name, skip.column, `another time here than row ${known.row} draws`);
      }
      found.set(skip.column, known ?? skip);
    }
  }
  const skips: DrawnSkip[] = [];
  let free = 0;
  let longer = 0;
  for (const { column, columns, ms, row, words } of [...found.values()].sort((a, b) => a.column - b.column)) {
    if (column < free) refuse(row, column, 'a time that overlaps that of another row');
    free = column + columns;
    const where = `row ${row} skips ${words} in columns ${column}–${free - 1}`;
    skips.push({ skip: { column, columns, ms, at: column + longer }, where });
    longer += ms - columns;
  }
  return skips;
}

function readRow(line: Line, time: Timeline, skips: readonly DrawnSkip[]): Row {
  const cells = readCells(line, skips);
  return isLane(line.name) ? lane(line, cells, time) : stream(line, cells, time);
}

/** One signal, and the column it counts for. */
interface Cell {
  readonly sign: string;
  readonly column: number;
}

/** The signals of a row one by one, without `-`, brackets, and skips. */
function readCells({ name, column, signals }: Line, skips: readonly DrawnSkip[]): Cell[] {
  const skipAt = (at: number): DrawnSkip | undefined =>
    skips.find(({ skip }) => at >= skip.column && at < skip.column + skip.columns);
  const begun = skipAt(column);
  if (begun) refuse(name, column, `a row begins where time is skipped: ${begun.where}`);
  const cells: Cell[] = [];
  let group: number | undefined;
  for (let i = 0; i < signals.length; i++) {
    const at = column + i;
    const sign = signals.charAt(i);
    const skipped = skipAt(at);
    const skip = skipped?.skip;
    if (skip?.column === at && / \d+m?s? /.test(signals.slice(i, i + skip.columns))) {
      i += skip.columns - 1;
    } else if ((sign === '-' || (sign === ' ' && skip)) && group === undefined) {
      continue;
    } else if (skipped && group === undefined) {
      refuse(name, at, `a signal where time is skipped: ${skipped.where}; draw the same skip here, or -`);
    } else if (sign === '(' && group === undefined) {
      group = at;
    } else if (sign === ')' && group !== undefined) {
      if (signals.charAt(i - 1) === '(') refuse(name, at, 'an empty group');
      group = undefined;
    } else if (/[\s()-]/.test(sign)) {
      refuse(
        name,
        at,
        sign === ' ' ? 'a space; draw - where nothing happens' : `${sign} does not belong here`,
      );
    } else {
      cells.push({ sign, column: group ?? at });
    }
  }
  if (group !== undefined) refuse(name, group, 'a group that is not closed');
  return cells;
}

function stream({ name, column, signals }: Line, cells: readonly Cell[], time: Timeline): StreamRow {
  const marks = cells.map(({ sign, column }, i): Mark => {
    const at = time.msAt(column);
    const kind = ENDS[sign];
    if (!kind) return { at, kind: 'next', label: sign };
    const next = cells[i + 1];
    if (next) refuse(name, next.column, `${next.sign} after the end of the row`);
    return { at, kind };
  });
  return { kind: 'stream', name, text: signals, from: time.msAt(column), marks };
}

function lane({ name, signals }: Line, cells: readonly Cell[], time: Timeline): LaneRow {
  const changes = cells.map(({ sign, column }, i) => {
    const value = /[0-9a-z]/.test(sign) ? parseInt(sign, 36) : NaN;
    if (Number.isNaN(value)) refuse(name, column, `${sign} is not a value of a lane (0 to 9, then a to z)`);
    if (sign === cells[i - 1]?.sign) refuse(name, column, `${sign} again; draw - where nothing changes`);
    return { at: time.msAt(column), value };
  });
  if (changes.length === 0) throw new PictureError(`row ${name}: a lane without a value`);
  return { kind: 'lane', name, text: signals, changes };
}

function refuse(row: string, column: number, problem: string): never {
  throw new PictureError(`row ${row}, column ${column}: ${problem}`);
}
