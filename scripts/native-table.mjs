// Measures every native operator, and writes docs/native-operators.md and, between its markers, the README's summary.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const block = /<!-- natives -->[^]*?<!-- \/natives -->/;

// The test that compares the page is the one that measures: updating its snapshot writes it.
const vitest = [at('node_modules/vitest/vitest.mjs'), 'run', '--project', 'unit', 'test/natives', '--update'];
spawnSync(process.execPath, vitest, { cwd: at('.'), stdio: 'inherit' });

const [summary] = block.exec(readFileSync(at('docs/native-operators.md'), 'utf8'));
writeFileSync(
  at('README.md'),
  readFileSync(at('README.md'), 'utf8').replace(block, () => summary),
);
