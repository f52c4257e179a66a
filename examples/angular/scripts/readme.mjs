// Has the compiler read the `ts` blocks of the README, in the place of files of the app; the patterns are such blocks.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('..', import.meta.url);
const folder = new URL('src/app/readme/', root);
const blocks = [...readFileSync(new URL('README.md', root), 'utf8').matchAll(/^```ts\n([^]*?)^```/gm)].map(
  ([, code]) => code.replaceAll("from './", "from '../"),
);
if (blocks.length === 0) throw new Error('README.md has no ts blocks');

const patterns = new URL('src/app/patterns/', root);
for (const name of readdirSync(patterns).filter((file) => !file.endsWith('.spec.ts'))) {
  if (!blocks.includes(readFileSync(new URL(name, patterns), 'utf8'))) {
    throw new Error(`README.md does not show src/app/patterns/${name} as it is`);
  }
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
try {
  for (const [i, code] of blocks.entries()) writeFileSync(new URL(`block-${i + 1}.ts`, folder), code);
  execFileSync('tsc', ['-p', 'tsconfig.json'], { cwd: fileURLToPath(root), stdio: 'inherit' });
  console.log(`README.md: ${blocks.length} ts blocks are correct`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
