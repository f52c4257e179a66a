import { readFile, readdir } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { runMarbles } from 'sluice/testing';
import { book } from './index.ts';

const ROOT = new URL('..', import.meta.url);

/** The lines of a picture, from its leftmost character on. */
function rowsOf(picture: string): string[] {
  const lines = picture.split('\n').filter((line) => line.trim() !== '');
  const margin = Math.min(...lines.map((line) => line.search(/\S/)));
  return lines.map((line) => line.slice(margin).trimEnd());
}

describe.each(book)('$word', ({ word, file, marbles }) => {
  test.each(marbles)('$title', async (marble) => {
    const { end } = await runMarbles(marble);
    expect(end).toBeTypeOf('string');
  });

  test('its doc comment has the first picture, row by row', async () => {
    const code = await readFile(new URL(file, ROOT), 'utf8');
    const before = code.slice(0, code.search(new RegExp(`\\n \\*/\\nexport function ${word}\\b`)));
    const comment = before.slice(before.lastIndexOf('/**')).split('\n');
    const drawn = comment.filter((line) => line.startsWith(' *     ')).map((line) => line.slice(7));
    const rows = rowsOf(marbles[0]?.picture ?? '');
    expect(drawn.slice(0, rows.length)).toEqual(rows);
  });

  test('it has five pictures or more, each with a title of its own', () => {
    expect(marbles.length).toBeGreaterThanOrEqual(5);
    expect(new Set(marbles.map(({ title }) => title)).size).toBe(marbles.length);
  });
});

test('every operator has its chapter', async () => {
  const files = await readdir(new URL('operators', ROOT));
  const operators = files.filter((name) => name.endsWith('.ts') && name !== 'index.ts');
  expect(book.map(({ file }) => file)).toEqual(
    expect.arrayContaining(operators.map((name) => `operators/${name}`)),
  );
});
