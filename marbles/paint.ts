import { Timeline } from '../src/testing/timeline.ts';
import type { Picture, Row } from '../src/testing/picture.ts';
import { drawAxis, drawTear } from './painter/axis.ts';
import { styleFor } from './painter/palette.ts';
import { drawRows, stackOf } from './painter/rows.ts';
import { scaleOf } from './painter/scale.ts';
import { element, escape, group } from './painter/svg.ts';

export interface Caption {
  readonly title: string;
  /** The call that makes the picture, as code, beneath it. */
  readonly call?: string | undefined;
  /** What to write on a marble instead of its letter. @defaultValue its letter */
  readonly inscriptions?: Readonly<Record<string, string>> | undefined;
}

const MARGIN = 20;
/** Bands and code reach into the margin. */
const INSET = 10;
/** Between the names and the first column, and after the last: half a marble, and some air. */
const AIR = 24;
const LEAST_WIDTH = 480;
/** The width of a character, on the safe side: fonts differ from machine to machine. */
const MONO = 7.6;
const BOLD = 9.6;
const TITLE_LINE = 20;
const CODE_LINE = 18;
/** Room for the numbers of the time axis. */
const AXIS = 32;

/** Paints a picture as an SVG, light or dark as its reader has it. The same picture gives the same text. */
export function paint(picture: Picture, { title, call, inscriptions = {} }: Caption): string {
  const scale = scaleOf(picture);
  const stack = stackOf(picture.rows);
  const code = call?.split('\n') ?? [];
  const names = MONO * longest(picture.rows.map(({ name }) => name));
  const left = Math.ceil(MARGIN + names + AIR);
  const width = Math.ceil(Math.max(LEAST_WIDTH, left + scale.width + AIR, longest(code) * MONO + 2 * MARGIN));
  const titles = wrapped(title, Math.floor((width - 2 * MARGIN) / BOLD));
  const top = MARGIN + titles.length * TITLE_LINE + (scale.tears.length > 0 ? 24 : 8);
  const foot = top + stack.height + AXIS;
  const height = foot + INSET + (code.length > 0 ? code.length * CODE_LINE + 12 : 0);
  const id = slug(title);

  const lines = group(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
      'aria-labelledby': `${id}-title ${id}-text`,
    },
    [
      element('title', { id: `${id}-title` }, title),
      element('desc', { id: `${id}-text` }, asText(picture, call)),
      ...group('style', {}, styleFor(labelsOf(picture)).map(escape)),
      ...hatching(`${id}-hatch`),
      element('rect', { class: 'page', x: 0.5, y: 0.5, width: width - 1, height: height - 1, rx: 10 }),
      ...titles.map((line, i) =>
        element('text', { class: 'title', x: MARGIN, y: MARGIN + 13 + i * TITLE_LINE }, line),
      ),
      ...group('g', { transform: `translate(${left} ${top})` }, [
        ...drawRows(stack, scale, {
          names: -AIR,
          band: { x: INSET - left, width: width - 2 * INSET },
          hatch: `${id}-hatch`,
          inscriptions,
        }),
        ...drawAxis(scale, stack.height + 6, -AIR),
        ...scale.tears.flatMap((tear) => drawTear(tear, stack.height)),
      ]),
      ...drawCode(code, foot, width),
    ],
  );
  return `${lines.join('\n')}\n`;
}

/** What is drawn in a colour of its own: items, and the streams named after them. */
function labelsOf({ rows }: Picture): string[] {
  return rows.flatMap((row) =>
    row.kind === 'lane'
      ? []
      : [row.name, ...row.marks.flatMap((mark) => (mark.kind === 'next' ? [mark.label] : []))],
  );
}

/** A title as a name of files and ids. */
export function slug(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
}

function hatching(id: string): string[] {
  const turned = { id, width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' };
  return group('pattern', turned, [element('path', { class: 'hatch', d: 'M 0 0 V 6' })]);
}

function drawCode(code: readonly string[], top: number, width: number): string[] {
  if (code.length === 0) return [];
  const box = { x: INSET, y: top, width: width - 2 * INSET, height: code.length * CODE_LINE + 12, rx: 6 };
  return [
    element('rect', { class: 'band', ...box }),
    ...code.map((line, i) =>
      element(
        'text',
        { class: 'code', x: MARGIN, y: top + 19 + i * CODE_LINE, 'xml:space': 'preserve' },
        line,
      ),
    ),
  ];
}

/** The picture as it was drawn, for readers who don't see it. */
function asText({ rows, skips = [] }: Picture, call: string | undefined): string {
  const time = new Timeline(skips);
  const margin = longest(rows.map(({ name }) => name)) + 2;
  const drawn = rows.map((row) => {
    const column = margin + time.columnAt(startOf(row));
    return `${row.name.padEnd(column)}${row.text}`;
  });
  return ['', ...drawn, ...(call === undefined ? [] : [call]), ''].join('\n');
}

function startOf(row: Row): number {
  if (row.kind === 'stream') return row.from;
  return (row.changes[0]?.at ?? 0) - Math.max(0, row.text.search(/[^-(]/));
}

/** In as few lines as hold it, all about as long. */
function wrapped(text: string, most: number): string[] {
  let lines = filled(text, most);
  for (let limit = most - 1; ; limit--) {
    const narrower = filled(text, limit);
    if (narrower.length > lines.length || longest(narrower) > limit) return lines;
    lines = narrower;
  }
}

function filled(text: string, most: number): string[] {
  return text.split(' ').reduce<string[]>((lines, word) => {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > most) return [...lines, word];
    return [...lines.slice(0, -1), `${last} ${word}`];
  }, []);
}

const longest = (texts: readonly string[]): number => Math.max(0, ...texts.map(({ length }) => length));
