import { bufferCount, delay, filter, map } from 'rxjs';
import { poolMap, stage } from 'sluice';
import type { Marble } from 'sluice/testing';

export const stageMarbles: readonly Marble[] = [
  {
    title: 'the operators do what they do',
    picture: `
      source  abcd|
      output  -b-d|
    `,
    wiring: ({ source }) =>
      source().pipe(
        stage(
          'every other',
          filter((_value, index) => index % 2 === 1),
        ),
      ),
  },
  {
    title: 'what they hold is meant: no warning where items come late',
    picture: `
      source  abcd|
      ab         -X|
      cd           -Y|
      output  ----X-Y|
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(stage('pairs', bufferCount(2), delay(2)), poolMap(work, { concurrency: 2 })),
  },
  {
    title: 'an error passes',
    picture: `
      source  a#
      output  A#
    `,
    wiring: ({ source }) =>
      source().pipe(
        stage(
          'upper',
          map((letter) => letter.toUpperCase()),
        ),
      ),
  },
  {
    title: 'so does unsubscribing',
    picture: `
      source  a-!
      output  a-!
    `,
    wiring: ({ source }) =>
      source().pipe(
        stage(
          'same',
          map((letter) => letter),
        ),
      ),
  },
  {
    title: 'demand passes through it',
    picture: `
      source         abc|
      a              --A|
      b                 --B|
      c                    --C|
      output         --A--B--C|
      source.pulled  1--2--3
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(
        stage(
          'same',
          map((letter) => letter),
        ),
        poolMap(work, { concurrency: 1 }),
      ),
  },
];
