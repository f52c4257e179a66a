import { boundedQueue, fromPush, poolMap } from 'sluice';
import type { Marble } from 'sluice/testing';

export const boundedQueueMarbles: readonly Marble[] = [
  {
    title: 'values wait in the queue until the stage below has room',
    picture: `
      source         abcd|
      a              --A|
      b                 --B|
      c                    --C|
      d                       --D|
      output         --A--B--C--D|
      queue.waiting  012---1--0
    `,
    wiring: ({ source, work }) =>
      source().pipe(boundedQueue({ capacity: 4, name: 'queue' }), poolMap(work, { concurrency: 1 })),
  },
  {
    title: 'a full queue pauses a source that waits, and resumes it when an item has left',
    picture: `
      source         abcd|
      a              ----A|
      b                   --B|
      c                      --C|
      d                         --D|
      output         ----A--B--C--D|
      raw.waiting    012-----1--0
      raw.demand     1-0-----1
      source.pulled  123--4
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(boundedQueue({ capacity: 2, name: 'raw' }), poolMap(work, { concurrency: 1 })),
  },
  {
    title: 'over a source that cannot wait, a value too many ends the flow; what was accepted is finished',
    picture: `
      source  abc(d!)
      a       ------A|
      b              -B|
      c                -C|
      output  ------A-B-C#
    `,
    wiring: ({ source, work }) =>
      fromPush(source()).pipe(boundedQueue({ capacity: 2 }), poolMap(work, { concurrency: 1 })),
    options: { errors: { output: 'QUEUE_OVERFLOW' } },
  },
  {
    title: "overflow 'dropOldest': the item that has waited longest makes room, and is told of",
    picture: `
      source       abcd|
      a            ------A|
      c                   -C|
      d                     -D|
      output       ------A-C-D|
      dropped      ---b
      raw.dropped  0--1
    `,
    wiring: ({ source, work, note }) => {
      const dropped = note('dropped');
      return fromPush(source()).pipe(
        boundedQueue({
          capacity: 2,
          overflow: 'dropOldest',
          onDrop: ({ value }) => dropped(value),
          name: 'raw',
        }),
        poolMap(work, { concurrency: 1 }),
      );
    },
  },
  {
    title: "overflow 'dropNewest': the item that comes is dropped, and told of",
    picture: `
      source       abcd|
      a            ------A|
      b                   -B|
      c                     -C|
      output       ------A-B-C|
      dropped      ---d
      raw.dropped  0--1
    `,
    wiring: ({ source, work, note }) => {
      const dropped = note('dropped');
      return fromPush(source()).pipe(
        boundedQueue({
          capacity: 2,
          overflow: 'dropNewest',
          onDrop: ({ value }) => dropped(value),
          name: 'raw',
        }),
        poolMap(work, { concurrency: 1 }),
      );
    },
  },
  {
    title: 'an error from above comes after all that is in the queue',
    picture: `
      source  abc#
      a       ---A|
      b           -B|
      c             -C|
      output  ---A-B-C#
    `,
    wiring: ({ source, work }) =>
      source().pipe(boundedQueue({ capacity: 2 }), poolMap(work, { concurrency: 1 })),
  },
  {
    title: 'draining empties the queue',
    picture: `
      source  abcdef!
      a       ---A|
      b           ---B|
      c               ---C|
      d                   ---D|
      output  ---A---B---C---D|
      drain   ------!
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(boundedQueue({ capacity: 2 }), poolMap(work, { concurrency: 1 })),
  },
  {
    title: 'unsubscribing forgets what is in the queue',
    picture: `
      source  abc-!
      a       ----!
      output  ----!
    `,
    wiring: ({ source, work }) =>
      source().pipe(boundedQueue({ capacity: 2 }), poolMap(work, { concurrency: 1 })),
  },
];
