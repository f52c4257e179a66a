/** 500 files of 8 kB, read, transformed and written, 32 at a time. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromPull, poolMap, runFlow } from '../../dist/index.js';
import { byHand } from './byHand.mjs';

const names = Array.from({ length: 500 }, (_, i) => `${i}.txt`);

export async function files() {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-claims-'));
  const [input, output] = [join(folder, 'in'), join(folder, 'out')];
  await Promise.all([mkdir(input), mkdir(output)]);
  const line = 'the quick brown fox jumps over the lazy dog, again and again\n';
  await byHand(names, 32, (name) => writeFile(join(input, name), line.repeat(8_192 / line.length)));

  const convert = async (name) => {
    const text = await readFile(join(input, name), 'utf8');
    await writeFile(join(output, name), text.toUpperCase());
    return name;
  };
  return {
    title: '500 files of 8 kB, read, transformed and written, 32 at a time',
    claim: 6.6,
    count: names.length,
    one: () => byHand(names, 1, convert),
    loop: () => byHand(names, 32, convert),
    ours: async () => (await runFlow(fromPull(names).pipe(poolMap(convert, { concurrency: 32 })))).delivered,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}
