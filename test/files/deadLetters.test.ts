import { mkdtempSync, rmSync } from 'node:fs';
import { appendFile, open, readFile, writeFile, mkdir, rename, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { map, toArray, lastValueFrom, type Observable } from 'rxjs';
import { afterAll, afterEach, beforeEach, describe, expect, it, test, vi } from 'vitest';
import {
  fromPull,
  InvalidOptionError,
  poolMap,
  runFlow,
  storeTo,
  type DeadLetter,
  type Settlement,
  type SinkContext,
} from 'sluice';
import * as files from 'sluice/files';
import { DeadLetterError, fromDeadLetters, toDeadLetters, type StoredDeadLetter } from 'sluice/files';
import { mutant, removeMutants } from '../support/mutant.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-letters-'));
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await removeMutants();
});
let path: string;
let paths = 0;
beforeEach(() => {
  path = join(folder, `${++paths}.ndjson`);
});
afterEach(() => {
  vi.restoreAllMocks();
});

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
const context = (signal = new AbortController().signal): SinkContext => ({ attempt: 1, signal });
const letter = <T>(value: T, error: unknown = new Error('no')): DeadLetter<T> => ({
  value,
  error,
  attempts: 3,
  stage: 'work',
  elapsedMs: 12.5,
});
const all = <T>(letters$: Observable<StoredDeadLetter<T>>): Promise<StoredDeadLetter<T>[]> =>
  lastValueFrom(letters$.pipe(toArray()));
const values = async (from = path): Promise<unknown[]> =>
  (await all(fromDeadLetters(from))).map(({ value }) => value);

type Handles = Pick<FileHandle, 'sync'> & { write(bytes: Uint8Array): Promise<{ bytesWritten: number }> };

/** What `FileHandle` has in common for all files. */
async function fileHandles(): Promise<Handles> {
  const handle = await open(folder, 'r');
  await handle.close();
  return Object.getPrototypeOf(handle) as never;
}

test('letters come back as they went, with the error as plain data', async () => {
  const before = Date.now();
  const sink = toDeadLetters(path);
  const cause = Object.assign(new TypeError('inner'), { code: 'ECONNRESET' });
  await sink.store(
    [letter({ id: 1, at: new Date(0), text: 'ä\n"\u2028' }, new Error('outer', { cause }))],
    context(),
  );
  await sink.store(
    [letter('thrown text', 'just text'), letter(null, { code: 7, message: 'an object' })],
    context(),
  );
  await sink.close();

  const [first, second, third] = await all(fromDeadLetters(path));
  expect(first).toMatchObject({ stage: 'work', attempts: 3, elapsedMs: 12.5 });
  expect(first!.value).toEqual({ id: 1, at: '1970-01-01T00:00:00.000Z', text: 'ä\n"\u2028' });
  expect(first!.error).toEqual({
    name: 'Error',
    message: 'outer',
    stack: expect.stringContaining('deadLetters.test') as string,
    cause: { name: 'TypeError', message: 'inner', code: 'ECONNRESET', stack: expect.any(String) as string },
  });
  expect(first!.at.getTime()).toBeGreaterThanOrEqual(before);
  expect(second).toMatchObject({ value: 'thrown text', error: { name: 'string', message: 'just text' } });
  expect(third).toMatchObject({ value: null, error: { name: 'object', message: 'an object', code: 7 } });
});

test('an error that is hostile, or its own cause, is written all the same', async () => {
  const hostile = {
    get message(): string {
      throw new Error('no');
    },
  };
  const circular = new Error('circular');
  circular.cause = circular;
  const sink = toDeadLetters(path);
  await sink.store([letter(1, hostile), letter(2, circular), letter(3, Object.create(null))], context());
  await sink.close();
  const errors = (await all(fromDeadLetters(path))).map(({ error }) => error.message);
  expect(errors).toEqual(['an error that cannot be read', 'circular', '{}']);
});

describe('a value that JSON cannot carry', () => {
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  it.each([
    ['a bigint', { id: 1n }],
    ['NaN', { id: NaN }],
    ['Infinity', [Infinity]],
    ['a function', { id: () => 1 }],
    ['a symbol', { id: Symbol('s') }],
    ['a Map', { id: new Map([[1, 2]]) }],
    ['a Set', [new Set([1])]],
    ['binary data', { id: new Uint8Array(2) }],
    ['a Buffer', { id: Buffer.from('a') }],
    ['an Error', { id: new Error('a') }],
    ['an invalid Date', { id: new Date(NaN) }],
    ['undefined in an array', [undefined]],
    ['undefined itself', undefined],
    ['a circle', circle],
  ])('ends the flow and is handed back: %s', async (_what, value) => {
    const failing = poolMap(() => Promise.reject<number>(new Error('no')), {
      concurrency: 1,
      name: 'work',
      onFailure: toDeadLetters(path),
    });
    const settled: Settlement<unknown>[] = [];
    const source = fromPull([value], { onSettled: (settlement) => settled.push(settlement) });
    const run = runFlow(source.pipe(failing));
    await expect(run).rejects.toThrow(
      /^toDeadLetters: the value of a dead letter of work cannot be written as JSON/,
    );
    await expect(run).rejects.toMatchObject({ code: 'DEAD_LETTER', retryable: false });
    expect(run.report()).toMatchObject({ dead: 0, leftOver: 1, left: [{ stage: 'work', value }] });
    expect(settled).toMatchObject([{ value, failure: expect.any(Error) as Error }]);
  });

  it('is carried by encode, and made again by decode, which may refuse it', async () => {
    const sink = toDeadLetters<bigint>(path, { encode: String });
    await sink.store([letter(2n ** 70n)], context());
    await sink.close();
    const decode = (written: unknown): bigint => BigInt(written as string);
    expect((await all(fromDeadLetters(path, { decode })))[0]!.value).toBe(2n ** 70n);
    const refuse = (): never => {
      throw new Error('out of date');
    };
    await expect(all(fromDeadLetters(path, { decode: refuse }))).rejects.toMatchObject({
      message: `fromDeadLetters: ${path}: line 1 is no dead letter, or its value was refused`,
      cause: new Error('out of date'),
    });
  });

  it('leaves the others of its batch unwritten: none of them counts', async () => {
    const sink = toDeadLetters(path);
    await expect(sink.store([letter(1), letter(2n)], context())).rejects.toThrow(DeadLetterError);
    await sink.store([letter(3)], context());
    await sink.close();
    expect(await values()).toEqual([3]);
  });
});

describe('a line that a crash tore off', () => {
  const torn = '{"at":"2026-01-01T00:00:00.000Z","stage":"wo';

  it('is not read', async () => {
    const sink = toDeadLetters(path);
    await sink.store([letter(1), letter(2)], context());
    await sink.close();
    await appendFile(path, torn);
    expect(await values()).toEqual([1, 2]);
  });

  it('is void once letters are written after it, be it whole but for its newline', async () => {
    for (const rest of [torn, 'whole']) {
      const sink = toDeadLetters(path);
      await sink.store([letter(`before ${rest}`)], context());
      await sink.close();
      const text = await readFile(path, 'utf8');
      await appendFile(path, rest === 'whole' ? text.split('\n').at(-2)! : rest);
      const again = toDeadLetters(path);
      await again.store([letter(`after ${rest}`)], context());
      await again.close();
    }
    expect(await values()).toEqual([`before ${torn}`, `after ${torn}`, 'before whole', 'after whole']);
  });

  it('would take the next letter with it, where it is not made void', async () => {
    const broken = await mutant<typeof files>('src/connectors/files.ts', {
      file: 'src/connectors/files/LetterFile.ts',
      find: 'buffer[0] !== NEWLINE',
      replace: 'buffer[0] === undefined',
    });
    await writeFile(path, torn);
    const sink = broken.toDeadLetters(path);
    await sink.store([letter(1)], context());
    await sink.close();
    await expect(values()).rejects.toThrow('line 1 is no dead letter');
  });

  it('is void where the disk was full in the middle of a line, and there is room again', async () => {
    const handles = await fileHandles();
    const { write } = handles;
    const full = vi.spyOn(handles, 'write').mockImplementationOnce(async function (
      this: typeof handles,
      bytes,
    ) {
      await write.call(this, bytes.subarray(0, 20));
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    });
    const sink = toDeadLetters(path);
    await expect(sink.store([letter(1)], context())).rejects.toMatchObject({
      message: `toDeadLetters: ${path} cannot be written: ENOSPC: no space left on device, write`,
      retryable: true,
    });
    await sink.store([letter(2)], context());
    await sink.close();
    expect(full).toHaveBeenCalledTimes(2); // half a line; its end, with the letter
    expect(await values()).toEqual([2]);
  });

  it('does not count as written where the disk took a part of it without a word', async () => {
    const handles = await fileHandles();
    const { write } = handles;
    vi.spyOn(handles, 'write').mockImplementationOnce(async function (this: typeof handles, bytes) {
      return write.call(this, bytes.subarray(0, 20));
    });
    const sink = toDeadLetters(path);
    await expect(sink.store([letter(1)], context())).rejects.toThrow('the disk took only a part of it');
    await sink.store([letter(2)], context());
    await sink.close();
    expect(await values()).toEqual([2]);
  });

  it('is void before the next letter of another that has the file open', async () => {
    const other = toDeadLetters(path);
    await other.store([letter(1)], context());
    await appendFile(path, torn);
    await other.store([letter(2)], context());
    await other.close();
    expect(await values()).toEqual([1, 2]);
  });
});

describe('long letters of several writers at once', () => {
  async function written(lib: typeof files): Promise<unknown[]> {
    const sinks = [1, 2, 3].map(() => lib.toDeadLetters<{ n: number; text: string }>(path));
    const text = 'x'.repeat(2_000_000);
    for (const round of upTo(3)) {
      await Promise.all(sinks.map((sink, i) => sink.store([letter({ n: 3 * round + i, text })], context())));
    }
    for (const sink of sinks) await sink.close();
    return (await values()).map((value) => (value as { n: number }).n).sort((a, b) => a - b);
  }

  it('do not run into each other', async () => {
    expect(await written(files)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  it('do where they are written in pieces', async () => {
    const broken = await mutant<typeof files>('src/connectors/files.ts', {
      file: 'src/connectors/files/LetterFile.ts',
      find: 'await appendAtOnce(this.#file, lines)',
      replace: 'await this.#file.appendFile(lines)',
    });
    await expect(written(broken)).rejects.toThrow(/line \d+ is no dead letter/);
  });
});

test('a whole line that is no dead letter is an error that names it, and those before it have come', async () => {
  const sink = toDeadLetters(path);
  await sink.store([letter(1)], context());
  await sink.close();
  await appendFile(path, '{"id":17}\n');
  const seen: unknown[] = [];
  const failed = runFlow(fromDeadLetters(path).pipe(map(({ value }) => seen.push(value))));
  await expect(failed).rejects.toThrow(`${path}: line 2 is no dead letter`);
  expect(seen).toEqual([1]);
});

test('a file that is not there is an error, an empty one has no letters', async () => {
  await expect(values()).rejects.toThrow('ENOENT');
  await writeFile(path, '');
  expect(await values()).toEqual([]);
});

test('a folder that is not there is refused when the sink is made', () => {
  expect(() => toDeadLetters(join(folder, 'no', 'letters'))).toThrow(InvalidOptionError);
  expect(() => toDeadLetters('')).toThrow(InvalidOptionError);
});

describe('fsync', () => {
  async function order(lib: typeof files): Promise<string[]> {
    const events: string[] = [];
    const handles = await fileHandles();
    const { sync } = handles;
    vi.spyOn(handles, 'sync').mockImplementation(async function (this: typeof handles) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await sync.call(this);
      events.push('synced');
    });
    const sink = lib.toDeadLetters(path);
    await sink.store([letter(1)], context());
    events.push('written');
    await sink.close();
    return events;
  }

  it('comes before a letter counts as written, that of a new folder entry too', async () => {
    expect(await order(files)).toEqual(['synced', 'synced', 'written']);
  });

  it('does not where it is left out', async () => {
    const broken = await mutant<typeof files>('src/connectors/files.ts', {
      file: 'src/connectors/files/LetterFile.ts',
      find: 'await this.#file.sync();',
      replace: '',
    });
    expect(await order(broken)).not.toEqual(['synced', 'synced', 'written']);
  });

  it('is one for letters that wait at once', async () => {
    const handles = await fileHandles();
    const synced = vi.spyOn(handles, 'sync');
    const sink = toDeadLetters(path);
    await Promise.all(upTo(100).map((n) => sink.store([letter(n)], context())));
    await sink.close();
    expect(await values()).toEqual(upTo(100));
    expect(synced.mock.calls.length).toBeLessThanOrEqual(3); // the folder, the first that found nobody, the others
  });
});

test('a stopped stage writes nothing more', async () => {
  const sink = toDeadLetters(path);
  await expect(sink.store([letter(1)], context(AbortSignal.abort(new Error('stopped'))))).rejects.toThrow(
    'stopped',
  );
  await sink.close();
  await expect(values()).rejects.toThrow('ENOENT');
});

test('a sink that was closed is opened again by the next letter, as a flow is by its next subscription', async () => {
  const sink = toDeadLetters(path);
  const flow = fromPull([1, 2]).pipe(
    poolMap(() => Promise.reject<number>(new Error('no')), { concurrency: 2, onFailure: sink }),
  );
  await runFlow(flow);
  await runFlow(flow);
  expect((await values()).sort()).toEqual([1, 1, 2, 2]);
});

test('two stages may share a sink, and two sinks a file', async () => {
  const sink = toDeadLetters(path);
  const other = toDeadLetters(path);
  const refuse = (n: number, at: number): Promise<number> =>
    n % 4 === at ? Promise.reject(new Error('no')) : Promise.resolve(n);
  const report = await runFlow(
    fromPull(upTo(400)).pipe(
      poolMap((n) => refuse(n, 0), { concurrency: 8, onFailure: sink, name: 'a' }),
      poolMap((n) => refuse(n, 1), { concurrency: 8, onFailure: sink, name: 'b' }),
      poolMap((n) => refuse(n, 2), { concurrency: 8, onFailure: other, name: 'c' }),
    ),
  );
  expect(report).toMatchObject({ dead: 300, delivered: 100 });
  const letters = await all(fromDeadLetters(path));
  expect(letters.map(({ value }) => value as number).sort((a, b) => a - b)).toEqual(
    upTo(400).filter((n) => n % 4 !== 3),
  );
});

describe('feeding back', () => {
  const table = new Map<number, string>();
  beforeEach(() => {
    table.clear();
  });
  interface Order {
    readonly id: number;
  }
  const store = storeTo(async (orders: readonly Order[]) => {
    for (const { id } of orders) table.set(id, `order ${id}`);
  });
  let repaired = false;
  const check = async (order: Order): Promise<Order> => {
    if (!repaired && order.id % 20 === 0) throw new Error(`bad order ${order.id}`);
    return order;
  };
  const work = poolMap(check, {
    concurrency: 8,
    onFailure: (letter, context) => sink().store([letter], context),
  });
  let sink: () => ReturnType<typeof toDeadLetters>;

  it('stores the 50 of 1,000 that were dead letters: nothing is lost, and nothing comes twice', async () => {
    repaired = false;
    const box = toDeadLetters(path);
    sink = () => box;
    const orders = upTo(1_000).map((id): Order => ({ id }));
    expect(await runFlow(fromPull(orders).pipe(work, store))).toMatchObject({ dead: 50, delivered: 950 });
    await box.close();
    expect(table.size).toBe(950);

    repaired = true;
    const settled: Settlement<StoredDeadLetter<Order>>[] = [];
    const back = fromDeadLetters<Order>(path, { onSettled: (settlement) => settled.push(settlement) });
    const report = await runFlow(
      back.pipe(
        map(({ value }) => value),
        work,
        store,
      ),
    );
    expect(report).toMatchObject({ itemsIn: 50, delivered: 50, dead: 0, stored: 50, leftOver: 0 });
    expect([...table.keys()].sort((a, b) => a - b)).toEqual(upTo(1_000));
    expect(settled.filter(({ failure }) => failure === undefined)).toHaveLength(50);
  });

  it('comes to an end where the letters fail again, into the same file', async () => {
    repaired = false;
    const box = toDeadLetters(path);
    sink = () => box;
    await runFlow(fromPull([{ id: 20 }, { id: 40 }]).pipe(work));
    const again = fromDeadLetters<Order>(path).pipe(map(({ value }) => value));
    expect(await runFlow(again.pipe(work))).toMatchObject({ itemsIn: 2, dead: 2 });
    await box.close();
    expect(await values()).toHaveLength(4);
    expect(await runFlow(again.pipe(work))).toMatchObject({ itemsIn: 4, dead: 4 });
  });

  it('reads as far as the stage below has room', async () => {
    const box = toDeadLetters(path);
    await box.store(
      upTo(5_000).map((n) => letter(n)),
      context(),
    );
    await box.close();
    await mkdir(join(folder, 'moved'), { recursive: true });
    const moved = join(folder, 'moved', 'letters');
    await rename(path, moved);
    let begun = 0;
    const hanging = poolMap(
      async (_: unknown, { signal }) => {
        begun++;
        await new Promise((resolve) => {
          signal.addEventListener('abort', resolve);
        });
      },
      { concurrency: 3 },
    );
    const run = runFlow(fromDeadLetters(moved).pipe(hanging));
    await vi.waitFor(() => {
      expect(begun).toBe(3);
    }, 10_000);
    expect(run.report().itemsIn).toBe(3);
    await run.abort();
  });
});
