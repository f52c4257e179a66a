import type { Scale, Tear } from './scale.ts';
import { element, path } from './svg.ts';

const TOOTH = 6;

/** The time axis. `y` is its line, `names` where the names of the rows end. */
export function drawAxis({ width, ticks }: Scale, y: number, names: number): string[] {
  return [
    element('path', { class: 'tick', d: path`M 0 ${y} H ${width}` }),
    element('text', { class: 'small muted end', x: names, y: y + 16 }, 'ms'),
    ...ticks.flatMap(({ at, x }) => [
      element('path', { class: 'tick', d: path`M ${x} ${y} v 4` }),
      element('text', { class: 'small muted middle', x, y: y + 16 }, counted(at)),
    ]),
  ];
}

/** A strip torn out of the picture, through all rows, with the time that it stands for above it. */
export function drawTear({ x, width, ms }: Tear, height: number): string[] {
  const bottom = height + 10;
  const teeth = Array.from({ length: Math.ceil(bottom / TOOTH) + 2 }, (_, i) => i);
  const edge = (at: number, order: readonly number[]): string =>
    order.map((i) => path`${at + (i % 2 === 0 ? -2 : 2)} ${Math.min((i - 1) * TOOTH, bottom)}`).join(' L ');
  return [
    element('path', {
      class: 'gap',
      d: path`M ${edge(x, teeth)} L ${edge(x + width, teeth.toReversed())} Z`,
    }),
    element('path', { class: 'tear', d: path`M ${edge(x, teeth)} M ${edge(x + width, teeth)}` }),
    element('text', { class: 'small muted middle', x: x + width / 2, y: -TOOTH - 3 }, duration(ms)),
  ];
}

function duration(ms: number): string {
  if (ms % 60_000 === 0) return `${ms / 60_000} min`;
  return ms % 1_000 === 0 ? `${ms / 1_000} s` : `${counted(ms)} ms`;
}

const counted = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ',');
