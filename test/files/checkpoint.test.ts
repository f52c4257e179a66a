import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { of, pipe, retry, type MonoTypeOperatorFunction, type OperatorFunction } from 'rxjs';
import { afterAll, describe, expect, test, vi } from 'vitest';
import {
  batch,
  boundedQueue,
  broadcast,
  delays,
  filterOr,
  poolMap,
  retryDelayed,
  runFlow,
  storeTo,
  type RunFlowOptions,
  type Sink,
} from 'sluice';
import { fileCheckpoint, fromCsv, fromNdjson, toNdjson, type FileSourceOptions } from 'sluice/files';
import { deferred } from '../support/deferred.ts';
import { companionOf } from '../../src/connectors/files/companion.ts';
import { TestFolder } from './folder.ts';

const folder = new TestFolder();
afterAll(() => folder[Symbol.dispose]());

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
const input = folder.file('numbers.ndjson', numbers(100).join('\n'));
let count = 0;
const newCheckpoint = (): string => `${folder.path}/${++count}.checkpoint`;
const quiet: RunFlowOptions = { onWarning: () => undefined };

/** Reads until `until` have come, of which those in `failing` never have an outcome; gives what came. */
async function readSome(
  path: string,
  until: number,
  options: FileSourceOptions = {},
  from = input,
): Promise<number[]> {
  const came: number[] = [];
  const checkpoint = fileCheckpoint(path, { onWarning: () => undefined });
  const source = fromNdjson<number>(from, { ...options, checkpoint });
  const stop = new AbortController();
  const flow = source.pipe(
    poolMap(
      async (n) => {
        came.push(n);
        if (came.length === until) stop.abort();
        return n;
      },
      { concurrency: 1 },
    ),
  );
  await runFlow(flow, { ...quiet, drainSignal: stop.signal });
  return came;
}

describe('fileCheckpoint', () => {
  test('a second run goes on where the first has come to; a third has nothing to do', async () => {
    const path = newCheckpoint();
    const first = await readSome(path, 40);
    expect(first.length).toBeLessThan(60);
    const second = await readSome(path, 1_000);
    expect([...first, ...second]).toEqual(numbers(100));
    expect(await readSome(path, 1_000)).toEqual([]);
  });

  test.each(['a'.repeat(255), 'é'.repeat(127), '🐟'.repeat(63), 'b'.repeat(247)])(
    'its name may be as long as the file system allows, and what begins alike is another one: %#',
    async (name) => {
      const path = join(folder.path, name);
      const other = join(folder.path, `${name.slice(0, -2)}c`);
      // One that was left behind is taken over.
      writeFileSync(companionOf(path, '.lock'), `0 ${hostname()}\n`);
      const parts = [await readSome(path, 30), await readSome(other, 20), await readSome(path, 30)];
      truncateSync(path, 10);
      expect(await readSome(other, 1_000)).toEqual(numbers(100).slice(parts[1]!.length));
      expect((await readSome(path, 1_000))[0]).toBeGreaterThan(1); // by the copy before
      expect(parts[2]![0]).toBe(parts[0]!.length + 1);
    },
  );

  test('items that settle out of order: what has no outcome is given again, and nothing else', async () => {
    const path = newCheckpoint();
    const held = [3, 7, 8];
    const run = async (stuck: readonly number[]): Promise<number[]> => {
      const done: number[] = [];
      const work = async (n: number): Promise<void> => {
        if (stuck.includes(n)) await new Promise(() => undefined);
        done.push(n);
      };
      const source = fromNdjson<number>(input, { checkpoint: fileCheckpoint(path, { everyMs: 0 }) });
      const running = runFlow(source.pipe(poolMap(work, { concurrency: 5 })), quiet);
      if (stuck.length > 0) {
        await vi.waitFor(() => expect(done).toHaveLength(97), 10_000);
        await running.abort();
      }
      await running;
      return done;
    };
    const first = await run(held);
    const second = await run([]);
    expect(second.sort((a, b) => a - b)).toEqual(held);
    expect([...first, ...second].sort((a, b) => a - b)).toEqual(numbers(100));
  });

  test('blank, bad and rejected records are passed once; compressed files and CSV go on as well', async () => {
    const bad: number[] = [];
    const lines = numbers(100).map((n) => (n % 10 === 0 ? 'oops' : n % 10 === 1 ? '' : String(n)));
    const plain = numbers(100).filter((n) => n % 10 > 1);
    const onBadRecord = ({ line }: { line: number }): void => void bad.push(line);
    for (const file of [
      folder.file('mixed.ndjson', lines.join('\n')),
      folder.file('mixed.ndjson.gz', gzipSync(lines.join('\n'))),
    ]) {
      bad.length = 0;
      const path = newCheckpoint();
      const came = [];
      for (let run = 0; run < 20; run++) came.push(...(await readSome(path, 7, { onBadRecord }, file)));
      expect(came).toEqual(plain);
      expect(bad).toEqual(numbers(10).map((n) => n * 10));
    }
    const csv = folder.file(
      'rows.csv',
      `n,text\n${numbers(30)
        .map((n) => `${n},"a\nb"`)
        .join('\n')}`,
    );
    const path = newCheckpoint();
    const came: number[] = [];
    for (let run = 0; run < 10; run++) {
      const stop = new AbortController();
      const source = fromCsv<{ n: number }>(csv, {
        types: { n: 'number' },
        checkpoint: fileCheckpoint(path),
      });
      let here = 0;
      const flow = source.pipe(
        filterOr(({ n }) => n % 3 !== 0),
        poolMap(
          async ({ n }) => {
            came.push(n);
            if (++here === 5) stop.abort();
          },
          { concurrency: 1 },
        ),
      );
      await runFlow(flow, { ...quiet, drainSignal: stop.signal });
    }
    expect(came).toEqual(numbers(30).filter((n) => n % 3 !== 0));
  });

  test('a file that has grown is read on; one that is shorter, or another, is refused', async () => {
    const grown = folder.file('grown.ndjson', '1\n2\n3\n');
    const path = newCheckpoint();
    expect(await readSome(path, 100, {}, grown)).toEqual([1, 2, 3]);
    writeFileSync(grown, '1\n2\n3\n4\n5\n');
    expect(await readSome(path, 100, {}, grown)).toEqual([4, 5]);
    writeFileSync(grown, '1\n2\n3\n4\n5\n6');
    expect(await readSome(path, 100, {}, grown)).toEqual([6]);
    expect(await readSome(path, 100, {}, grown)).toEqual([]);
    writeFileSync(grown, '1\n2\n3\n4\n5\n66\n');
    await expect(readSome(path, 100, {}, grown)).rejects.toThrow('not the file that was read');
    writeFileSync(grown, '1\n2\n');
    await expect(readSome(path, 100, {}, grown)).rejects.toMatchObject({ code: 'FILE_BROKEN' });
    writeFileSync(grown, '100\n200\n300\n');
    await expect(readSome(path, 100, {}, grown)).rejects.toThrow('not the file that was read');
    await expect(readSome(path, 100)).rejects.toMatchObject({ code: 'CHECKPOINT' });
  });

  test('of bytes from elsewhere, those that were read before are read again, and left out', async () => {
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      yield readFileSync(input);
    };
    const came: number[] = [];
    const path = newCheckpoint();
    const run = async (until: number): Promise<void> => {
      const stop = new AbortController();
      const flow = fromNdjson<number>(bytes, { checkpoint: fileCheckpoint(path) }).pipe(
        poolMap(
          async (n) => {
            if (came.push(n) === until) stop.abort();
          },
          { concurrency: 1 },
        ),
      );
      await runFlow(flow, { ...quiet, drainSignal: stop.signal });
    };
    await run(40);
    await run(1_000);
    expect(came).toEqual(numbers(100));
  });

  test('once the run is over, nothing is saved any more', async () => {
    const path = newCheckpoint();
    const work = async (n: number): Promise<void> => {
      // The others have their outcome while what was saved first is on its way to the disk.
      while (n === 2 && !existsSync(`${path}.new`)) await new Promise(setImmediate);
    };
    const checkpoint = fileCheckpoint(path, { everyMs: 20 });
    await runFlow(fromNdjson<number>(input, { checkpoint }).pipe(poolMap(work, { concurrency: 1 })), quiet);
    const { ino } = statSync(path);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(statSync(path).ino).toBe(ino); // each save is a file of its own
  });

  test('a save that fails ends the flow', async () => {
    const checkpoint = fileCheckpoint(`${folder.path}/no/such/folder.checkpoint`, { everyMs: 0 });
    const endless = async function* () {
      for (;;) yield Buffer.from('1\n');
    };
    const flow = fromNdjson(endless, { checkpoint }).pipe(
      poolMap(() => new Promise((resolve) => setTimeout(resolve, 1)), { concurrency: 1 }),
    );
    await expect(runFlow(flow, quiet)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('F03: a torn, cut, zeroed, corrupt or missing checkpoint is never a start from the beginning', () => {
  const damages: [string, (path: string) => void][] = [
    ['emptied', (path) => truncateSync(path, 0)],
    ['cut short', (path) => truncateSync(path, readFileSync(path).length - 5)],
    ['cut in the first line', (path) => truncateSync(path, 30)],
    ['zeroed', (path) => writeFileSync(path, Buffer.alloc(readFileSync(path).length))],
    [
      'changed in one digit',
      (path) =>
        writeFileSync(
          path,
          readFileSync(path, 'utf8').replace(/"position":(\d)/, (_, d) => `"position":${9 - d}`),
        ),
    ],
    ['of another kind', (path) => writeFileSync(path, '{"line":0}\n')],
  ];

  /** Two runs, so that there are two copies; gives what both gave. */
  async function twoRuns(path: string): Promise<number[]> {
    return [...(await readSome(path, 20)), ...(await readSome(path, 20))];
  }

  test.each(damages)('%s: the copy before is used, with a warning', async (_, damage) => {
    const path = newCheckpoint();
    const given = await twoRuns(path);
    damage(path);
    const warnings: string[] = [];
    const rest: number[] = [];
    const checkpoint = fileCheckpoint(path, { onWarning: (message) => warnings.push(message) });
    const flow = fromNdjson<number>(input, { checkpoint }).pipe(
      poolMap(async (n) => void rest.push(n), { concurrency: 1 }),
    );
    await runFlow(flow);
    expect(warnings).toHaveLength(1);
    expect(rest[0]).toBeGreaterThan(1);
    expect(rest[0]).toBeLessThanOrEqual(given.at(-1)! + 1);
    expect(new Set([...given, ...rest])).toEqual(new Set(numbers(100)));
  });

  test('missing, with the copy before there: killed between two renames', async () => {
    const path = newCheckpoint();
    await twoRuns(path);
    rmSync(path);
    expect((await readSome(path, 1_000))[0]).toBeGreaterThan(1);
  });

  test('a new one that was not finished changes nothing', async () => {
    const path = newCheckpoint();
    const given = await twoRuns(path);
    writeFileSync(`${path}.new`, 'sluice-check');
    expect(await readSome(path, 1_000)).toEqual(numbers(100).slice(given.length));
  });

  test.each(damages)('%s, and no good copy: refused, and nothing is read', async (_, damage) => {
    for (const both of [true, false]) {
      const path = newCheckpoint();
      await twoRuns(path);
      damage(path);
      if (both) damage(`${path}.previous`);
      else rmSync(`${path}.previous`);
      await expect(readSome(path, 1_000)).rejects.toMatchObject({ code: 'CHECKPOINT', checkpoint: path });
    }
  });

  test('twin: a checkpoint that is read without its check starts from another place in silence', async () => {
    const path = newCheckpoint();
    await twoRuns(path);
    const good = readFileSync(path, 'utf8');
    damages[4]![1](path);
    const line = (text: string): number =>
      (JSON.parse(text.split('\n')[1]!) as { position: number }).position;
    expect(line(readFileSync(path, 'utf8'))).not.toBe(line(good));
  });
});

describe('with a sink that appends', () => {
  test('what the sink wrote after the last checkpoint is cut off, and stored again: nothing twice', async () => {
    const path = newCheckpoint();
    const output = `${folder.path}/once.ndjson`;
    let copies: [string, string][] = [];
    const run = async (crashAt: number): Promise<void> => {
      const checkpoint = fileCheckpoint(path, { onWarning: () => undefined });
      const sink: Required<Sink<number>> = toNdjson(output, { append: true, checkpoint });
      let stored = 0;
      const flow = fromNdjson<number>(input, { checkpoint }).pipe(
        poolMap(async (n) => n, { concurrency: 4 }),
        storeTo(
          {
            ...sink,
            classify: () => 'fatal',
            close: (ending) => sink.close(ending),
            store: async (items, context) => {
              await sink.store(items, context);
              stored++;
              // As the files are now, a crash would leave them.
              if (stored === crashAt) {
                copies = [path, output].map((file) => [file, readFileSync(file, 'utf8')]);
              }
            },
          },
          { maxItems: 7 },
        ),
      );
      await runFlow(flow, quiet);
    };
    for (const crashAt of [1, 2, 3]) {
      await run(crashAt);
      for (const [file, content] of copies) writeFileSync(file, content);
    }
    await run(0);
    expect(readFileSync(output, 'utf8')).toBe(
      numbers(100)
        .map((n) => `${n}\n`)
        .join(''),
    );
  });

  type Store = OperatorFunction<number, number>;
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const shuffled = poolMap(async (n: number) => (await pause((n * 7) % 3), n), { concurrency: 8 });
  const both = poolMap((n: number) => of(n, -n), { concurrency: 4 });
  const asTheyCome = poolMap(
    async function* (n: number) {
      await pause((n * 7) % 3);
      yield n;
      await pause((n * 5) % 3);
      yield -n;
    },
    { concurrency: 8 },
  );
  const slow = poolMap(async (n: number) => (await pause(2), n), { concurrency: 1 });
  const elsewhere = (): Store => storeTo(() => pause(3), { maxItems: 5 });
  const doubled = numbers(100).flatMap((n) => [n, -n]);
  const pairs = poolMap(async (two: readonly number[]) => two[0]! + two.at(-1)!, { concurrency: 2 });

  const flows: [string, (store: Store) => OperatorFunction<number, number>, readonly number[]][] = [
    ['stored in another order', (store) => (source) => source.pipe(shuffled, store), numbers(100)],
    ['that become two', (store) => (source) => source.pipe(both, store), doubled],
    [
      'that become two, which come one by one',
      (store) => (source) => source.pipe(asTheyCome, store),
      doubled,
    ],
    ['that go on to a slow stage', (store) => (source) => source.pipe(store, slow), numbers(100)],
    ['that go to another sink too', (store) => broadcast([store, elsewhere()]), numbers(100)],
    [
      'of which two become one',
      (store) => (source) => source.pipe(batch({ maxItems: 2 }), pairs, store),
      numbers(50).map((n) => 4 * n - 1),
    ],
    [
      'of which some are rejected',
      (store) => (source) =>
        source.pipe(
          filterOr((n) => n % 3 > 0),
          shuffled,
          store,
        ),
      numbers(100).filter((n) => n % 3 > 0),
    ],
  ];

  /** Stops at each batch as a crash would, goes on from there each time; gives what each left in the file. */
  async function crashed(
    through: (store: Store) => OperatorFunction<number, number>,
    concurrency: number,
    protect: (sink: Sink<unknown>) => Sink<unknown>['store'],
  ): Promise<number[][]> {
    const path = newCheckpoint();
    const output = `${path}.ndjson`;
    const snapshots: [string, string][][] = [];
    const run = async (crash: boolean): Promise<number[]> => {
      const checkpoint = fileCheckpoint(path, { onWarning: () => undefined });
      const sink: Required<Sink<number>> = toNdjson(output, { append: true, checkpoint });
      const protectedStore = protect(sink);
      const watched: Sink<unknown> = {
        close: (ending) => sink.close(ending),
        store: async (items, context) => {
          await protectedStore(items, context);
          if (crash) snapshots.push([path, output].map((file) => [file, readFileSync(file, 'utf8')]));
        },
      };
      const store = storeTo<number>(watched, { maxItems: 7, maxWaitMs: 10, concurrency });
      await runFlow(fromNdjson<number>(input, { checkpoint }).pipe(through(store)), quiet);
      return readFileSync(output, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => Number(line));
    };
    const found = [await run(true)];
    const every = Math.ceil(snapshots.length / 3);
    for (const snapshot of snapshots.filter((_, i) => i % every === every >> 1)) {
      for (const [file, content] of snapshot) writeFileSync(file, content);
      found.push(await run(false));
    }
    return found;
  }
  const sorted = (items: readonly number[]): number[] => items.toSorted((a, b) => a - b);

  describe.each([1, 3])('F01: %i batches at once', (concurrency) => {
    test.each(flows)(
      'records %s: nothing is lost and nothing is there twice',
      async (_, through, expected) => {
        const found = await crashed(through, concurrency, (sink) => sink.store.bind(sink));
        expect(found.length).toBeGreaterThan(1);
        for (const items of found) expect(sorted(items)).toEqual(sorted(expected));
      },
    );
  });

  test.each(flows)(
    'twin, records %s: a sink that cannot tell what has its outcome',
    async (_, through, expected) => {
      const found = await crashed(
        through,
        3,
        (sink) =>
          (items, { attempt, signal }) =>
            sink.store(items, { attempt, signal }),
      );
      expect(found.some((items) => items.length > expected.length)).toBe(true);
    },
  );

  test('a source that is begun again gives nothing that is on its way', async () => {
    const checkpoint = fileCheckpoint(newCheckpoint());
    const output = `${folder.path}/again.ndjson`;
    let left = 3;
    const failing = async function* () {
      yield Buffer.from(`${numbers(50).join('\n')}\n`);
      if (left-- > 0) throw new Error('the line is cut');
      yield Buffer.from(numbers(100).slice(50).join('\n'));
    };
    const flow = fromNdjson<number>(failing, { checkpoint, name: 'lines' }).pipe(
      retryDelayed(delays([1, 1, 1])),
      shuffled,
      storeTo(toNdjson(output, { append: true, checkpoint }), { maxItems: 7 }),
    );
    await runFlow(flow, quiet);
    expect(left).toBe(-1);
    expect(sorted(readFileSync(output, 'utf8').trim().split('\n').map(Number))).toEqual(numbers(100));
  });

  test('what got its outcome after the last batch is saved at the end', async () => {
    const [path, output] = [newCheckpoint(), `${folder.path}/tail-${count}.ndjson`];
    const given: number[] = [];
    const run = async (stored: { promise: Promise<void>; resolve: () => void }): Promise<void> => {
      const checkpoint = fileCheckpoint(path);
      let batches = 0;
      const sink: Required<Sink<number>> = toNdjson(output, { append: true, checkpoint });
      const counted: Sink<number> = {
        ...sink,
        classify: sink.classify,
        close: (ending) => sink.close(ending),
        store: async (items, context) => {
          await sink.store(items, context);
          if (++batches === 9) stored.resolve();
        },
      };
      const work = async (n: number): Promise<number> => {
        given.push(n);
        if (n <= 90) return n;
        await stored.promise;
        throw new Error('poison');
      };
      const pool = poolMap(work, { concurrency: 1, onFailure: 'drop' });
      await runFlow(fromNdjson<number>(input, { checkpoint }).pipe(pool, storeTo(counted, { maxItems: 10 })));
    };
    await run(deferred());
    expect(given.splice(0)).toEqual(numbers(100));
    await run({ promise: Promise.resolve(), resolve: () => undefined });
    expect(given).toEqual([]);
    expect(readFileSync(output, 'utf8')).toBe(numbers(90).join('\n') + '\n');
  });

  test('one save a batch, and one at the start', async () => {
    const [path, output] = [newCheckpoint(), `${folder.path}/saves-${count}.ndjson`];
    const checkpoint = fileCheckpoint(path);
    const saves = vi.spyOn(checkpoint, 'commit');
    const store = storeTo(toNdjson(output, { append: true, checkpoint }), {
      maxItems: 10,
      maxWaitMs: Infinity,
    });
    const work = poolMap(async (n: number) => n, { concurrency: 4 });
    await runFlow(fromNdjson<number>(input, { checkpoint }).pipe(work, store));
    expect(saves).toHaveBeenCalledTimes(1 + 10);
  });

  test('saves go on though there are always records in the file that have no outcome yet', async () => {
    const [path, output] = [newCheckpoint(), `${folder.path}/beside-${count}.ndjson`];
    const many = folder.file(`many-${count}.ndjson`, numbers(1_000).join('\n'));
    const checkpoint = fileCheckpoint(path);
    const store = storeTo(toNdjson(output, { append: true, checkpoint }), { maxItems: 20 });
    const behind: number[] = [];
    let done = 0;
    const slow = poolMap(
      async (n: number) => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (++done % 100 === 0 && existsSync(path)) {
          const state = JSON.parse(readFileSync(path, 'utf8').split('\n')[1]!) as {
            position: number;
            output: { bytes: number };
          };
          behind.push(done - state.position);
          const lines = readFileSync(output).subarray(0, state.output.bytes).toString().split('\n');
          expect(lines).toHaveLength(state.position + 1); // one for each record, and none of any other
        }
        return n;
      },
      { concurrency: 8 },
    );
    const beside = pipe(boundedQueue<number>({ capacity: 100 }), slow);
    await runFlow(fromNdjson<number>(many, { checkpoint }).pipe(broadcast([store, beside])));
    expect(behind.length).toBeGreaterThan(5);
    expect(Math.max(...behind)).toBeLessThan(200);
  });

  test.each<[string, MonoTypeOperatorFunction<number>]>([
    ['from inside its failure', retry(1)],
    ['while other parts of it are still on their way', retryDelayed<number>(delays([5]))],
  ])('an item that fails is given again to who subscribes again %s', async (_, again) => {
    const [path, output] = [newCheckpoint(), `${folder.path}/again-${count}.ndjson`];
    const checkpoint = fileCheckpoint(path);
    let failed = false;
    async function* twice(n: number): AsyncGenerator<number> {
      yield n;
      if (n === 4 && !failed) {
        failed = true;
        throw new Error('once');
      }
      yield -n;
    }
    const sink: Required<Sink<number>> = toNdjson(output, { append: true, checkpoint });
    const flow = fromNdjson<number>(input, { checkpoint }).pipe(
      poolMap(twice, { concurrency: 1 }),
      again,
      storeTo(sink, { maxItems: 1_000, maxWaitMs: 50 }),
    );
    expect(await runFlow(flow, quiet)).toMatchObject({ end: 'completed' });
    const stored = new Set(readFileSync(output, 'utf8').trim().split('\n').map(Number));
    expect(stored).toEqual(new Set(numbers(100).flatMap((n) => [n, -n])));
    expect(await readSome(path, 1_000)).toEqual([]);
  });

  test('an output that is shorter than at the checkpoint, or another, is refused', async () => {
    const path = newCheckpoint();
    const output = `${folder.path}/lost.ndjson`;
    const run = async (to: string, from = input): Promise<unknown> => {
      const checkpoint = fileCheckpoint(path, { onWarning: () => undefined });
      const sink = toNdjson(to, { append: true, checkpoint });
      return runFlow(fromNdjson(from, { checkpoint }).pipe(storeTo(sink)), quiet);
    };
    await run(output);
    truncateSync(output, 5);
    await expect(run(output)).rejects.toMatchObject({ code: 'FILE_BROKEN' });
    renameSync(output, `${output}.old`);
    await expect(run(`${output}.other`)).rejects.toMatchObject({ code: 'CHECKPOINT' });
  });

  test('it is for one sink, with append', () => {
    const checkpoint = fileCheckpoint(newCheckpoint());
    expect(() => toNdjson('a', { checkpoint })).toThrow('checkpoint needs append: true');
    toNdjson('a', { append: true, checkpoint });
    expect(() => toNdjson('b', { append: true, checkpoint })).toThrow('has a sink already');
  });
});

test('a CSV file that became shorter is not the file that was read', async () => {
  const file = folder.file('orders.csv', ['id', ...numbers(50)].join('\n'));
  const path = newCheckpoint();
  const read = () => runFlow(fromCsv(file, { checkpoint: fileCheckpoint(path) }), quiet);
  expect((await read()).delivered).toBe(50);
  writeFileSync(file, 'id\n1\n');
  await expect(read()).rejects.toThrow('it ends at line 2, and was read up to line 51 before');
});

describe('a checkpoint that another process has', () => {
  const isLinux = process.platform === 'linux';
  const boot = isLinux ? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() : '';
  /** From the third field on. */
  const statOf = (pid: number): string[] =>
    readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
  const lockOf = (pid: number): string =>
    `${pid} ${hostname()}${isLinux ? ` ${statOf(pid)[19]}@${boot}` : ''}\n`;
  const oldLockOf = (pid: number): string => `${pid} ${hostname()}\n`;

  const held = async (content: string, path = newCheckpoint()): Promise<{ readonly delivered: number }> => {
    writeFileSync(`${path}.lock`, content);
    const report = await runFlow(fromNdjson<number>(input, { checkpoint: fileCheckpoint(path) }), quiet);
    expect(readFileSync(`${path}.lock`, 'utf8')).toBe(lockOf(process.pid));
    return report;
  };

  /** Starts a program, and gives it `use` with the number that it prints. */
  async function withProgram(
    command: string,
    args: string[],
    use: (pid: number) => Promise<void>,
  ): Promise<void> {
    const program = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [printed] = (await once(program.stdout, 'data')) as [Buffer];
      await use(Number(printed.toString()));
    } finally {
      program.kill('SIGKILL');
      await once(program, 'exit');
    }
  }
  // Its name looks like the fields of a zombie.
  const withOther = (use: (pid: number) => Promise<void>): Promise<void> => {
    const program = `process.title = 'a) Z 1 (b'; console.log(process.pid); setInterval(() => {}, 1000)`;
    return withProgram(process.execPath, ['-e', program], use);
  };

  test.each([
    ['', lockOf],
    [', by a lock of before', oldLockOf],
  ])('is refused%s', async (_, lockOf) => {
    let lock = '';
    await withOther(async (pid) => {
      lock = lockOf(pid);
      const path = newCheckpoint();
      const ways = `if process ${pid} is another program, remove ${path}.lock`;
      const message: unknown = expect.stringMatching(new RegExp(`process ${pid} has it, .*; ${ways}$`));
      await expect(held(lock, path)).rejects.toMatchObject({ code: 'CHECKPOINT', message });
      expect(readFileSync(`${path}.lock`, 'utf8')).toBe(lock);
    });
    expect(await held(lock)).toMatchObject({ delivered: 100 }); // it is gone
  });

  test.runIf(isLinux)('is taken over where that process has been killed, and not been reaped', async () => {
    await withProgram('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], async (pid) => {
      const parent = statOf(pid)[1];
      // Once it is another program, which reaps nobody.
      await expect.poll(() => readFileSync(`/proc/${parent}/comm`, 'utf8')).toBe('sleep\n');
      process.kill(pid, 'SIGKILL');
      await expect.poll(() => statOf(pid)[0]).toBe('Z');
      expect(process.kill(pid, 0)).toBe(true);
      expect(await held(lockOf(pid))).toMatchObject({ delivered: 100 });
      expect(await held(oldLockOf(pid))).toMatchObject({ delivered: 100 });
    });
  });

  test.runIf(isLinux)('is taken over where another process has got the number', async () => {
    await withOther(async (pid) => {
      const start = Number(statOf(pid)[19]);
      const earlier = `${pid} ${hostname()} ${start - 1}@${boot}\n`;
      const beforeReboot = `${pid} ${hostname()} ${start}@8d0be4a5-7cf3-4b39-9a0c-8e3a0d2c1f11\n`;
      expect(await held(earlier)).toMatchObject({ delivered: 100 });
      expect(await held(beforeReboot)).toMatchObject({ delivered: 100 });
    });
  });

  test.each(['', 'nonsense', '1 elsewhere\n', '1 elsewhere 5@boot\n'])(
    'is taken over where nobody here has it: %j',
    async (content) => {
      expect(await held(content)).toMatchObject({ delivered: 100 });
    },
  );
});
