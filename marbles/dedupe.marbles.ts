import { dedupe, poolMap } from 'sluice';
import type { Marble } from 'sluice/testing';

const itself = (letter: string): string => letter;

export const dedupeMarbles: readonly Marble[] = [
  {
    title: 'a repeat within the time is dropped; the time begins with the item that passed',
    picture: `
      source          ababa|
      output          ab--a|
      dedupe.dropped  0-12
    `,
    wiring: ({ source }) => source().pipe(dedupe({ by: itself, withinMs: 4, maxKeys: 100 })),
  },
  {
    title: 'by says what is a repeat',
    picture: `
      source  aAbBc|
      output  a-b-c|
    `,
    wiring: ({ source }) =>
      source().pipe(dedupe({ by: (letter) => letter.toLowerCase(), withinMs: Infinity, maxKeys: 100 })),
  },
  {
    title: 'beyond maxKeys, the key not seen for longest is forgotten',
    picture: `
      source  abacab|
      output  ab-c-b|
    `,
    wiring: ({ source }) => source().pipe(dedupe({ by: itself, withinMs: Infinity, maxKeys: 2 })),
  },
  {
    title: 'what it drops is no loss: a source that waits goes on, without a warning',
    picture: `
      source         aaab|
      a              ----A|
      b                   -B|
      output         ----A-B|
      source.pulled  1----4
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(
        dedupe({ by: itself, withinMs: Infinity, maxKeys: 100 }),
        poolMap(work, { concurrency: 1 }),
      ),
    options: { run: { strict: true } },
  },
  {
    title: 'an error passes',
    picture: `
      source  aa#
      output  a-#
    `,
    wiring: ({ source }) => source().pipe(dedupe({ by: itself, withinMs: 9, maxKeys: 100 })),
  },
  {
    title: 'so does unsubscribing',
    picture: `
      source  aa-!
      output  a--!
    `,
    wiring: ({ source }) => source().pipe(dedupe({ by: itself, withinMs: 9, maxKeys: 100 })),
  },
];
