// Runs the traps of plain RxJS beside the same programs in words of ours; writes docs/traps.md and, between its
// markers, the README's part of it; prints the table.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const block = /<!-- traps -->[^]*?<!-- \/traps -->/;

// The test that compares the page is the one that measures: updating its snapshot writes it. Of what it says of the
// README it cannot know yet.
const vitest = [at('node_modules/vitest/vitest.mjs'), 'run', '--project', 'unit', 'test/traps', '--update'];
const { status } = spawnSync(
  process.execPath,
  [...vitest, '--reporter', 'dot', '--testNamePattern', '^(?!.*in the README)'],
  {
    cwd: at('.'),
    stdio: ['ignore', 'ignore', 'inherit'],
  },
);
if (status !== 0) {
  console.error('A trap does not do what test/traps/traps.ts says: npx vitest run --project unit test/traps');
  process.exit(1);
}

const page = readFileSync(at('docs/traps.md'), 'utf8');
const [summary] = block.exec(page);
writeFileSync(
  at('README.md'),
  readFileSync(at('README.md'), 'utf8').replace(block, () => summary),
);

for (const line of page.split('\n')) {
  const [, id, wanted, stock, ours] = /^\| (R\w+) \| (.*?) \| (.*?) \| (.*?) \|$/.exec(line) ?? [];
  if (id) console.log(`${id.padEnd(4)} ${wanted}\n     RxJS    ${stock}\n     sluice  ${ours}`);
}
