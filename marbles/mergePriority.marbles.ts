import { boundedQueue, fromPush, mergePriority, poolMap } from 'sluice';
import type { Marble } from 'sluice/testing';

export const mergePriorityMarbles: readonly Marble[] = [
  {
    title: 'where both have an item, the first source goes first',
    picture: `
      high        --AB---------|
      low         abc----------|
      a           ---(a|)
      A              ---(A|)
      B                 --(B|)
      b                   --(b|)
      c                     -(c|)
      output      ---a--A-B-bc-|
      low.pulled  12------3
    `,
    wiring: ({ pulled, work }) =>
      mergePriority(pulled('high'), pulled('low')).pipe(poolMap(work, { concurrency: 1 })),
  },
  {
    title: 'while there is room below, nobody waits',
    picture: `
      high    -A-B|
      low     a-b|
      output  aAbB|
    `,
    wiring: ({ pulled }) => mergePriority(pulled('high'), pulled('low')),
  },
  {
    title: 'sources that push: the line of each grows',
    picture: `
      high                     --A|
      low                      abc|
      a                        ---(a|)
      A                           -(A|)
      b                            -(b|)
      c                             -(c|)
      output                   ---aAb(c|)
      mergePriority-2.waiting  012-10
    `,
    wiring: ({ source, work }) =>
      mergePriority(fromPush(source('high')), fromPush(source('low'))).pipe(
        poolMap(work, { concurrency: 1 }),
      ),
  },
  {
    title: 'an error comes after what is held; the other source is left',
    picture: `
      high    --#
      low     ab!
      a       ---(a|)
      b          -(b|)
      output  ---a(b#)
    `,
    wiring: ({ source, work }) =>
      mergePriority(source('high'), source('low')).pipe(poolMap(work, { concurrency: 1 })),
  },
  {
    title: 'draining: what is held is delivered',
    picture: `
      high    -A!
      low     ab!
      a       ---(a|)
      A          -(A|)
      b           -(b|)
      output  ---aA(b|)
      drain   --!
    `,
    wiring: ({ pulled, work }) =>
      mergePriority(pulled('high'), pulled('low')).pipe(poolMap(work, { concurrency: 1 })),
  },
  {
    title: 'unsubscribing leaves both',
    picture: `
      high    --A!
      low     ab-!
      output  abA!
    `,
    wiring: ({ source }) => mergePriority(source('high'), source('low')).pipe(boundedQueue({ capacity: 9 })),
  },
];
