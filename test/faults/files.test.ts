import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundled } from './house/bundle.ts';

let program: string;
const items = 6_000;
const kills = 10;
const folder = mkdtempSync(join(tmpdir(), 'sluice-kill-'));
const input = join(folder, 'in.ndjson');

beforeAll(async () => {
  program = await bundled(fileURLToPath(new URL('files/copy.ts', import.meta.url)));
  writeFileSync(input, Array.from({ length: items }, (_, i) => `${i}\n`).join(''));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

/** Kills the program at ten moments of its work, and starts it again each time; gives what is in its output then. */
async function killed(name: string, protection: 'on' | 'off', seed: number) {
  const [output, checkpoint] = [join(folder, `${name}.ndjson`), join(folder, `${name}.checkpoint`)];
  let left = kills;
  let random = seed;
  for (let runs = 0; runs < 3 * kills; runs++) {
    const child = spawn(process.execPath, [program, input, output, checkpoint, protection], {
      stdio: 'pipe',
    });
    let said = '';
    let complaints = '';
    child.stdout.on('data', (part: Buffer) => (said += part.toString()));
    child.stderr.on('data', (part: Buffer) => (complaints += part.toString()));
    const ended = once(child, 'close'); // what it has said is there by then
    if (left > 0) {
      // Once it works, and for a random while: about a tenth of what there is to do.
      const before = linesOf(output).length;
      while (child.exitCode === null && linesOf(output).length === before) await sleep(1);
      random = (random * 16_807) % 2_147_483_647;
      await sleep(random % 60);
      if (child.kill('SIGKILL')) left--;
    }
    await ended;
    if (said.includes('done')) break;
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${complaints}`);
  }
  const lines = linesOf(output);
  const numbers = lines.map(Number).filter((n) => Number.isInteger(n));
  const distinct = new Set(numbers);
  return {
    kills: kills - left,
    lines: lines.length,
    lost: items - distinct.size,
    twice: numbers.length - distinct.size,
  };
}

function linesOf(path: string): string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
}

describe('F01 and F03, for files: killed ten times while it reads, checkpoints and appends', () => {
  test.each([1, 2, 3])('seed %i: nothing is lost, and nothing is there twice', async (seed) => {
    const found = await killed(`protected-${seed}`, 'on', seed);
    console.log(`seed ${seed}: ${JSON.stringify(found)}`);
    expect(found).toMatchObject({ lines: items, lost: 0, twice: 0 });
    expect(found.kills).toBeGreaterThanOrEqual(5);
  });

  test('twin: a sink that knows nothing of the checkpoint has items twice', async () => {
    const found = await killed('twin', 'off', 1);
    console.log(`twin: ${JSON.stringify(found)}`);
    expect(found.lost).toBe(0);
    expect(found.twice).toBeGreaterThan(0);
  });
});
