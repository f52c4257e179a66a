import { batch, boundedQueue, poolMap } from 'sluice';
import type { Marble, Wiring } from 'sluice/testing';

const flow: Wiring = ({ pulled, work }) =>
  pulled().pipe(boundedQueue({ capacity: 1 }), poolMap(work, { concurrency: 2, name: 'fetch' }));

export const runFlowMarbles: readonly Marble[] = [
  {
    title: 'drain: takes in no more, and finishes what is inside',
    picture: `
      source  abc!
      a       ----A|
      b        -----B|
      c            --C|
      output  ----A-BC|
      drain   ---!
    `,
    wiring: flow,
  },
  {
    title: 'abort: stops now, and hands back what is inside',
    picture: `
      source  abc!
      a       -A-!
      b        --!
      output  -A-!
      abort   ---!
    `,
    wiring: flow,
  },
  {
    title: 'a drain that takes longer than drainTimeoutMs becomes an abort',
    picture: `
      source  ab-!
      a       --A|
      b        ------!
      output  --A----!
      drain   ---!
    `,
    wiring: flow,
    options: { run: { drainTimeoutMs: 4 } },
  },
  {
    title: 'draining sends a partial batch at once',
    picture: `
      source  ab---!
      output  -----(x|)
      drain   -----!
    `,
    wiring: ({ pulled }) => pulled().pipe(batch({ maxItems: 5, maxWaitMs: 100 })),
    options: { values: { x: ['a', 'b'] } },
  },
  {
    title: 'an error: stages below finish what they hold',
    picture: `
      source  ab-!
      a       -A|
      b        --#
      A        ---1|
      output  ----1#
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(poolMap(work, { concurrency: 2 }), poolMap(work, { concurrency: 2, name: 'save' })),
  },
  {
    title: "with onError: 'abort', an error stops everything at once",
    picture: `
      source  ab-!
      a       -A|
      b        --#
      A        --!
      output  ---!
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(poolMap(work, { concurrency: 2 }), poolMap(work, { concurrency: 2, name: 'save' })),
    options: { run: { onError: 'abort' } },
  },
];
