import type { Mark, StreamRow } from '../../src/testing/picture.ts';
import { hueOf, isResult } from './palette.ts';
import { element, path } from './svg.ts';
import type { Scale } from './scale.ts';

/** A row with its place: `y` is its line. */
export interface Placed<R> {
  readonly row: R;
  readonly y: number;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

const RADIUS = 11;
/** From one marble of a group to the next below it. */
const STACK = 2 * RADIUS + 2;
const PADDING = 7;

export function streamHeight(row: StreamRow): number {
  const items = itemsOf(row);
  const tallest = Math.max(1, ...items.map(({ at }) => items.filter((other) => other.at === at).length));
  return (tallest - 1) * STACK + 2 * RADIUS + 2 * PADDING;
}

/** A stream on its line: marbles, and an end, or an arrow where it has none. */
export function drawStream(
  { row, y }: Placed<StreamRow>,
  scale: Scale,
  inscriptions: Readonly<Record<string, string>>,
): string[] {
  const written = (item: Item): string => inscriptions[item.label] ?? item.label;
  const start = scale.x(row.from);
  const end = endOf(row);
  const beside = itemsOf(row).filter(({ at }) => at === end?.at);
  const room = Math.max(
    0,
    ...beside.map((item) => halfWidth(written(item)) + (end?.kind === 'complete' ? 6 : 10)),
  );
  const stop = end === undefined ? scale.width : scale.x(end.at) + room;
  const half = beside.length === 0 ? RADIUS - 1 : (beside.length * STACK) / 2;
  return [
    element('path', { class: 'line', d: path`M ${start} ${y - 4} V ${y + 4} M ${start} ${y} H ${stop}` }),
    ...itemsOf(row).flatMap((item) => marble(item.label, written(item), pointOf(row, item, y, scale))),
    end === undefined ? arrowAt({ x: stop, y }) : endMark(end.kind, { x: stop, y }, half),
  ];
}

/**
 * What each row hangs from: work from its item, or from all items of its batch, and a further try from the end of the
 * one before it. Dots along a row are the wait before its start.
 */
export function drawHangs(rows: readonly Placed<StreamRow>[], scale: Scale): string[] {
  return rows.flatMap(({ row, y }, index) => {
    const start = scale.x(row.from);
    return originsOf(row, rows.slice(0, index), scale).map(({ x, y: top, label }) => {
      const turn = Math.min(8, start - x);
      const bend = turn === 0 ? path`V ${y}` : path`V ${y - turn} Q ${x} ${y} ${x + turn} ${y} H ${start}`;
      return element('path', { class: `hang h${hueOf(label)}`, d: path`M ${x} ${top} ${bend}` });
    });
  });
}

interface Origin extends Point {
  readonly label: string;
}

function originsOf({ name, from }: StreamRow, above: readonly Placed<StreamRow>[], scale: Scale): Origin[] {
  const marbles = (label: string): Origin[] =>
    above
      .filter(({ row }) => row.name !== 'output')
      .flatMap(({ row, y }) =>
        itemsOf(row)
          .filter((item) => item.label === label && item.at <= from)
          .map((item) => ({ ...pointOf(row, item, y, scale), label })),
      );
  const earlier = above.filter(({ row }) => row.name === name);
  const item = marbles(name)[earlier.length] ?? endBefore(from, earlier.at(-1), scale);
  if (item !== undefined) return [item];
  const batch = Array.from(name).map((letter) => marbles(letter).at(-1));
  return batch.every((origin) => origin !== undefined) ? batch : [];
}

/** The end of a subscription, if it was over by then. */
function endBefore(at: number, placed: Placed<StreamRow> | undefined, scale: Scale): Origin | undefined {
  const end = placed && endOf(placed.row);
  return end && end.at <= at ? { x: scale.x(end.at), y: placed.y, label: placed.row.name } : undefined;
}

interface Item {
  readonly at: number;
  readonly label: string;
}

function itemsOf(row: StreamRow): Item[] {
  return row.marks.filter((mark) => mark.kind === 'next');
}

/** Marbles of one column stand above one another, the first at the top. */
function pointOf(row: StreamRow, item: Item, y: number, scale: Scale): Point {
  const same = itemsOf(row).filter(({ at }) => at === item.at);
  return { x: scale.x(item.at), y: y + (same.indexOf(item) - (same.length - 1) / 2) * STACK };
}

type End = Exclude<Mark, { kind: 'next' }>;

function endOf(row: StreamRow): End | undefined {
  return row.marks.find((mark) => mark.kind !== 'next');
}

/** A circle, until more stands on it than a circle holds. */
function halfWidth(inscription: string): number {
  return inscription.length > 2 ? Math.max(RADIUS, inscription.length * 3.2 + 4) : RADIUS;
}

function marble(label: string, inscription: string, { x, y }: Point): string[] {
  const hue = hueOf(label);
  const kind = isResult(label) ? 'result' : 'item';
  const small = inscription.length > 2;
  const half = halfWidth(inscription);
  const shape =
    half === RADIUS
      ? element('circle', { class: `${kind} h${hue}`, cx: x, cy: y, r: RADIUS })
      : element('rect', {
          class: `${kind} h${hue}`,
          x: x - half,
          y: y - RADIUS,
          width: 2 * half,
          height: 2 * RADIUS,
          rx: RADIUS,
        });
  const ink = `letter ${isResult(label) ? 'on' : `h${hue}`}${small ? ' small' : ''}`;
  return [shape, element('text', { class: ink, x, y: small ? y + 3.5 : y + 4 }, inscription)];
}

function arrowAt({ x, y }: Point): string {
  return element('path', { class: 'arrow', d: path`M ${x + 5} ${y} l -9 -4.5 v 9 Z` });
}

/** A bar, a cross, or a circle struck through. */
function endMark(kind: End['kind'], { x, y }: Point, half: number): string {
  if (kind === 'complete')
    return element('path', { class: 'stop', d: path`M ${x} ${y - half} V ${y + half}` });
  if (kind === 'error') {
    return element('path', { class: 'fail', d: path`M ${x - 6} ${y - 6} l 12 12 m 0 -12 l -12 12` });
  }
  const circle = path`M ${x - 5} ${y} a 5 5 0 1 0 10 0 a 5 5 0 1 0 -10 0`;
  return element('path', { class: 'leave', d: path`${circle} M ${x - 3.5} ${y + 3.5} l 7 -7` });
}
