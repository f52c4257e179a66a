import { distinct, filter } from 'rxjs';
import { drops, poolMap } from 'sluice';
import type { Marble } from 'sluice/testing';

const everyOther = filter((_value: string, index: number) => index % 2 === 1);

export const dropsMarbles: readonly Marble[] = [
  {
    title: 'the operator does what it does',
    picture: `
      source  abcd|
      output  -b-d|
    `,
    wiring: ({ source }) => source().pipe(drops(everyOther)),
  },
  {
    title: 'what it swallows is no loss: a source that waits goes on, without a warning',
    picture: `
      source         abcd|
      b               ---B|
      d                   -D|
      output         ----B-D|
      source.pulled  12---4
    `,
    wiring: ({ pulled, work }) => pulled().pipe(drops(everyOther), poolMap(work, { concurrency: 1 })),
    options: { run: { strict: true } },
  },
  {
    title: 'repeats are dropped',
    picture: `
      source  abab|
      output  ab--|
    `,
    wiring: ({ source }) => source().pipe(drops(distinct())),
  },
  {
    title: 'an error passes',
    picture: `
      source  ab#
      output  -b#
    `,
    wiring: ({ source }) => source().pipe(drops(everyOther)),
  },
  {
    title: 'so does unsubscribing',
    picture: `
      source  ab-!
      output  -b-!
    `,
    wiring: ({ source }) => source().pipe(drops(everyOther)),
  },
];
