// Installs the library as its users get it: packed. Wants a build of it. Not in package.json: its checksum changes with
// each build.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const app = fileURLToPath(new URL('..', import.meta.url));
const library = fileURLToPath(new URL('../../..', import.meta.url));
const npm = (cwd, ...args) =>
  execFileSync('npm', [...args, '--silent'], { cwd, stdio: ['ignore', 'ignore', 'inherit'] });

if (!existsSync(join(library, 'dist/index.js'))) {
  console.error('There is no dist: `npm run build` at the root of the repository first.');
  process.exit(1);
}

const scratch = mkdtempSync(join(tmpdir(), 'sluice-packed-'));
try {
  npm(library, 'pack', '--pack-destination', scratch);
  const [packed] = readdirSync(scratch);
  npm(app, 'install', '--no-save', '--no-package-lock', '--prefer-offline', join(scratch, packed));
  console.log(`installed ${packed}`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
