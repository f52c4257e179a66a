import { map, pipe, take } from 'rxjs';
import { boundedQueue, broadcast, delays, poolMap, retryDelayed } from 'sluice';
import type { Marble } from 'sluice/testing';

const upper = map((letter: string) => letter.toUpperCase());

export const broadcastMarbles: readonly Marble[] = [
  {
    title: 'every item goes to both branches; all go at the pace of the slower one',
    picture: `
      source         abc|
      a              -(a|)
      b               -(b|)
      c                 -(c|)
      A              ---(A|)
      B                 ---(B|)
      C                    ---(C|)
      output         -abAc-B--(C|)
      source.pulled  12-3
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(
        broadcast([
          poolMap(work, { concurrency: 1, name: 'fast' }),
          pipe(upper, poolMap(work, { concurrency: 1, name: 'slow' })),
        ]),
      ),
  },
  {
    title: 'with a queue at its head, the slower branch may fall behind',
    picture: `
      source         abc|
      a              -(a|)
      b               -(b|)
      c                -(c|)
      A              -----(A|)
      B                   -----(B|)
      C                        -----(C|)
      output         -abc-A----B----(C|)
      source.pulled  123
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(
        broadcast([
          poolMap(work, { concurrency: 1 }),
          pipe(upper, boundedQueue({ capacity: 2 }), poolMap(work, { concurrency: 1, name: 'slow' })),
        ]),
      ),
  },
  {
    title: 'a branch that completes early is not waited for',
    picture: `
      source         abc---|
      A              --(A!)
      output         ab(Ac)|
      source.pulled  123
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(
        broadcast([map((letter) => letter), pipe(upper, poolMap(work, { concurrency: 1 }), take(1))]),
      ),
  },
  {
    title: 'when the last branch has completed, the source is left',
    picture: `
      source  a---b(c!)
      output  (aA)b(c|)
    `,
    wiring: ({ source }) => source().pipe(broadcast([take(3), pipe(upper, take(1))])),
  },
  {
    title: 'a branch that fails ends the flow; the other one finishes what it holds',
    picture: `
      source  a!
      a       ----(a|)
      A       -#
      output  ----(a#)
    `,
    wiring: ({ source, work }) =>
      source().pipe(
        broadcast([poolMap(work, { concurrency: 3 }), pipe(upper, poolMap(work, { concurrency: 3 }))]),
      ),
  },
  {
    title: 'a branch that subscribes again goes on where it was, and the others wait for it',
    picture: `
      source         abc|
      A              -#
      B                 -(B|)
      C                  -(C|)
      output         ab-cB(C|)
      source.pulled  12-3
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(
        broadcast([
          map((letter) => letter),
          pipe(upper, poolMap(work, { concurrency: 1 }), retryDelayed(delays([2]))),
        ]),
      ),
  },
  {
    title: 'an error from above comes after what the branches hold',
    picture: `
      source  a#
      a       --(a|)
      A       ----(A|)
      output  --a-(A#)
    `,
    wiring: ({ source, work }) =>
      source().pipe(
        broadcast([poolMap(work, { concurrency: 1 }), pipe(upper, poolMap(work, { concurrency: 1 }))]),
      ),
  },
  {
    title: 'draining: each branch finishes what it holds',
    picture: `
      source  abc!
      a       ---(a|)
      b          ---(b|)
      A       ----(A|)
      B           ----(B|)
      output  ---aA-b-(B|)
      drain   ---!
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(
        broadcast([poolMap(work, { concurrency: 1 }), pipe(upper, poolMap(work, { concurrency: 1 }))]),
      ),
  },
  {
    title: 'unsubscribing leaves every branch',
    picture: `
      source  ab-!
      a       ---!
      A       ---!
      output  ---!
    `,
    wiring: ({ source, work }) =>
      source().pipe(
        broadcast([poolMap(work, { concurrency: 1 }), pipe(upper, poolMap(work, { concurrency: 1 }))]),
      ),
  },
];
