/** 500 files of 8 kB, found by their pattern, read, transformed and written, 32 at a time. */
import { glob, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fromGlob } from '../../dist/files.js';
import { poolMap, runFlow } from '../../dist/index.js';
import { byHand } from './byHand.mjs';

const names = Array.from({ length: 500 }, (_, i) => `${i}.txt`);

export async function files() {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-claims-'));
  const [input, output] = [join(folder, 'in'), join(folder, 'out')];
  await Promise.all([mkdir(input), mkdir(output)]);
  const line = 'the quick brown fox jumps over the lazy dog, again and again\n';
  await byHand(names, 32, (name) => writeFile(join(input, name), line.repeat(8_192 / line.length)));

  const pattern = join(input, '*.txt');
  const convert = async (path) => {
    const text = await readFile(path, 'utf8');
    await writeFile(join(output, basename(path)), text.toUpperCase());
  };
  const loop = async (concurrency) => {
    const paths = [];
    for await (const path of glob(pattern)) paths.push(path);
    return byHand(paths.sort(), concurrency, convert);
  };
  return {
    title: '500 files of 8 kB, found, read, transformed and written, 32 at a time',
    claim: 6.6,
    count: names.length,
    one: () => loop(1),
    loop: () => loop(32),
    ours: async () =>
      (await runFlow(fromGlob(pattern).pipe(poolMap(convert, { concurrency: 32 })))).delivered,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}
