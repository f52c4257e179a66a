import { pipe, take } from 'rxjs';
import { boundedQueue, poolMap, route } from 'sluice';
import type { Marble } from 'sluice/testing';

const bySize = (letter: string): 'small' | 'large' => (letter === letter.toLowerCase() ? 'small' : 'large');

export const routeMarbles: readonly Marble[] = [
  {
    title: 'each item goes to the branch that it is for; one that has to wait is overtaken',
    picture: `
      source         abCd|
      a              ---(a|)
      b                 --(b|)
      C                --(C|)
      d                   --(d|)
      output         ---aCb-(d|)
      route.waiting  01---0
    `,
    wiring: ({ source, work }) =>
      source().pipe(
        route(bySize, {
          branches: {
            small: poolMap(work, { concurrency: 1, name: 'small' }),
            large: poolMap(work, { concurrency: 1, name: 'large' }),
          },
        }),
      ),
  },
  {
    title: 'when maxWaiting items wait for their branch, the source waits, too',
    picture: `
      source         abC------|
      a              ---(a|)
      b                 --(b|)
      C                 ---(C|)
      output         ---a-bC--|
      source.pulled  12-3
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(
        route(bySize, {
          branches: {
            small: poolMap(work, { concurrency: 1, name: 'small' }),
            large: poolMap(work, { concurrency: 1, name: 'large' }),
          },
          maxWaiting: 1,
        }),
      ),
  },
  {
    title: 'with a queue at its head, a branch may fall behind by so much',
    picture: `
      source         abcD|
      a              ---(a|)
      b                 -(b|)
      c                  -(c|)
      D                 ---(D|)
      output         ---abc(D|)
      source.pulled  1234
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(
        route(bySize, {
          branches: {
            small: pipe(boundedQueue({ capacity: 2 }), poolMap(work, { concurrency: 1, name: 'small' })),
            large: poolMap(work, { concurrency: 1, name: 'large' }),
          },
          maxWaiting: 1,
        }),
      ),
  },
  {
    title: 'what no branch is for goes to rejected',
    picture: `
      source          a?B|
      output          a-B|
      rejected        -?
      route.rejected  01
      source.pulled   123
    `,
    wiring: ({ pulled, note }) =>
      pulled().pipe(
        route((letter: string) => (letter === '?' ? undefined : bySize(letter)), {
          branches: { small: boundedQueue({ capacity: 1 }), large: boundedQueue({ capacity: 1 }) },
          rejected: note('rejected'),
          maxWaiting: 1,
        }),
      ),
  },
  {
    title: 'so does what comes, or waits, for a branch that has completed',
    picture: `
      source    abB-c|
      a         ---(a!)
      output    --Ba-|
      rejected  ---bc
    `,
    wiring: ({ source, work, note }) =>
      source().pipe(
        route(bySize, {
          branches: {
            small: pipe(poolMap(work, { concurrency: 1, name: 'small' }), take(1)),
            large: boundedQueue({ capacity: 1 }),
          },
          rejected: note('rejected'),
        }),
      ),
  },
  {
    title: 'a branch that fails ends the flow; the other one finishes what it holds',
    picture: `
      source  aB-!
      a       ------(a|)
      B        --#
      output  ------(a#)
    `,
    wiring: ({ source, work }) =>
      source().pipe(
        route(bySize, {
          branches: {
            small: poolMap(work, { concurrency: 1, name: 'small' }),
            large: poolMap(work, { concurrency: 1, name: 'large' }),
          },
        }),
      ),
  },
  {
    title: 'an error from above comes after what waits, and what the branches hold',
    picture: `
      source  ab#
      a       ---(a|)
      b          ---(b|)
      output  ---a--(b#)
    `,
    wiring: ({ source, work }) =>
      source().pipe(
        route(bySize, {
          branches: {
            small: poolMap(work, { concurrency: 1, name: 'small' }),
            large: poolMap(work, { concurrency: 1, name: 'large' }),
          },
        }),
      ),
  },
  {
    title: 'unsubscribing leaves every branch',
    picture: `
      source  aBc!
      a       ---!
      B        --!
      output  ---!
    `,
    wiring: ({ source, work }) =>
      source().pipe(
        route(bySize, {
          branches: {
            small: poolMap(work, { concurrency: 1, name: 'small' }),
            large: poolMap(work, { concurrency: 1, name: 'large' }),
          },
        }),
      ),
  },
];
