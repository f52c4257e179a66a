// Checks the package as its users will get it: packed, installed in a stranger's project, bundled. Needs a build.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkBundles } from './check-bundles.mjs';
import { checkConsumer } from './check-consumer.mjs';
import { checkLinks } from './check-links.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const run = (command, args, cwd = root) => execFileSync(command, args, { cwd, stdio: 'inherit' });

if (!existsSync(join(root, 'dist/index.js'))) {
  console.error('check:package looks at dist, and there is none: `npm run build` first.');
  process.exit(1);
}

const scratch = mkdtempSync(join(tmpdir(), 'sluice-package-'));
try {
  run('npm', ['pack', '--silent', '--pack-destination', scratch]);
  const tarball = join(scratch, `${manifest.name}-${manifest.version}.tgz`);

  console.log('\n== publint');
  run('publint', ['--strict', tarball]);

  console.log('\n== arethetypeswrong');
  // node10 knows no subpaths; its users are below our `engines` anyway.
  run('attw', [tarball, '--profile', 'node16']);

  console.log("\n== in a stranger's project");
  const consumer = join(scratch, 'consumer');
  checkConsumer({ root, consumer, tarball, manifest, run });

  console.log('\n== links');
  checkLinks(join(consumer, 'node_modules', manifest.name));

  console.log('\n== bundles');
  await checkBundles({ root, consumer, manifest });
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log('\nThe package is as it should be.');
