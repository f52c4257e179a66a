import type { LaneRow } from '../../src/testing/picture.ts';
import { element, path } from './svg.ts';
import type { Placed } from './streams.ts';
import type { Scale } from './scale.ts';

const BAR = 7;
const GAP = 3;
/** More slots than these are an area with numbers. */
const MOST_BARS = 6;
/** Room for the numbers above an area. */
const NUMBERS = 13;
const MARK = 6;

interface Span {
  readonly from: number;
  readonly to: number;
  readonly value: number;
}

interface Gauge {
  height(row: LaneRow): number;
  draw(placed: Placed<LaneRow>, scale: Scale, hatch: string): string[];
}

/** `y` of a lane is its upper edge. */
export const laneHeight = (row: LaneRow): number => gaugeOf(row).height(row);

/** @param hatch The id of the pattern that shades closed demand. */
export const drawLane = (placed: Placed<LaneRow>, scale: Scale, hatch: string): string[] =>
  gaugeOf(placed.row).draw(placed, scale, hatch);

/** One bar per slot in use. */
const bars: Gauge = {
  height: (row) => Math.max(1, highest(row)) * (BAR + GAP) - GAP,
  draw({ row, y }, scale) {
    const slots = Math.max(1, highest(row));
    return Array.from({ length: slots }, (_, slot) => slot).flatMap((slot) => {
      const top = y + (slots - 1 - slot) * (BAR + GAP);
      const middle = top + BAR / 2;
      return [
        element('path', { class: 'track', d: path`M 0 ${middle} H ${scale.width}` }),
        ...joined(spansOf(row, scale).filter(({ value }) => value > slot)).map(({ from, to }) =>
          element('rect', { class: 'bar', x: from, y: top, width: to - from, height: BAR, rx: BAR / 2 }),
        ),
      ];
    });
  },
};

/** A filled area with steps, and its value where it changes. */
const area: Gauge = {
  height: (row) => NUMBERS + Math.min(32, Math.max(1, highest(row)) * 9),
  draw({ row, y }, scale) {
    const base = y + area.height(row);
    const unit = (base - y - NUMBERS) / Math.max(1, highest(row));
    const spans = spansOf(row, scale);
    const steps = spans
      .map(({ from, to, value }) => path`${from} ${base - value * unit} H ${to}`)
      .join(' L ');
    const fill = path`M ${spans[0]?.from ?? 0} ${base} L ${steps} V ${base} Z`;
    return [
      element('path', { class: 'area', d: fill }),
      element('path', { class: 'edge', d: path`M ${steps}` }),
      ...spans.map(({ from, value }) =>
        element(
          'text',
          { class: `small ${value === 0 ? 'muted' : 'count'}`, x: from + 4, y: base - value * unit - 4 },
          String(value),
        ),
      ),
    ];
  },
};

/** A strip: tinted while open, hatched while closed. */
const gate: Gauge = {
  height: () => 14,
  draw({ row, y }, scale, hatch) {
    const spans = joined(spansOf(row, scale), (a, b) => a.value > 0 === b.value > 0);
    return spans.flatMap((span) => {
      const box = { x: span.from, y, width: span.to - span.from, height: 14, rx: 3 };
      const [word, ink] = span.value > 0 ? ['open', 'count'] : ['closed', 'muted'];
      const { from, to } = widestPiece(span, scale);
      const label = { class: `small middle ${ink}`, x: (from + to) / 2, y: y + 10.5 };
      return [
        element('rect', { class: word, ...box }),
        ...(span.value > 0 ? [] : [element('rect', { fill: `url(#${hatch})`, ...box })]),
        ...(to - from >= word.length * 7 + 8 ? [element('text', label, word)] : []),
      ];
    });
  },
};

/** A counter: a mark in each column where it rises, and by how much if by more than one. */
const counter = (mark: (x: number, y: number) => string): Gauge => ({
  height: () => 2 * MARK + 4,
  draw({ row, y }, scale) {
    const middle = y + MARK + 2;
    return [
      element('path', { class: 'track', d: path`M 0 ${middle} H ${scale.width}` }),
      ...row.changes.flatMap(({ at, value }, i) => {
        const rise = value - (row.changes[i - 1]?.value ?? 0);
        if (rise <= 0) return [];
        const x = scale.x(at);
        const times = element('text', { class: 'small count', x: x + MARK + 3, y: middle + 3.5 }, `×${rise}`);
        return [mark(x, middle), ...(rise > 1 ? [times] : [])];
      }),
    ];
  },
});

/** An arrow that goes round: tried again. */
const round = (x: number, y: number): string => {
  const outer = path`M ${x + 5} ${y} A 5 5 0 1 1 ${x + 1.5} ${y - 4.8} l 0.5 -2.2 l 4 4 l -5.5 2 l 0.5 -1.7`;
  return element('path', { class: 'mark', d: path`${outer} A 2.8 2.8 0 1 0 ${x + 2.8} ${y} Z` });
};

/** A triangle that points down: let go. */
const down = (x: number, y: number): string =>
  element('path', { class: 'mark', d: path`M ${x - 6} ${y - 5} h 12 l -6 11 Z` });

/** A triangle that points up: asked for. */
const up = (x: number, y: number): string =>
  element('path', { class: 'mark', d: path`M ${x - 5} ${y + 4} h 10 l -5 -9 Z` });

/** A square with a cross cut out of it: failed for good. */
const cross = (x: number, y: number): string => {
  const arms =
    'l 2.5 2.5 l -2.5 2.5 l 1.5 1.5 l 2.5 -2.5 l 2.5 2.5 l 1.5 -1.5 l -2.5 -2.5 l 2.5 -2.5 l -1.5 -1.5';
  const square = path`M ${x - 6} ${y - 6} h 12 v 12 h -12 Z`;
  const d = path`${square} M ${x - 4} ${y - 2.5} ${arms} l -2.5 2.5 l -2.5 -2.5 Z`;
  return element('path', { class: 'bad', 'fill-rule': 'evenodd', d });
};

const gauges: Readonly<Record<string, Gauge>> = {
  active: bars,
  demand: gate,
  retried: counter(round),
  dropped: counter(down),
  rejected: counter(down),
  pulled: counter(up),
  dead: counter(cross),
};

function gaugeOf(row: LaneRow): Gauge {
  const gauge = gauges[row.name.slice(row.name.lastIndexOf('.') + 1)] ?? area;
  return gauge === bars && highest(row) > MOST_BARS ? area : gauge;
}

const highest = (row: LaneRow): number => Math.max(0, ...row.changes.map(({ value }) => value));

function spansOf(row: LaneRow, scale: Scale): Span[] {
  return row.changes.map(({ at, value }, i) => {
    const next = row.changes[i + 1];
    return { from: scale.x(at), to: next === undefined ? scale.width : scale.x(next.at), value };
  });
}

/** Neighbours that touch, made one. */
function joined(spans: readonly Span[], alike: (a: Span, b: Span) => boolean = () => true): Span[] {
  return spans.reduce<Span[]>((all, span) => {
    const last = all.at(-1);
    if (last === undefined || last.to !== span.from || !alike(last, span)) return [...all, span];
    return [...all.slice(0, -1), { ...last, to: span.to }];
  }, []);
}

/** Of what the tears leave of a span, the widest. */
function widestPiece(span: Span, { tears }: Scale): Omit<Span, 'value'> {
  const inside = tears.filter(({ x }) => x > span.from && x < span.to);
  const starts = [span.from, ...inside.map(({ x, width }) => x + width)];
  const pieces = starts.map((from, i) => ({ from, to: inside[i]?.x ?? span.to }));
  return pieces.reduce((best, piece) => (piece.to - piece.from > best.to - best.from ? piece : best));
}
