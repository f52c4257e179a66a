import { filterOr } from 'sluice';
import type { Marble } from 'sluice/testing';

export const filterOrMarbles: readonly Marble[] = [
  {
    title: 'what the predicate accepts goes on; the rest goes to rejected',
    picture: `
      source    abcd|
      output    a-c-|
      rejected  -b-d
    `,
    wiring: ({ source, note }) =>
      source().pipe(filterOr((value) => value === 'a' || value === 'c', { rejected: note('rejected') })),
  },
  {
    title: 'an asynchronous predicate: the order of the items is kept',
    picture: `
      source    abc|
      a         ---(t|)
      b          -(f|)
      c           -(t|)
      output    ---(ac|)
      rejected  --b
      active    12-0
    `,
    wiring: ({ source, promise, note }) =>
      source().pipe(
        filterOr((value) => promise<boolean>(value), { concurrency: 3, rejected: note('rejected') }),
      ),
    options: { values: { t: true, f: false } },
  },
  {
    title: 'its concurrency bounds the answers that are waited for, those of later items included',
    picture: `
      source         abc|
      a              ---(t|)
      b               -(t|)
      c                 ----(t|)
      output         ---(ab)(c|)
      demand         10-1
      source.pulled  12-3
    `,
    wiring: ({ pulled, promise }) =>
      pulled().pipe(filterOr((value) => promise<boolean>(value), { concurrency: 2 })),
    options: { values: { t: true, f: false } },
  },
  {
    title: 'a predicate that throws ends the flow',
    picture: `
      source  a(b!)
      output  a#
    `,
    wiring: ({ source }) =>
      source().pipe(
        filterOr((value) => {
          if (value === 'b') throw new RangeError('no answer');
          return true;
        }),
      ),
    options: { errors: { output: RangeError } },
  },
  {
    title: 'an answer that fails ends the flow',
    picture: `
      source  ab-!
      a       ----
      b        --#
      output  ---#
    `,
    wiring: ({ source, promise }) =>
      source().pipe(filterOr((value) => promise<boolean>(value), { concurrency: 2 })),
  },
  {
    title: 'unsubscribing leaves the source',
    picture: `
      source  ab-!
      output  a--!
    `,
    wiring: ({ source }) => source().pipe(filterOr((value) => value === 'a')),
  },
];
