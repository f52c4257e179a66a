import { mkdirSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { take } from 'rxjs';
import { poolMap, runFlow } from 'sluice';
import { fromGlob, fromNdjson } from 'sluice/files';
import { all, TestFolder } from './folder.ts';

const folder = new TestFolder();
afterAll(() => folder[Symbol.dispose]());
mkdirSync(join(folder.path, 'deep/d.ndjson'), { recursive: true });
for (const name of ['b.ndjson', 'a.ndjson', 'c.txt', 'deep/e.ndjson']) folder.file(name, `"${name}"\n`);
symlinkSync(join(folder.path, 'c.txt'), join(folder.path, 'link.ndjson'));
symlinkSync(join(folder.path, 'nothing'), join(folder.path, 'dangling.ndjson'));

const cwd = folder.path;
const names = async (...args: Parameters<typeof fromGlob>): Promise<string[]> =>
  (await all(fromGlob(...args))).map((path) => relative(cwd, path));

test('files in the order of their paths; no folders, and no links to nothing', async () => {
  const expected = ['a.ndjson', 'b.ndjson', 'deep/e.ndjson', 'link.ndjson'];
  expect(await names('**/*.ndjson', { cwd })).toEqual(expected);
  expect(await names(`${cwd}/**/*.ndjson`)).toEqual(expected);
  expect((await names('**/*.ndjson', { cwd, order: 'found' })).sort()).toEqual(expected);
});

test('several patterns, and what to leave out', async () => {
  expect(await names(['*.txt', 'a.*', '*.ndjson'], { cwd, exclude: ['b.*', 'link*'] })).toEqual([
    'a.ndjson',
    'c.txt',
  ]);
});

test('where nothing matches it completes', async () => {
  expect(await names('*.csv', { cwd })).toEqual([]);
});

test('reads many files through a pool, and stops when it is left', async () => {
  const flow = fromGlob('*.ndjson', { cwd }).pipe(
    poolMap((path) => fromNdjson<string>(path), { concurrency: 2 }),
  );
  expect((await all(flow)).sort()).toEqual(['a.ndjson', 'b.ndjson', 'c.txt']);
  expect(await all(flow.pipe(take(1)))).toHaveLength(1);
});

test.each(['drain', 'abort'] as const)(
  '%s while it looks: it looks no further, and nothing was begun',
  async (stop) => {
    const run = runFlow(fromGlob('**/*.ndjson', { cwd }).pipe(poolMap((path) => [path], { concurrency: 2 })));
    const { delivered, left } = await run[stop]();
    expect({ delivered, left }).toEqual({ delivered: 0, left: [] });
  },
);

test('wrong options are found at the call', () => {
  expect(() => fromGlob('')).toThrow('fromGlob: pattern');
  expect(() => fromGlob('*', { order: 'size' as 'found' })).toThrow('fromGlob: order');
});
