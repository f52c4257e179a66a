import type { Picture } from '../../src/testing/picture.ts';

/** Pixels per column. */
export const PITCH = 30;
/** Pixels that a skip takes, however long it is, and the torn part in its middle. */
const SKIP = 72;
const TORN = 36;

/** A skip, torn out of the picture. */
export interface Tear {
  readonly x: number;
  readonly width: number;
  readonly ms: number;
}

/** Where each millisecond is drawn, in pixels from the first column: to scale, but for the skips. */
export interface Scale {
  readonly width: number;
  readonly tears: readonly Tear[];
  readonly ticks: readonly { readonly at: number; readonly x: number }[];
  x(at: number): number;
}

export function scaleOf(picture: Picture): Scale {
  const skips = picture.skips ?? [];
  const end = lastOf(picture) + 1;

  const x = (at: number): number => {
    let pixels = at * PITCH;
    for (const skip of skips) {
      const within = Math.min(Math.max(0, at - skip.at), skip.ms);
      pixels += within * (SKIP / skip.ms - PITCH);
    }
    return pixels;
  };

  const step = x(end) <= 14 * PITCH ? 2 : 5;
  // After a skip the ticks start anew, where things happen again.
  const stretches = [0, ...skips.map(({ at, ms }) => at + ms)].map((from, i) => ({
    from,
    to: Math.min(skips[i]?.at ?? end, end) - 1,
  }));
  const ticks = stretches.flatMap(({ from, to }) =>
    Array.from({ length: Math.max(0, Math.floor((to - from) / step) + 1) }, (_, i) => from + i * step),
  );
  return {
    width: x(end),
    tears: skips.map(({ at, ms }) => ({ x: x(at) + (SKIP - TORN) / 2, width: TORN, ms })),
    ticks: ticks.map((at) => ({ at, x: x(at) })),
    x,
  };
}

/** The last millisecond in which something happens. */
function lastOf({ rows }: Picture): number {
  const all = rows.map((row) =>
    row.kind === 'lane' ? row.changes.map(({ at }) => at) : [row.from, ...row.marks.map(({ at }) => at)],
  );
  return Math.max(0, ...all.flat());
}
