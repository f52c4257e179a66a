import { delays, poolMap, withRetry, withTimeout } from 'sluice';
import type { Marble } from 'sluice/testing';

export const withTimeoutMarbles: readonly Marble[] = [
  {
    title: 'work that takes too long is aborted, and its error is a TimeoutError',
    picture: `
      source  a--!
      a       ---!
      output  ---#
    `,
    wiring: ({ source, promise }) =>
      source().pipe(poolMap(withTimeout(promise<string>, { timeoutMs: 3 }), { concurrency: 1 })),
    options: { errors: { output: 'TIMEOUT' } },
  },
  {
    title: 'work that is in time is left alone',
    picture: `
      source  a-|
      a       --(A|)
      output  --(A|)
    `,
    wiring: ({ source, promise }) =>
      source().pipe(poolMap(withTimeout(promise<string>, { timeoutMs: 3 }), { concurrency: 1 })),
  },
  {
    title: 'an Observable is unsubscribed from; what it gave before stays',
    picture: `
      source  a--!
      a       -A-!
      output  -A-#
    `,
    wiring: ({ source, work }) =>
      source().pipe(poolMap(withTimeout(work, { timeoutMs: 3 }), { concurrency: 1 })),
    options: { errors: { output: 'TIMEOUT' } },
  },
  {
    title: 'around withRetry it bounds the item, with all its attempts',
    picture: `
      source  a------!
      a       -#
      a          -#
      a             -!
      output  -------#
    `,
    wiring: ({ source, promise }) =>
      source().pipe(
        poolMap(withTimeout(withRetry(promise<string>, delays([2, 2, 2])), { timeoutMs: 7 }), {
          concurrency: 1,
        }),
      ),
    options: { errors: { output: 'TIMEOUT' } },
  },
  {
    title: 'an item that was too late is a dead letter; the worker is free',
    picture: `
      source      ab|
      a           ---!
      b              -(B|)
      output      ----(B|)
      dead        ---a
      fetch.dead  0--1
    `,
    wiring: ({ pulled, promise, note }) => {
      const dead = note('dead');
      return pulled().pipe(
        poolMap(withTimeout(promise<string>, { timeoutMs: 3 }), {
          concurrency: 1,
          onFailure: ({ value }) => dead(value),
          name: 'fetch',
        }),
      );
    },
  },
];
