import { existsSync, globSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mutantFile, removeMutants, type Sabotage } from '../../support/mutant.ts';
import { freshBuild, run, start } from '../programs.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const built = pathToFileURL(`${root}dist/index.js`).href;
const program = (name: string): string => fileURLToPath(new URL(`programs/${name}`, import.meta.url));

async function twin(sabotage: Sabotage): Promise<string> {
  return pathToFileURL(await mutantFile('operators/index.ts', sabotage)).href;
}

beforeAll(freshBuild);
afterAll(removeMutants);

describe('SIGTERM at half of 100,000 items, of which one hangs', () => {
  const DRAIN_MS = 1_000;

  /** What the process says after its signal; undefined: it had to be killed. */
  async function stopped(library: string): Promise<Record<string, unknown> | undefined> {
    const { child, ended } = start(program('hanging.mjs'), [library, String(DRAIN_MS)]);
    let killed = false;
    let late: NodeJS.Timeout | undefined;
    child.stdout?.on('data', (chunk: Buffer) => {
      if (!chunk.toString().includes('half')) return;
      child.kill('SIGTERM');
      late = setTimeout(() => {
        killed = true;
        child.kill('SIGKILL');
      }, DRAIN_MS + 4_000); // the machine may be busy; the process measures its own time
    });
    const { code, stdout, stderr } = await ended;
    clearTimeout(late);
    if (killed) return undefined;
    expect([code, stderr]).toEqual([0, '']);
    return JSON.parse(stdout.split('\n').at(-2) ?? '') as Record<string, unknown>;
  }

  test('ends the process in drainTimeoutMs + 1 s, and the report lists exactly that item', async () => {
    const within = DRAIN_MS + 1_000;
    let afterMs = Infinity;
    for (let round = 0; round < 3 && afterMs >= within; round++) {
      const said = await stopped(built);
      expect(said).toMatchObject({ end: 'aborted', left: [{ stage: 'work', value: 12_345 }], leftOver: 1 });
      expect(said!['itemsIn']).toBe((said!['delivered'] as number) + 1);
      expect(said!['stored']).toBe(said!['delivered']);
      expect(said!['itemsIn']).toBeLessThan(60_000);
      afterMs = Math.min(afterMs, said!['afterMs'] as number);
    }
    expect(afterMs).toBeLessThan(within); // the best of three: the machine may be busy
  });

  test('and does not where draining has no time limit', async () => {
    const library = await twin({
      file: 'src/flow/runFlow.ts',
      find: 'this.#deadline ??= after(this.#drainTimeoutMs, () => void this.#drainedTooLong());',
      replace: 'this.#deadline = after(2 ** 31, () => void this.#drainedTooLong());',
    });
    expect(await stopped(library)).toBeUndefined();
  });
});

describe('F72: a source that never waits', () => {
  interface Said {
    readonly end: string;
    readonly done: number;
    readonly busyMs: number;
    readonly ticks: number;
    readonly busy99Ms: number;
    readonly delay99Ms: number;
  }

  async function firehose(library: string, kind: string, items: number): Promise<Said> {
    const { code, stdout, stderr } = await run(program('firehose.mjs'), [library, kind, String(items)]);
    expect([code, stderr]).toEqual([0, '']);
    return JSON.parse(stdout) as Said;
  }

  // What the clock says (`delay99Ms`) is the machine's business as well; processor time is ours alone.
  test.each([
    ['array', 1_000_000],
    ['observable', 1_000_000],
    ['promise', 1_000_000],
    ['one item of many results', 1_000_000],
    ['asynchronous source', 1_000_000],
    ['failure', 300_000],
    ['chain', 1_000_000],
  ])('leaves the event loop its turn every 50 ms: %s', async (kind, items) => {
    const { end, done, ticks, busyMs, busy99Ms } = await firehose(built, kind, items);
    expect([end, done]).toEqual(['completed', items]);
    expect(busy99Ms).toBeLessThan(50);
    expect(ticks).toBeGreaterThan(busyMs / 50);
  });

  test('and does not where loops never pause', async () => {
    const library = await twin({
      file: 'src/clock.ts',
      find: 'return at - this.#since > STRETCH_MS;',
      replace: 'return false;',
    });
    expect((await firehose(library, 'promise', 1_000_000)).busy99Ms).toBeGreaterThan(100);
  });
});

const [faketime] = globSync('/usr/lib/*/faketime/libfaketime.so.1');
if (!faketime && process.env['CI']) {
  throw new Error('The tests of a wall clock that is set need libfaketime: install the package faketime.');
}
if (!faketime) console.warn('Tests of a wall clock that is set left out: no libfaketime (package faketime).');

describe.runIf(faketime !== undefined)('a wall clock that is set while an item waits for its retry', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-clock-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  interface Said {
    readonly outcome: string;
    readonly attemptsAt: readonly number[];
    readonly wallMs: number;
  }

  async function waited(library: string, setTo: string): Promise<Said> {
    const file = join(folder, 'clock');
    await writeFile(file, '+0');
    expect(existsSync(faketime!)).toBe(true);
    const env = {
      LD_PRELOAD: faketime!,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      SET_TO: setTo,
    };
    const { code, stdout, stderr } = await run(program('waiting.mjs'), [library], { env });
    expect([code, stderr]).toEqual([0, '']);
    return JSON.parse(stdout) as Said;
  }

  test.each([
    ['forward', '+3600', 3_600_000],
    ['back', '-3600', -3_600_000],
  ])('an hour %s changes nothing', async (_way, setTo, byMs) => {
    const { outcome, attemptsAt, wallMs } = await waited(built, setTo);
    const [first = NaN, second = NaN, third = NaN] = attemptsAt;
    expect(outcome).toBe('delivered');
    expect(Math.abs(wallMs - byMs)).toBeLessThan(60_000); // it was set
    expect(second - first).toBeGreaterThanOrEqual(299);
    expect(third - second).toBeGreaterThanOrEqual(299);
    expect(third).toBeLessThan(3_000);
  });

  test('and does where elapsed time is read from the wall clock', async () => {
    const library = await twin({
      file: 'src/clock.ts',
      find: 'isReplaced() ? asyncScheduler.now() : performance.now();',
      replace: 'isReplaced() ? asyncScheduler.now() : Date.now();',
    });
    const { outcome } = await waited(library, '+3600');
    expect(outcome).toBe('Error: busy'); // the hour counted as elapsed
  });
});
