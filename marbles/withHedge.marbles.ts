import { concat, ignoreElements, type Observable } from 'rxjs';
import { fromPull, poolMap, withHedge, type Work } from 'sluice';
import type { Marble } from 'sluice/testing';

const options = { afterPercentile: 90, maxExtraShare: 0.1 };
type Promised = Work<string, Promise<string>>;

/** Work that has been done 20 times before, in 2 ms each: then it is known what is slow. */
const practised = (work: Promised, maxExtraShare = 0.1): { hedged: Promised; before: Observable<never> } => {
  let twoMs: Promise<string> | undefined;
  const quick = (): Promise<string> => (twoMs ??= new Promise((resolve) => setTimeout(resolve, 2, '')));
  const hedged = withHedge((letter: string, context) => (letter === '' ? quick() : work(letter, context)), {
    ...options,
    maxExtraShare,
  });
  const twenty = Array<string>(20).fill('');
  return { hedged, before: fromPull(twenty).pipe(poolMap(hedged, { concurrency: 20 }), ignoreElements()) };
};

export const withHedgeMarbles: readonly Marble[] = [
  {
    title:
      'where the first attempt is slow a second one starts; what is quicker is taken, the other is aborted',
    picture: `
      source      ab-|
      a           -----!
      a             --A|
      b            B|
      output    ----B--(A|)
    `,
    wiring: ({ pulled, promise }) => {
      const { hedged, before } = practised(promise<string>);
      return concat(before, pulled().pipe(poolMap(hedged, { concurrency: 2 })));
    },
  },
  {
    title: 'the first attempt may still be quicker',
    picture: `
      source      a|
      a           ---A|
      a             --!
      output    ------(A|)
    `,
    wiring: ({ pulled, promise }) => {
      const { hedged, before } = practised(promise<string>);
      return concat(before, pulled().pipe(poolMap(hedged, { concurrency: 2 })));
    },
  },
  {
    title: 'one attempt that fails is not missed while the other is at work',
    picture: `
      source      a|
      a           ---#
      a             ---A|
      output    --------(A|)
    `,
    wiring: ({ pulled, promise }) => {
      const { hedged, before } = practised(promise<string>);
      return concat(before, pulled().pipe(poolMap(hedged, { concurrency: 2 })));
    },
  },
  {
    title: 'the item fails when both have failed',
    picture: `
      source      a|
      a           -----#
      a             --#
      output    -------#
    `,
    wiring: ({ pulled, promise }) => {
      const { hedged, before } = practised(promise<string>);
      return concat(before, pulled().pipe(poolMap(hedged, { concurrency: 2 })));
    },
  },
  {
    title: 'an item that fails before the second attempt starts has none',
    picture: `
      source      ab|
      a           -#
      b            B|
      output    ----(B|)
    `,
    wiring: ({ pulled, promise }) => {
      const { hedged, before } = practised(promise<string>);
      return concat(before, pulled().pipe(poolMap(hedged, { concurrency: 2, onFailure: 'drop' })));
    },
  },
  {
    title: 'there is no second attempt when maxExtraShare is used up',
    picture: `
      source      abc--|
      a           -----!
      a             --A|
      b            -----!
      b              --B|
      c             -----C|
      output    -------AB-(C|)
    `,
    wiring: ({ pulled, promise }) => {
      const { hedged, before } = practised(promise<string>);
      return concat(before, pulled().pipe(poolMap(hedged, { concurrency: 3 })));
    },
  },
  {
    title: 'unsubscribing aborts both',
    picture: `
      source      a---!
      a           ----!
      a             --!
      output    ------!
    `,
    wiring: ({ pulled, promise }) => {
      const { hedged, before } = practised(promise<string>);
      return concat(before, pulled().pipe(poolMap(hedged, { concurrency: 2 })));
    },
  },
];
