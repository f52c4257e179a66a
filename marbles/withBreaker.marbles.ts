import { delays, poolMap, withBreaker, withRetry } from 'sluice';
import type { Marble } from 'sluice/testing';

export const withBreakerMarbles: readonly Marble[] = [
  {
    title: 'after a failure the others wait; one is tried, and when it succeeds all go on',
    picture: `
      source  a-bcd|
      a       -#
      b           --B|
      c              -C|
      d              --D|
      output  ------B-CD|
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(
        poolMap(withBreaker(work, { maxFailures: 1, openMs: 3 }), { concurrency: 3, onFailure: 'drop' }),
      ),
  },
  {
    title: 'where the one that is tried fails, the others wait as long again',
    picture: `
      source  a-bc|
      a       -#
      b           -#
      c               -C|
      output  ---------C|
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(
        poolMap(withBreaker(work, { maxFailures: 1, openMs: 3 }), { concurrency: 2, onFailure: 'drop' }),
      ),
  },
  {
    title: 'only failures in a row count',
    picture: `
      source  a--b--c--d|
      a       -#
      b          -B|
      c             -#
      d                -D|
      output  ----B-----D|
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(
        poolMap(withBreaker(work, { maxFailures: 2, openMs: 50 }), { concurrency: 1, onFailure: 'drop' }),
      ),
  },
  {
    title: "whenOpen 'fail': items fail at once, without a call",
    picture: `
      source  a-b--c|
      a       -#
      c            -C|
      output  ------C|
      dead    -ab
    `,
    wiring: ({ pulled, work, note }) => {
      const dead = note('dead');
      const guarded = withBreaker(work, { maxFailures: 1, openMs: 3, whenOpen: 'fail' });
      return pulled().pipe(poolMap(guarded, { concurrency: 1, onFailure: ({ value }) => dead(value) }));
    },
  },
  {
    title: 'draining ends the wait',
    picture: `
      source  a-b!
      a       -#
      output  ---|
      dead    -a-b
      drain   ---!
    `,
    wiring: ({ pulled, promise, note }) => {
      const dead = note('dead');
      const guarded = withBreaker(promise<string>, { maxFailures: 1, openMs: 50 });
      return pulled().pipe(poolMap(guarded, { concurrency: 1, onFailure: ({ value }) => dead(value) }));
    },
  },
  {
    title: 'around withRetry: an item with all its attempts counts once',
    picture: `
      source  ab|
      a       -#
      a         -#
      b             -B|
      output  -------B|
    `,
    wiring: ({ pulled, work }) =>
      pulled().pipe(
        poolMap(withBreaker(withRetry(work, delays([1])), { maxFailures: 1, openMs: 3 }), {
          concurrency: 1,
          onFailure: 'drop',
        }),
      ),
  },
];
