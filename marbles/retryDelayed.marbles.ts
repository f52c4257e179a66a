import { delays, exponential, poolMap, retryDelayed } from 'sluice';
import type { Marble } from 'sluice/testing';

export const retryDelayedMarbles: readonly Marble[] = [
  {
    title: 'subscribes again after an error, after the delay of that attempt',
    picture: `
      source  -a#
      source       -b#
      source             -c|
      output  -a----b-----c|
    `,
    wiring: ({ source }) => source().pipe(retryDelayed(delays([3, 4]))),
  },
  {
    title: 'retries after 1, 3 and 5 s',
    picture: `
      source  #
      source          #
      source                   #
      source                            a|
      output  - 999ms - 2999ms - 4999ms a|
    `,
    wiring: ({ source }) => source().pipe(retryDelayed(delays([1_000, 3_000, 5_000]))),
  },
  {
    title: 'gives up with the last error itself',
    picture: `
      source  -#
      source     -#
      output  ----#
    `,
    wiring: ({ source }) => source().pipe(retryDelayed(delays([2]))),
  },
  {
    title: 'an error that says it is not retryable is not tried again',
    picture: `
      source  -#
      output  -#
    `,
    wiring: ({ source }) => source().pipe(retryDelayed(delays([2, 2]))),
    options: { errors: { source: Object.assign(new Error('gone'), { retryable: false }) } },
  },
  {
    title: 'retryAfterMs of an error is the least that is waited',
    picture: `
      source  -#
      source       -a|
      output  ------a|
    `,
    wiring: ({ source }) => source().pipe(retryDelayed(delays([2]))),
    options: { errors: { source: Object.assign(new Error('busy'), { retryAfterMs: 4 }) } },
  },
  {
    title: 'draining ends a wait, with the last error',
    picture: `
      source  -#
      output  ----#
      drain   ----!
    `,
    wiring: ({ source }) =>
      source().pipe(retryDelayed(exponential({ initialMs: 50, maxRetries: 3, random: () => 1 }))),
  },
  {
    title: 'unsubscribing ends the wait',
    picture: `
      source  -a#
      output  -a--!
    `,
    wiring: ({ source }) => source().pipe(retryDelayed(delays([5]))),
  },
  {
    title: 'what is in a pool below goes on during the wait',
    picture: `
      source  ab#
      source      c|
      a       ---A|
      b        ------B|
      c           --C|
      output  ---A--CB|
    `,
    wiring: ({ source, work }) => source().pipe(retryDelayed(delays([2])), poolMap(work, { concurrency: 3 })),
  },
];
