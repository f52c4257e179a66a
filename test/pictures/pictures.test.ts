import { readFile } from 'node:fs/promises';
import { version } from 'rxjs/package.json';
import { afterAll, describe, expect, test } from 'vitest';
import { runMarbles, type MarblesError } from 'sluice/testing';
import type { book } from '../../marbles/index.ts';
import { mutant, removeMutants } from '../support/mutant.ts';
import { faults } from './sabotages.ts';

/** Titles of the pictures that find a fault, and what else went wrong. */
async function foundBy(word: string, twin: typeof book): Promise<string[]> {
  const titles: string[] = [];
  for (const marble of twin.find((chapter) => chapter.word === word)?.marbles ?? []) {
    await runMarbles(marble).catch((error: unknown) => {
      expect((error as MarblesError).code, String(error)).toBe('MARBLES');
      titles.push(marble.title);
    });
  }
  return titles;
}

// Twins run once, on the RxJS that they are bundled with.
const words = version === '7.8.0' ? [] : Object.entries(faults);

describe.each(words)('the pictures of %s find', (word, list) => {
  afterAll(removeMutants);

  test.each(list)('$says', async (fault) => {
    const { book: twin } = await mutant<{ book: typeof book }>('marbles/index.ts', fault);
    expect(await foundBy(word, twin)).not.toEqual([]);
  });
});

test('the list in test/README.md has them all', async () => {
  const page = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const listed = page.split('\n').filter((line) => line.startsWith('- '));
  expect(listed).toEqual(
    Object.entries(faults).map(
      ([word, list]) => `- \`${word}\`: ${list.map(({ says }) => says).join(' · ')}`,
    ),
  );
});
