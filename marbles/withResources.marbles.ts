import { poolMap, withResources, type ResourceScope } from 'sluice';
import type { Marble, Rows } from 'sluice/testing';

/** Opens `d` as its row says, and writes into the row `closed` when it is closed. */
const open =
  ({ promise, note }: Rows) =>
  async ({ use }: ResourceScope): Promise<unknown> =>
    use(await promise('d'), () => note('closed')('d'));

export const withResourcesMarbles: readonly Marble[] = [
  {
    title: 'opens first, then subscribes to the flow; closes when it completes',
    picture: `
      d       --(D|)
      source    ab-c|
      output  --ab-c|
      closed  ------d
    `,
    wiring: (rows) => withResources(open(rows), () => rows.source()),
  },
  {
    title: 'closes when the flow errors',
    picture: `
      d       --(D|)
      source    ab#
      output  --ab#
      closed  ----d
    `,
    wiring: (rows) => withResources(open(rows), () => rows.source()),
  },
  {
    title: 'closes when the flow is left',
    picture: `
      d       --(D|)
      source    ab-!
      output  --ab-!
      closed  -----d
    `,
    wiring: (rows) => withResources(open(rows), () => rows.source()),
  },
  {
    title: 'where opening fails there is no flow',
    picture: `
      d       --#
      output  --#
    `,
    wiring: (rows) => withResources(open(rows), () => rows.source()),
  },
  {
    title: 'draining: what is inside is finished before it closes',
    picture: `
      d       -(D|)
      source   ab!
      a        ---A|
      output  ----A|
      drain   ---!
      closed  -----d
    `,
    wiring: (rows) =>
      withResources(open(rows), () => rows.pulled().pipe(poolMap(rows.work, { concurrency: 1 }))),
  },
  {
    title: 'the last one that was opened is closed first',
    picture: `
      source  a|
      output  a|
      closed  -(ed)
    `,
    wiring: ({ source, note }) => {
      const close = note('closed');
      return withResources(
        ({ use }) => [use('d', close), use('e', close)],
        () => source(),
      );
    },
  },
];
