// Installs the packed library, then builds, tests and weighs the app. Wants a build of the library.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const app = new URL('..', import.meta.url);
const startedAt = performance.now();
const seconds = () => Math.round((performance.now() - startedAt) / 1_000);
let passed = 0;
let failed = 0;

/** Runs a command, shows what it says, and adds up the tests that it counts. */
async function step(title, command, ...args) {
  console.log(`\n-- ${title} (after ${seconds()} s)`);
  const child = spawn(command, args, { cwd: fileURLToPath(app), stdio: ['ignore', 'pipe', 'inherit'] });
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
  if (code !== 0) throw new Error(`${title}: ${command} ended with ${code}`);
}

try {
  if (/"resolved"/.test(readFileSync(new URL('package-lock.json', app), 'utf8'))) {
    throw new Error('package-lock.json holds registry addresses: .npmrc keeps them out');
  }
  await step('install', 'npm', 'ci', '--prefer-offline');
  await step('the lockfile is whole', 'npm', 'ci', '--dry-run', '--silent');
  await step('the packed library', 'node', 'scripts/library.mjs');
  await step('types', 'node', 'scripts/readme.mjs');
  for (const build of ['production', 'development', 'production,without-sluice']) {
    await step(`build: ${build}`, 'ng', 'build', '--configuration', build);
  }
  await step('unit tests', 'ng', 'test');
  await step('browser and server-side tests', 'vitest', 'run', '--config', 'e2e/vitest.config.ts');
  await step('size', 'node', 'scripts/size.mjs');
} catch (error) {
  console.error(`\n${error.message}`);
  failed ||= 1;
}
console.log(`\nThe Angular example took ${seconds()} s.\n\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
