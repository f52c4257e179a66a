import { batch, poolMap } from 'sluice';
import type { Marble } from 'sluice/testing';

const values = { x: ['a', 'b'], y: ['c'], z: ['d'], w: ['c', 'd'] };

export const batchMarbles: readonly Marble[] = [
  {
    title: 'a batch leaves when it is full, or when its time is up',
    picture: `
      source  ab-c---|
      output  -x----y|
    `,
    wiring: ({ source }) => source().pipe(batch({ maxItems: 2, maxWaitMs: 3 })),
    options: { values },
  },
  {
    title: 'the time starts with the first item of a batch; those that follow do not prolong it',
    picture: `
      source   ---c-d-----|
      output   -------w---|
      waiting  0--1-2-0
    `,
    wiring: ({ source }) => source().pipe(batch({ maxItems: 3, maxWaitMs: 4 })),
    options: { values },
  },
  {
    title: 'the end of the source sends the last batch, full or not',
    picture: `
      source  ab-c|
      output  -x--(y|)
    `,
    wiring: ({ source }) => source().pipe(batch({ maxItems: 2 })),
    options: { values },
  },
  {
    title: 'draining sends a partial batch at once',
    picture: `
      source  ab-c--!
      output  -x----(y|)
      drain   ------!
    `,
    wiring: ({ pulled }) => pulled().pipe(batch({ maxItems: 2, maxWaitMs: 20 })),
    options: { values },
  },
  {
    title: 'a batch leaves before an item that would make it too heavy',
    picture: `
      source  abc-d|
      output  --x-w|
    `,
    wiring: ({ source }) =>
      source().pipe(batch({ maxItems: 9, maxWeight: 5, weigh: (letter) => (letter === 'c' ? 3 : 2) })),
    options: { values },
  },
  {
    title:
      'while the stage below has no room, a batch goes on filling, up to maxItems, and leaves as soon as there is room',
    picture: `
      source         abcde|
      a              ----A|
      bcde                ---B|
      output         ----A---B|
      batch.waiting  012340
      batch.demand   1---01
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(batch({ maxItems: 4, maxWaitMs: 0 }), poolMap(work, { concurrency: 1 })),
  },
  {
    title: 'the source ends while the stage below has no room: the last batch waits for it',
    picture: `
      source   abc|
      a        ----A|
      bc            --B|
      output   ----A--B|
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(batch({ maxItems: 4, maxWaitMs: 0 }), poolMap(work, { concurrency: 1 })),
  },
  {
    title: 'an error from above comes after the last batch',
    picture: `
      source  ab-c#
      output  -x--(y#)
    `,
    wiring: ({ source }) => source().pipe(batch({ maxItems: 2 })),
    options: { values },
  },
  {
    title: 'unsubscribing hands back what is gathered',
    picture: `
      source  ab-c-!
      output  -x---!
    `,
    wiring: ({ source }) => source().pipe(batch({ maxItems: 2 })),
    options: { values },
  },
];
