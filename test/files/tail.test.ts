import {
  appendFileSync,
  copyFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test, vi } from 'vitest';
import { poolMap, runFlow } from 'sluice';
import { fromTail, type FromTailOptions } from 'sluice/files';
import { TestFolder } from './folder.ts';

vi.mock('node:timers/promises', { spy: true });

const folder = new TestFolder();
afterAll(() => folder[Symbol.dispose]());

/** For a machine that has more to do. */
const patience = { timeout: 10_000 };

/** Follows a file while `body` writes to it; then drains, and gives what came. */
async function followed(
  path: string,
  body: (until: (...lines: string[]) => Promise<void>, came: readonly string[]) => Promise<void>,
  options: FromTailOptions = {},
): Promise<string[]> {
  const came: string[] = [];
  const flow = fromTail(path, { pollMs: 5, ...options }).pipe(
    poolMap(async (line) => void came.push(line), { concurrency: 1 }),
  );
  const run = runFlow(flow);
  await body((...lines) => vi.waitFor(() => expect(came).toEqual(lines), patience), came);
  await run.drain();
  expect(run.report().end).toBe('drained');
  return came;
}

test('what is added comes, whole lines only, from the end or the start', async () => {
  const path = folder.file('grows.log', 'old\n');
  await followed(
    path,
    async (until) => {
      await until('old');
      appendFileSync(path, 'a\nb');
      await until('old', 'a');
      appendFileSync(path, 'c\n\xe9\n');
      await until('old', 'a', 'bc', '\xe9');
    },
    { from: 'start' },
  );
  const added: string[] = [];
  const fromEnd = await followed(path, async (_, came) => {
    // Nobody is told when the file is open: what is added before is not new.
    await vi.waitFor(() => {
      added.push(`new ${added.length}`);
      appendFileSync(path, `${added.at(-1)}\n`);
      expect(came).not.toEqual([]);
    }, patience);
  });
  const first = added.indexOf(fromEnd[0]!);
  expect(fromEnd).toEqual(added.slice(first, first + fromEnd.length));
});

test('a file that is renamed is read to its end, then the new one from its beginning', async () => {
  const path = folder.file('rotates.log', 'first\n');
  await followed(
    path,
    async (until) => {
      const all = ['first'];
      await until(...all); // it is open
      for (let n = 0; n < 5; n++) {
        appendFileSync(path, `${n}a\n${n}b`);
        renameSync(path, `${path}.${n}`);
        appendFileSync(`${path}.${n}`, 'b\n' + `${n}c`); // its writer has it open still
        writeFileSync(path, `${n}d\n`);
        all.push(`${n}a`, `${n}bb`, `${n}c`, `${n}d`);
        await until(...all);
      }
    },
    { from: 'start' },
  );
});

test('a file that is copied and emptied is read from its beginning', async () => {
  const path = folder.file('emptied.log', 'a\nb\n');
  await followed(
    path,
    async (until) => {
      await until('a', 'b');
      copyFileSync(path, `${path}.1`);
      truncateSync(path, 0);
      appendFileSync(path, 'c\n');
      await until('a', 'b', 'c');
    },
    { from: 'start' },
  );
});

test('a byte order mark is left out at the beginning of each file', async () => {
  const path = folder.file('marked.log', '\ufeffa\n');
  await followed(
    path,
    async (until) => {
      await until('a');
      renameSync(path, `${path}.1`);
      writeFileSync(path, '\ufeffb\n\ufeff\n');
      await until('a', 'b', '\ufeff');
      truncateSync(path, 0);
      appendFileSync(path, '\ufeffc\n');
      await until('a', 'b', '\ufeff', 'c');
      renameSync(path, `${path}.2`);
      writeFileSync(path, '\ufeff'); // with nothing in it
      renameSync(path, `${path}.3`);
      writeFileSync(path, 'd\n');
      await until('a', 'b', '\ufeff', 'c', 'd');
    },
    { from: 'start' },
  );
});

test('a file that is not there is waited for, and read from its beginning', async () => {
  const path = join(folder.path, 'later.log');
  vi.mocked(sleep).mockClear();
  await followed(path, async (until) => {
    await vi.waitFor(() => expect(sleep).toHaveBeenCalled(), patience); // it has looked, and found nothing
    writeFileSync(path, 'a\n');
    await until('a');
  });
});

test.runIf(process.platform === 'linux')('the file is closed, whatever it was stopped in', async () => {
  const path = folder.file('left.log', 'a\nb\n');
  const open = (): number =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === realpathSync(path);
      } catch {
        return false; // closed meanwhile
      }
    }).length;
  for (const concurrency of [1, 5]) {
    const never = poolMap(() => new Promise(() => undefined), { concurrency }); // full, or waiting for more
    const run = runFlow(fromTail(path, { from: 'start', pollMs: 5 }).pipe(never));
    await vi.waitFor(
      () => expect([open(), run.report().itemsIn]).toEqual([1, Math.min(concurrency, 2)]),
      patience,
    );
    await run.abort();
    await vi.waitFor(() => expect(open()).toBe(0), patience);
  }
});

test('wrong options are found at the call', () => {
  expect(() => fromTail('')).toThrow('fromTail: path');
  expect(() => fromTail('a', { pollMs: 0 })).toThrow('fromTail: pollMs');
  expect(() => fromTail('a', { from: 'middle' as 'end' })).toThrow('fromTail: from');
  expect(() => fromTail('a', { maxLineBytes: 0 })).toThrow('fromTail: maxLineBytes');
  expect(() => fromTail('a', { onBadRecord: 'skip' as 'drop' })).toThrow('fromTail: onBadRecord');
  expect(() => fromTail('a', { name: '' })).toThrow('fromTail: name');
});
