import { tap, timer } from 'rxjs';
import { boundedQueue, Concurrency, delays, fromPush, poolMap, withRetry } from 'sluice';
import type { Marble } from 'sluice/testing';

export const poolMapMarbles: readonly Marble[] = [
  {
    title: 'a third value waits until a worker is free; the pool is full meanwhile',
    picture: `
      source   ab-c|
      a        ----A|
      b         ------B|
      c             ---C|
      output   ----A--BC|
      active   12------10
      waiting  0--1-0
      demand   1--0-1
    `,
    wiring: ({ source, work }) => source().pipe(poolMap(work, { concurrency: 2, maxWaiting: 1 })),
  },
  {
    title: 'three workers, seven items: once the queue of 2 is full, the source waits for a worker',
    picture: `
      source         abcdefg|
      a              -------A|
      b               -------B|
      c                -------C|
      d                      ---D|
      e                       ---E|
      f                        ---F|
      g                          ---G|
      output         -------ABC-DEF-G|
      raw.waiting    0--12-----1-0
      raw.demand     1---0-----1
      fetch.active   123----------21-0
      source.pulled  12345---67
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(
        boundedQueue({ capacity: 2, name: 'raw' }),
        poolMap(work, { concurrency: 3, name: 'fetch' }),
      ),
  },
  {
    title: 'the value that has waited longest goes first',
    picture: `
      source   abcd|
      a        --A|
      b           --B|
      c              --C|
      d                 --D|
      output   --A--B--C--D|
      waiting  012---1--0
    `,
    wiring: ({ source, work }) => source().pipe(poolMap(work, { concurrency: 1, maxWaiting: 3 })),
  },
  {
    title: 'ordered: results leave in the order of the items, and wait for a slow first one',
    picture: `
      source   abc|
      a        ------A|
      b         -B|
      c          -C|
      output   ------A(BC|)
      active   12321--0
      demand   1-0----1
    `,
    wiring: ({ pulled, work }) => pulled().pipe(poolMap(work, { concurrency: 3, ordered: true })),
  },
  {
    title: 'by: one item of a key at a time, in order, also across a retry; other keys go on',
    picture: `
      source   abc|
      a        -#
      a           -A|
      b         -B|
      c             -C|
      output   --B-A-C|
    `,
    wiring: ({ source, work }) =>
      source().pipe(
        poolMap(withRetry(work, delays([2])), {
          concurrency: 3,
          by: (letter) => (letter === 'b' ? 'one' : 'other'),
        }),
      ),
  },
  {
    title: 'work that fails ends the flow, and aborts the other work',
    picture: `
      source   ab---!
      a        -A---!
      b         ----#
      output   -A---#
    `,
    wiring: ({ source, work }) => source().pipe(poolMap(work, { concurrency: 2 })),
  },
  {
    title: 'with onFailure, an item that failed is a dead letter, and the flow goes on',
    picture: `
      source      abc|
      a           -A|
      b            -#
      c             -C|
      output      -A-C|
      dead        --b
      fetch.dead  0-1
    `,
    wiring: ({ pulled, work, note }) => {
      const dead = note('dead');
      return pulled().pipe(
        poolMap(work, { concurrency: 2, onFailure: ({ value }) => dead(value), name: 'fetch' }),
      );
    },
  },
  {
    title: 'an error from above: what is inside is finished first',
    picture: `
      source   abc#
      a        ---A|
      b         ---B|
      c            ---C|
      output   ---AB--C#
    `,
    wiring: ({ source, work }) => source().pipe(poolMap(work, { concurrency: 2, maxWaiting: 1 })),
  },
  {
    title: 'while its dead letter is written, an item keeps its slot',
    picture: `
      source      ab|
      a           -#
      letter       ---(x|)
      b               -B|
      output      -----B|
      active      1-----0
      waiting     01--0
      fetch.dead  0---1
    `,
    wiring: ({ source, work, promise }) =>
      source().pipe(
        poolMap(work, { concurrency: 1, maxWaiting: 1, onFailure: () => promise('letter'), name: 'fetch' }),
      ),
  },
  {
    title: 'unsubscribing aborts the work, and forgets the line',
    picture: `
      source   abc-!
      a        ----!
      b         ---!
      output   ----!
    `,
    wiring: ({ source, work }) => source().pipe(poolMap(work, { concurrency: 2, maxWaiting: 1 })),
  },
  {
    title: 'over a source that cannot wait, the line grows',
    picture: `
      source   abcd|
      a        ----A|
      b             --B|
      c                --C|
      d                   --D|
      output   ----A--B--C--D|
      waiting  0123-2--1--0
      demand   0-------------1
    `,
    wiring: ({ source, work }) => fromPush(source()).pipe(poolMap(work, { concurrency: 1 })),
  },
  {
    title: 'a Concurrency that is raised: what waits starts at once',
    picture: `
      source   abc|
      a        -----A|
      b            --B|
      c            ---C|
      output   -----ABC|
      active   1---3-210
      waiting  012-0
    `,
    wiring: ({ source, work }) => {
      const workers = new Concurrency(1);
      timer(4).subscribe(() => {
        workers.set(3);
      });
      return source().pipe(poolMap(work, { concurrency: workers, maxWaiting: 2 }));
    },
  },
  {
    title: 'a Concurrency that is lowered: running work is finished, and less is started',
    picture: `
      source   abcd|
      a        -----A|
      b         ---B|
      c          ----C|
      d               --D|
      output   ----BAC--D|
      active   123--21---0
      waiting  0--1---0
    `,
    wiring: ({ source, work }) => {
      const workers = new Concurrency(3);
      return source().pipe(
        tap((letter) => {
          if (letter === 'd') workers.set(1);
        }),
        poolMap(work, { concurrency: workers, maxWaiting: 3 }),
      );
    },
  },
];
