import { merge } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { exploreMarbles, type ExploreOptions, type Marble } from 'sluice/testing';
import { book } from '../../marbles/index.ts';

const race: Marble = {
  title: 'left comes first',
  picture: `
    left    --a-----|
    right   --b|
    output  --(ab)--|
  `,
  wiring: ({ source }) => merge(source('left'), source('right')),
};

/** Many at once, so that not every order can be tried; it goes wrong where `f` comes first. */
const crowd: Marble = {
  title: 'a crowd',
  picture: `
    a       -a|
    b       -b|
    c       -c|
    d       -d|
    e       -e|
    f       -f|
    output  -(abcdef)
  `,
  wiring: ({ source }) => merge(...['a', 'b', 'c', 'd', 'e', 'f'].map((name) => source(name))),
};
const notFirst = ([first]: readonly unknown[]): void => {
  if (first === 'f') throw new Error('f came first');
};

/** What is told of a flow. */
async function told(marble: Marble, options?: ExploreOptions): Promise<string> {
  return exploreMarbles(marble, options).then(
    ({ runs }) => `nothing in ${runs} runs`,
    (error: unknown) => (error as Error).message,
  );
}

describe('exploreMarbles', () => {
  test('finds a race that the usual order hides, and shows the order and the picture', async () => {
    expect((await told(race)).split('\n').slice(0, 11)).toEqual([
      'left comes first: in this order of what is due at once:',
      '',
      '- column 2: "right: b" before "left: a"',
      '',
      'the flow did not do what its picture says',
      '',
      '    left    --a-----|',
      '    right   --b|',
      '    output  --(ab)--|  expected',
      '            --(ba)--|  actual',
      '              ^',
    ]);
  });

  test('tries a seeded sample where the orders are too many, and makes what it finds as small as can be', async () => {
    const message = await told(crowd, { maxRuns: 60, check: notFirst });
    expect(message).toContain('f came first');
    expect(message.match(/- column/g)).toHaveLength(1);
    expect(await told(crowd, { maxRuns: 60, check: notFirst })).toBe(message);
  });

  test('a check that holds in every order', async () => {
    const all = (output: readonly unknown[]): void => {
      expect([...output].sort().join('')).toBe('abcdef');
    };
    expect(await told(crowd, { maxRuns: 30, check: all })).toBe('nothing in 60 runs');
  });

  test.each(book)('the pictures of $word hold in every order', async ({ marbles }) => {
    for (const marble of marbles)
      expect((await exploreMarbles(marble)).runs, marble.title).toBeGreaterThan(0);
  });
});
