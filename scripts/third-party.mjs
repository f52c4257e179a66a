// Writes dist/THIRD-PARTY.txt: the licences of what is bundled into the command (see tsup.config.ts).
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { inputs } = JSON.parse(readFileSync(`${root}/dist/metafile-esm.json`, 'utf8'));

const folders = new Set();
for (const input of Object.keys(inputs)) {
  // The innermost package: `node_modules/a/node_modules/@b/c/index.js` belongs to @b/c.
  const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(input)?.[0];
  if (folder) folders.add(folder);
}

const notices = [...folders].sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(`${root}/${folder}/package.json`, 'utf8'));
  const licenceFile = readdirSync(`${root}/${folder}`).find((entry) => /^licen[cs]e/i.test(entry));
  if (!licenceFile)
    throw new Error(`${name} is bundled into the command, and has no licence file to pass on`);
  return `${name} ${version} (${license})\n\n${readFileSync(`${root}/${folder}/${licenceFile}`, 'utf8').trim()}\n`;
});

if (notices.length > 0) {
  const intro = 'The `sluice` command (dist/cli.js and the chunks it alone loads) contains these packages.\n';
  writeFileSync(`${root}/dist/THIRD-PARTY.txt`, [intro, ...notices].join(`\n${'-'.repeat(72)}\n\n`));
}
