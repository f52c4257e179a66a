import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { filesOf } from './gallery.ts';
import { book } from './index.ts';
import { wiringsOf } from './wirings.ts';

const read = (path: string): string => readFileSync(join(import.meta.dirname, path), 'utf8');
const files = filesOf(book, read);
const outdated = 'changed: draw again with `npm run pictures`, and look at what you drew';

test('the committed pictures are those of the book', () => {
  const committed = readdirSync(join(import.meta.dirname, 'pictures')).map((file) => `pictures/${file}`);
  expect(committed.sort(), outdated).toEqual([...files.keys()].filter((path) => path !== 'README.md').sort());
});

test.each([...files])('%s is what the book draws', (path, text) => {
  expect(read(path), outdated).toBe(text);
});

test('every file of marbles is in the book', () => {
  const words = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.marbles.ts'));
  expect(book.map(({ word }) => `${word}.marbles.ts`).sort()).toEqual(words.sort());
});

test.each(book)('every picture of $word shows its wiring', ({ word, marbles }) => {
  const wirings = wiringsOf(read(`${word}.marbles.ts`));
  expect(marbles.filter(({ title }) => !wirings.get(title)).map(({ title }) => title)).toEqual([]);
});

test('a wiring is shown as it is written, with the options of its marble', () => {
  const code = [
    "const flow: Wiring = ({ work }) => work('a');",
    'const odd = filter((_, index) => index % 2 === 0);',
    'const marbles = [',
    "  { title: 'named', wiring: flow, options: { values: { x: 1 }, run: {",
    '    strict: true,',
    '  } } },',
    "  { title: 'block', wiring: ({ source, note }) => {",
    "    const dead = note('dead');",
    '    return source().pipe(',
    '      odd,',
    '    );',
    '  } },',
    '];',
  ];
  expect([...wiringsOf(code.join('\n'))]).toEqual([
    ['named', "work('a')\n// run: { strict: true }"],
    [
      'block',
      "const odd = filter((_, index) => index % 2 === 0);\nconst dead = note('dead');\nreturn source().pipe(\n  odd,\n);",
    ],
  ]);
});

test('two marbles of a word with one title are refused', () => {
  const marble = { title: 'Twice', picture: 'source a|' };
  expect(() => filesOf([{ word: 'poolMap', marbles: [marble, marble] }], () => '')).toThrow(
    'two marbles would be drawn as pictures/poolMap.twice.svg: title them differently',
  );
});
