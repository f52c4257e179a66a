import type { Row, StreamRow } from '../../src/testing/picture.ts';
import { drawLane, laneHeight } from './lanes.ts';
import type { Scale } from './scale.ts';
import { drawHangs, drawStream, streamHeight, type Placed } from './streams.ts';
import { element, path } from './svg.ts';

/** Rows under one another: `y` is the upper edge of each. */
export interface Stack {
  readonly rows: readonly (Placed<Row> & { readonly height: number })[];
  readonly height: number;
}

export interface Surroundings {
  /** Where the names end. */
  readonly names: number;
  /** What lies behind the output, from edge to edge. */
  readonly band: { readonly x: number; readonly width: number };
  /** The id of the pattern that shades closed demand. */
  readonly hatch: string;
  /** What is written on marbles, where it is not their letter. */
  readonly inscriptions: Readonly<Record<string, string>>;
}

/** Rows as they were drawn, from top to bottom, with more air where their kind changes. */
export function stackOf(rows: readonly Row[]): Stack {
  const placed: (Placed<Row> & { height: number })[] = [];
  let y = 0;
  rows.forEach((row, i) => {
    const before = rows[i - 1];
    if (before !== undefined) y += gap(before, row);
    const height = row.kind === 'stream' ? streamHeight(row) : laneHeight(row);
    placed.push({ row, y, height });
    y += height;
  });
  return { rows: placed, height: y };
}

export function drawRows(
  { rows, height }: Stack,
  scale: Scale,
  { names, band, hatch, inscriptions }: Surroundings,
): string[] {
  const streams = rows.flatMap(({ row, y, height: tall }): Placed<StreamRow>[] =>
    row.kind === 'stream' ? [{ row, y: y + tall / 2 }] : [],
  );
  return [
    ...rows
      .filter(({ row }) => isOutput(row))
      .map(({ y, height: tall }) => element('rect', { class: 'band', ...band, y, height: tall, rx: 6 })),
    ...scale.ticks.map(({ x }) => element('path', { class: 'grid', d: path`M ${x} 0 V ${height + 6}` })),
    ...drawHangs(streams, scale),
    ...rows.map(({ row, y, height: tall }) =>
      element('text', { class: `${row.kind} end`, x: names, y: y + tall / 2 + 4 }, row.name),
    ),
    ...streams.flatMap((placed) => drawStream(placed, scale, inscriptions)),
    ...rows.flatMap(({ row, y }) => (row.kind === 'lane' ? drawLane({ row, y }, scale, hatch) : [])),
  ];
}

const isOutput = (row: Row): boolean => row.name === 'output';

function gap(before: Row, row: Row): number {
  if (before.kind !== row.kind) return 12;
  if (row.kind === 'lane') return 9;
  return isOutput(row) || isOutput(before) ? 6 : 0;
}
