import { delays, storeTo } from 'sluice';
import type { Marble } from 'sluice/testing';

export const storeToMarbles: readonly Marble[] = [
  {
    title: 'stores in batches, and emits each item, singly, when the sink has confirmed it',
    picture: `
      source  ab-c|
      ab       --|
      c           ---|
      output  ---(ab)(c|)
    `,
    wiring: ({ source, promise }) =>
      source().pipe(storeTo(promise<undefined>, { maxItems: 2, maxWaitMs: 2 })),
  },
  {
    title: 'a batch that is not full leaves when its time is up',
    picture: `
      source  a--------|
      a          --|
      output  -----a---|
    `,
    wiring: ({ source, promise }) =>
      source().pipe(storeTo(promise<undefined>, { maxItems: 2, maxWaitMs: 3 })),
  },
  {
    title: 'while a batch is being stored the next one fills; then the source waits',
    picture: `
      source         abcdef|
      ab              ----|
      cd                  ----|
      ef                      ----|
      output         -----(ab)(cd)(ef|)
      source.pulled  1234-6
    `,
    wiring: ({ pulled, promise }) => pulled().pipe(storeTo(promise<undefined>, { maxItems: 2 })),
  },
  {
    title: 'a batch that fails is tried again, as the policy says',
    picture: `
      source         ab|
      ab              -#
      ab                 -|
      output         -----(ab|)
      store.retried  0---2
    `,
    wiring: ({ source, promise }) =>
      source().pipe(storeTo(promise<undefined>, { maxItems: 2, retry: delays([2]), name: 'store' })),
  },
  {
    title: 'a batch with bad data is cut in halves, until the bad item is alone: a dead letter',
    picture: `
      source      abcd|
      abcd           -#
      ab              -|
      cd               -#
      c                 ---|
      d                    -#
      output      -----(ab)c|
      dead        ----------d
      store.dead  0---------1
    `,
    wiring: ({ source, promise, note }) => {
      const dead = note('dead');
      const sink = {
        store: (items: readonly string[]) => promise<undefined>(items),
        classify: () => 'data' as const,
      };
      return source().pipe(
        storeTo(sink, { maxItems: 4, onFailure: ({ value }) => dead(value), name: 'store' }),
      );
    },
  },
  {
    title: 'a sink that fails for good ends the flow',
    picture: `
      source  ab-!
      ab       --#
      output  ---#
    `,
    wiring: ({ source, promise }) => source().pipe(storeTo(promise<undefined>, { maxItems: 2 })),
  },
  {
    title: 'draining stores what is gathered at once',
    picture: `
      source  abc-!
      ab       -|
      c           --|
      output  --(ab)(c|)
      drain   ----!
    `,
    wiring: ({ pulled, promise }) =>
      pulled().pipe(storeTo(promise<undefined>, { maxItems: 2, maxWaitMs: 50 })),
  },
];
