import { delays, poolMap, withRetry, withTimeout } from 'sluice';
import type { Marble } from 'sluice/testing';

export const withRetryMarbles: readonly Marble[] = [
  {
    title: 'an item that fails is tried again in its slot, after the delay; the others go on',
    picture: `
      source         ab|
      a              -#
      a                 -A|
      b               -B|
      output         --B-A|
      fetch.active   12-1-0
      fetch.retried  0----1
    `,
    wiring: ({ source, work }) =>
      source().pipe(poolMap(withRetry(work, delays([2])), { concurrency: 2, name: 'fetch' })),
  },
  {
    title: 'after 1, 3 and 5 s; the error of the last attempt is the error of the item',
    picture: `
      source  a       -        -        !
      a       #
      a               #
      a                        #
      a                                 #
      output  - 999ms - 2999ms - 4999ms #
    `,
    wiring: ({ source, work }) =>
      source().pipe(poolMap(withRetry(work, delays([1_000, 3_000, 5_000])), { concurrency: 1 })),
  },
  {
    title: 'draining ends the wait: the item fails with its last error',
    picture: `
      source  a---!
      a       -#
      output  ----#
      drain   ----!
    `,
    wiring: ({ pulled, promise }) =>
      pulled().pipe(poolMap(withRetry(promise<string>, delays([50])), { concurrency: 1 })),
  },
  {
    title: 'unsubscribing ends the wait',
    picture: `
      source  a---!
      a       -#
      output  ----!
    `,
    wiring: ({ pulled, promise }) =>
      pulled().pipe(poolMap(withRetry(promise<string>, delays([50])), { concurrency: 1 })),
  },
  {
    title: 'around withTimeout: each attempt has its own time, and a timeout is tried again',
    picture: `
      source  a|
      a       ---!
      a           -(A|)
      output  -----(A|)
    `,
    wiring: ({ source, promise }) =>
      source().pipe(
        poolMap(withRetry(withTimeout(promise<string>, { timeoutMs: 3 }), delays([1])), { concurrency: 1 }),
      ),
  },
];
