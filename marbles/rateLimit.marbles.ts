import { fromPush, poolMap, rateLimit } from 'sluice';
import type { Marble } from 'sluice/testing';

export const rateLimitMarbles: readonly Marble[] = [
  {
    title: 'one item every three milliseconds; the source waits meanwhile',
    picture: `
      source         abcd|
      output         a--b--c--(d|)
      source.pulled  12-3--4
    `,
    wiring: ({ pulled }) => pulled().pipe(rateLimit({ limit: 1, perMs: 3 })),
  },
  {
    title: 'burst: after a pause, so many may leave at once',
    picture: `
      source   abc--------def|
      output   ab-c-------de-(f|)
      waiting  0-10---------10
    `,
    wiring: ({ source }) => source().pipe(rateLimit({ limit: 1, perMs: 3, burst: 2 })),
  },
  {
    title: 'by: each key has its own limit, and does not wait for others while there is room',
    picture: `
      source   aAbB|
      output   a-b-A-(B|)
      waiting  01-21-0
    `,
    wiring: ({ pulled }) =>
      pulled().pipe(rateLimit({ limit: 1, perMs: 4, by: (letter) => letter.toLowerCase(), maxWaiting: 2 })),
  },
  {
    title: 'the token is taken when an item leaves, not when it begins to wait for the stage below',
    picture: `
      source             abc|
      a                  -----A|
      b                        -B|
      c                          -C|
      output             -----A-B-C|
      rateLimit.waiting  01------0
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(rateLimit({ limit: 1, perMs: 2 }), poolMap(work, { concurrency: 1 })),
  },
  {
    title: 'over a source that cannot wait, the line grows',
    picture: `
      source   abcd|
      output   a--b--c--(d|)
      waiting  012---1--0
    `,
    wiring: ({ source }) => fromPush(source()).pipe(rateLimit({ limit: 1, perMs: 3 })),
  },
  {
    title: 'an error from above comes after what waits',
    picture: `
      source  ab#
      output  a--(b#)
    `,
    wiring: ({ source }) => source().pipe(rateLimit({ limit: 1, perMs: 3 })),
  },
  {
    title: 'draining keeps to the limit',
    picture: `
      source  abc!
      output  a---b---(c|)
      drain   ---!
    `,
    wiring: ({ pulled }) => pulled().pipe(rateLimit({ limit: 1, perMs: 4, maxWaiting: 2 })),
  },
  {
    title: 'unsubscribing forgets what waits',
    picture: `
      source  ab-!
      output  a--!
    `,
    wiring: ({ source }) => source().pipe(rateLimit({ limit: 1, perMs: 9 })),
  },
];
