// Installs the library as its users get it, then builds, tests and weighs the app. Wants a build of the library.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const app = fileURLToPath(new URL('..', import.meta.url));
const library = fileURLToPath(new URL('../../..', import.meta.url));
const startedAt = performance.now();
let passed = 0;
let failed = 0;

/** Runs a command, shows what it says, and adds up the tests that it counts. */
async function run(command, args, cwd = app) {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  for await (const line of createInterface(child.stdout)) {
    console.log(line);
    const [, good, bad] = /^(\d+) passed, (\d+) failed$/.exec(line) ?? [];
    passed += Number(good ?? 0);
    failed += Number(bad ?? 0);
  }
  const code = await ended;
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ended with ${code}`);
}

async function step(title, ...command) {
  console.log(`\n-- ${title} (${Math.round((performance.now() - startedAt) / 1_000)} s)`);
  await run(...command);
}

if (!existsSync(join(library, 'dist/index.js'))) {
  console.error(
    'The app installs the built library, and there is no dist: `npm run build` at the root first.',
  );
  process.exit(1);
}

const scratch = mkdtempSync(join(tmpdir(), 'sluice-angular-'));
try {
  if (/"resolved"/.test(readFileSync(join(app, 'package-lock.json'), 'utf8'))) {
    throw new Error('package-lock.json holds registry addresses: was .npmrc left out?');
  }
  await step('install', 'npm', ['ci', '--prefer-offline']);
  await run('npm', ['ci', '--dry-run', '--silent']);
  await run('npm', ['pack', '--silent', '--pack-destination', scratch], library);
  const packed = join(scratch, readdirSync(scratch)[0]);
  await run('npm', ['install', '--no-save', '--no-package-lock', '--prefer-offline', '--silent', packed]);

  await step('types', 'tsc', ['-p', 'tsconfig.json']);
  for (const build of ['production', 'development', 'production,without-sluice']) {
    await step(`build ${build}`, 'ng', ['build', '--configuration', build]);
  }
  await step('unit tests', 'ng', ['test']);
  await step('browser and server-side tests', 'vitest', ['run', '--config', 'e2e/vitest.config.ts']);
  await step('size', process.execPath, ['scripts/size.mjs']);
} catch (error) {
  console.error(`\n${error.message}`);
  failed ||= 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log(
  `\nAngular: ${Math.round((performance.now() - startedAt) / 1_000)} s\n\n${passed} passed, ${failed} failed`,
);
process.exitCode = failed === 0 ? 0 : 1;
