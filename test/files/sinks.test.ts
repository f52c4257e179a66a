import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import {
  concat,
  EMPTY,
  from,
  map,
  mergeMap,
  NEVER,
  of,
  take,
  takeWhile,
  tap,
  throwError,
  type Observable,
} from 'rxjs';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { fromPull, poolMap, runFlow, storeTo, toAsyncIterable, type Sink } from 'sluice';
import { fromCsv, fromNdjson, toCsv, toNdjson } from 'sluice/files';
import { all, ending, TestFolder } from './folder.ts';

const folder = new TestFolder();
afterAll(() => folder[Symbol.dispose]());
const at = (name: string): string => join(folder.path, name);
const quiet = { onWarning: () => undefined };

const store = <T>(items: readonly T[], sink: Sink<T>, maxItems = 3) =>
  runFlow(fromPull(items).pipe(storeTo(sink, { maxItems })), quiet);
const lines = (path: string): unknown[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);

/** What is in the folder that a sink left half done. */
const leftovers = (): string[] => readdirSync(folder.path).filter((name) => name.endsWith('.new'));

describe('toNdjson', () => {
  test('the file is there, whole, when the run is over, and not before', async () => {
    const path = folder.file('whole.ndjson', 'old\n');
    const sink = toNdjson(path);
    const seen: string[] = [];
    const spied: Sink<unknown> = {
      ...sink,
      close: (ending) => sink.close(ending),
      store: async (items, context) => {
        await sink.store(items, context);
        seen.push(readFileSync(path, 'utf8'));
      },
    };
    await store([1, 'é', { a: null }, [2]], spied);
    expect(new Set(seen)).toEqual(new Set(['old\n']));
    expect(lines(path)).toEqual([1, 'é', { a: null }, [2]]);
    expect(leftovers()).toEqual([]);
    await store([], toNdjson(path));
    expect(readFileSync(path, 'utf8')).toBe('');
  });

  test('inside work it is one file for each item: a sink for all of them would begin anew, so it is refused', async () => {
    const each = runFlow(
      fromPull([1, 2]).pipe(
        poolMap((n) => fromPull([n, n]).pipe(storeTo(toNdjson(at(`each${n}.ndjson`)))), { concurrency: 2 }),
      ),
    );
    expect((await each).end).toBe('completed');
    expect([1, 2].map((n) => lines(at(`each${n}.ndjson`)))).toEqual([
      [1, 1],
      [2, 2],
    ]);
    const shared = toNdjson(at('shared.ndjson'));
    const both = fromPull([1, 2]).pipe(
      poolMap((n) => fromPull([n, n]).pipe(storeTo(shared)), { concurrency: 1 }),
    );
    await expect(runFlow(both)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('make one for each item'),
    });
    expect(lines(at('shared.ndjson'))).toEqual([1, 1]);
    await expect(runFlow(both)).rejects.toMatchObject({ code: 'INVALID_OPTION' }); // the next run begins anew
    const added = toNdjson(at('added.ndjson'), { append: true });
    await runFlow(
      fromPull([1, 2]).pipe(poolMap((n) => fromPull([n, n]).pipe(storeTo(added)), { concurrency: 1 })),
    );
    expect(lines(at('added.ndjson'))).toEqual([1, 1, 2, 2]);
  });

  test.each(['gz', 'zst'])('%s, by name: other programs and fromNdjson read it', async (end) => {
    const path = at(`packed.ndjson.${end}`);
    await store([1, 2, 3, 4, 5], toNdjson(path), 2);
    expect(await all(fromNdjson(path))).toEqual([1, 2, 3, 4, 5]);
    const packed = readFileSync(path);
    if (end === 'gz') expect(gunzipSync(packed).toString()).toBe('1\n2\n3\n4\n5\n');
    else expect(zstdDecompressSync(packed).toString()).toMatch(/^1\n2\n/);
  });

  test('where the new file cannot be brought to the disk the old one is as it was, and the new one is gone', async () => {
    const path = folder.file('unsynced.ndjson', 'old\n');
    const handle = await open(path);
    await handle.close();
    const full = Object.assign(new Error('ENOSPC: no space left on device, fsync'), { code: 'ENOSPC' });
    const sync = vi.spyOn(Object.getPrototypeOf(handle) as FileHandle, 'sync').mockRejectedValueOnce(full);
    const sink = toNdjson(path);
    await expect(store([1, 2], sink)).rejects.toBe(full);
    sync.mockRestore();
    expect(readFileSync(path, 'utf8')).toBe('old\n');
    expect(leftovers()).toEqual([]);
    await store([3], sink);
    expect(lines(path)).toEqual([3]);
  });

  test('after an error or an abort the old file is as it was, and the new one is gone', async () => {
    const path = folder.file('kept.ndjson', 'old\n');
    const failing = fromPull([1, 2, 3, 4]).pipe(
      poolMap(async (n) => (n === 4 ? Promise.reject(new Error('boom')) : n), { concurrency: 1 }),
      storeTo(toNdjson(path), { maxItems: 1 }),
    );
    await expect(runFlow(failing, quiet)).rejects.toThrow('boom');
    let stored = 0;
    const slow = fromPull([1, 2, 3, 4]).pipe(
      storeTo(toNdjson(path), { maxItems: 1 }),
      poolMap((n) => (++stored === 2 ? new Promise(() => undefined) : Promise.resolve(n)), {
        concurrency: 1,
      }),
    );
    const run = runFlow(slow, quiet);
    setTimeout(() => void run.abort(), 50);
    expect((await run).end).toBe('aborted');
    expect(readFileSync(path, 'utf8')).toBe('old\n');
    expect(leftovers()).toEqual([]);
  });

  test('without runFlow: there once the flow has completed; failed or left, the old file stays', async () => {
    const path = folder.file('plain.ndjson', 'old\n');
    const flow = (then: Observable<number>) =>
      concat(fromPull([1, 2, 3]), then).pipe(storeTo<number>(toNdjson(path), { maxItems: 1 }));
    const isOver = () => vi.waitFor(() => expect(leftovers()).toEqual([]), 10_000);

    const { error } = await ending(flow(throwError(() => new Error('boom'))));
    expect(error).toMatchObject({ message: 'boom' });
    await isOver();
    expect(readFileSync(path, 'utf8')).toBe('old\n');

    const stored: number[] = [];
    const subscription = flow(NEVER).subscribe((n) => stored.push(n));
    await vi.waitFor(() => expect(stored).toHaveLength(3), 10_000);
    expect(leftovers()).toHaveLength(1);
    subscription.unsubscribe();
    await isOver();
    expect(readFileSync(path, 'utf8')).toBe('old\n');

    expect(await all(flow(EMPTY))).toEqual([1, 2, 3]);
    await vi.waitFor(() => expect(lines(path)).toEqual([1, 2, 3]), 10_000);
    await isOver();
  });

  test('without runFlow: there where an operator below completes the flow early, as in a run; not where it fails', async () => {
    const path = folder.file('early.ndjson', 'old\n');
    const source = concat(fromPull([1, 2, 3]), NEVER);
    const flow = source.pipe(storeTo<number>(toNdjson(path), { maxItems: 1 }));
    const isOver = () => vi.waitFor(() => expect(leftovers()).toEqual([]), 10_000);
    const bad = (n: number): number => {
      if (n === 2) throw new Error('boom');
      return n;
    };
    const failing = [
      flow.pipe(map(bad)),
      flow.pipe(take(2), map(bad)),
      flow.pipe(take(2), tap({ complete: () => bad(2) })),
    ];
    for (const each of failing) {
      expect((await ending(each)).error).toMatchObject({ message: 'boom' });
      await isOver();
      expect(readFileSync(path, 'utf8')).toBe('old\n');
    }
    const early = [
      flow.pipe(take(2)),
      flow.pipe(takeWhile((n) => n < 2, true)),
      flow.pipe(
        map((n) => n),
        poolMap((n) => Promise.resolve(n), { concurrency: 1 }),
        take(2),
        map((n) => n),
      ),
      of(1).pipe(mergeMap(() => flow.pipe(take(2)))),
    ];
    for (const each of early) {
      folder.file('early.ndjson', 'old\n');
      expect(await all(each)).toEqual([1, 2]);
      await isOver();
      expect(lines(path).slice(0, 2)).toEqual([1, 2]);
    }
    for await (const n of toAsyncIterable(flow.pipe(take(1)), { capacity: 1 })) expect(n).toBe(1);
    expect(lines(path)).toEqual([1]); // the end of a loop waits
  });

  test('left early inside work it is closed as well, so that another item would begin anew', async () => {
    const shared = toNdjson(at('shared-early.ndjson'));
    const both = fromPull([1, 2]).pipe(
      poolMap((n) => fromPull([n, n, n]).pipe(storeTo<number>(shared, { maxItems: 1 }), take(2)), {
        concurrency: 1,
      }),
    );
    await expect(runFlow(both, quiet)).rejects.toMatchObject({
      message: expect.stringContaining('make one for each item') as string,
    });
    expect(lines(at('shared-early.ndjson'))).toEqual([1, 1]);
  });

  test('what remembers the end of a chain is there once, however many are subscribed above it', async () => {
    const sink: Sink<number> = { store: async () => undefined, close: async () => undefined };
    const many = from(Array(20_000).keys()).pipe(mergeMap((n) => of(n).pipe(storeTo(sink, { maxItems: 1 }))));
    expect(await all(many.pipe(take(10_000)))).toHaveLength(10_000);
  });

  test.each([0o600, 0o664, 0o444])('the permissions of the file that is replaced stay: %o', async (mode) => {
    const path = folder.file(`mode-${mode}.ndjson`, 'old\n');
    chmodSync(path, mode);
    await store([1], toNdjson(path));
    expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual(['1\n', mode]);
  });

  test('what symbolic links lead to is replaced, and they stay; be it there or not', async () => {
    mkdirSync(at('elsewhere'));
    symlinkSync('elsewhere/linked.ndjson', at('linked.ndjson'));
    symlinkSync('linked.ndjson', at('twice.ndjson'));
    for (const items of [[1], [2]]) {
      await store(items, toNdjson(at('twice.ndjson')));
      expect(lines(at('elsewhere/linked.ndjson'))).toEqual(items);
      expect(lstatSync(at('linked.ndjson')).isSymbolicLink()).toBe(true);
      expect(lstatSync(at('twice.ndjson')).isSymbolicLink()).toBe(true);
    }
    expect(readdirSync(at('elsewhere'))).toEqual(['linked.ndjson']);
  });

  test('a link to nothing in a folder that is a link leads where it would be opened', async () => {
    mkdirSync(at('real/deep'), { recursive: true });
    symlinkSync('real/deep', at('short'));
    symlinkSync('../found.ndjson', at('real/deep/link.ndjson'));
    await store([1], toNdjson(at('short/link.ndjson')));
    expect(lines(at('real/found.ndjson'))).toEqual([1]);
    expect(existsSync(at('found.ndjson'))).toBe(false);
  });

  test.each(['a'.repeat(255), 'é'.repeat(127), '🐟'.repeat(63)])(
    'a name may be as long as the file system allows, whatever its letters: %#',
    async (name) => {
      for (const items of [[1], [2]]) {
        await store(items, toNdjson(at(name)));
        expect(lines(at(name))).toEqual(items);
      }
      await store([{ a: 1 }], toCsv(at(name), { columns: ['a'] }));
      expect(readFileSync(at(name), 'utf8')).toContain('a');
    },
  );

  test('drained, it has what was taken in', async () => {
    const path = at('drained.ndjson');
    function* endless() {
      for (let n = 1; ; n++) yield n;
    }
    const run = runFlow(
      fromPull(endless).pipe(
        poolMap((n) => new Promise<number>((resolve) => setTimeout(resolve, 1, n)), { concurrency: 1 }),
        storeTo(toNdjson(path), { maxItems: 5 }),
      ),
    );
    setTimeout(() => void run.drain(), 50);
    const { stored, itemsIn } = await run;
    expect(stored).toBe(itemsIn);
    expect(lines(path)).toHaveLength(stored);
  });

  test('append adds to what is there, and to a line that was cut off it adds a newline first', async () => {
    const path = at('log.ndjson');
    await store([1, 2], toNdjson(path, { append: true }));
    await store([3], toNdjson(path, { append: true }));
    writeFileSync(path, '4', { flag: 'a' });
    await store([5], toNdjson(path, { append: true }));
    expect(lines(path)).toEqual([1, 2, 3, 4, 5]);
  });

  test.each(['gz', 'zst'])('append adds nothing to a %s file that was cut off', async (end) => {
    const path = at(`cut.ndjson.${end}`);
    await store([1, 2, 3], toNdjson(path, { append: true }), 1);
    await store([4], toNdjson(path, { append: true }), 1);
    expect(await all(fromNdjson(path))).toEqual([1, 2, 3, 4]);
    const cut = readFileSync(path).subarray(0, -3);
    writeFileSync(path, cut);
    const run = store([5], toNdjson(path, { append: true }));
    await expect(run).rejects.toMatchObject({
      code: 'FILE_BROKEN',
      message: `${path}: it cannot be appended to, since what follows could not be read; move it away, or mend it`,
    });
    expect(readFileSync(path)).toEqual(cut);
  });

  test('several batches at once do not mix', async () => {
    const path = at('wide.ndjson');
    const items = Array.from({ length: 2_000 }, (_, i) => ({ i, text: 'x'.repeat(i % 50) }));
    await runFlow(fromPull(items).pipe(storeTo(toNdjson(path), { maxItems: 10, concurrency: 8 })));
    expect(lines(path)).toHaveLength(2_000);
    expect(new Set(lines(path).map((line) => (line as { i: number }).i)).size).toBe(2_000);
  });

  test('an item without JSON is a dead letter, the others are stored', async () => {
    const path = at('letters.ndjson');
    const dead: unknown[] = [];
    const items = [1, undefined, 2n, 3];
    const flow = fromPull(items).pipe(
      storeTo(toNdjson(path), { onFailure: ({ value }) => void dead.push(value) }),
    );
    await runFlow(flow, quiet);
    expect(lines(path)).toEqual([1, 3]);
    expect(dead).toEqual([undefined, 2n]);
  });

  test('a folder that is not there, or a target that is one, is a failed run', async () => {
    await expect(store([1], toNdjson(at('no/such.ndjson')))).rejects.toMatchObject({ code: 'ENOENT' });
    mkdirSync(at('folder.ndjson'));
    await expect(store([1], toNdjson(at('folder.ndjson')))).rejects.toMatchObject({ code: 'FILE_BROKEN' });
    expect(leftovers()).toEqual([]);
  });

  test.skipIf(!existsSync('/dev/full'))('a full disk is tried again', async () => {
    const sink = toNdjson('/dev/full', { append: true });
    const failure: unknown = await sink
      .store([1], { attempt: 1, signal: new AbortController().signal })
      .catch((error: unknown) => error);
    expect(sink.classify(failure)).not.toBe('data');
    expect(sink.classify(Object.assign(new Error(), { code: 'ENOSPC' }))).toBe('retry');
    expect(sink.classify(Object.assign(new Error(), { code: 'EROFS' }))).toBe('fatal');
    await sink.close('aborted');
  });
});

describe('toCsv', () => {
  test('fromCsv reads back what it writes', async () => {
    const field = fc.option(
      fc.string({ unit: fc.constantFrom('a', 'é', '"', ',', '\n', '\r', ' ', '\ufeff', '\t') }),
    );
    const rows = fc.array(
      fc.record({ a: field, b: field, c: fc.double({ noNaN: true, noDefaultInfinity: true }) }),
    );
    let n = 0;
    await fc.assert(
      fc.asyncProperty(rows, async (items) => {
        const path = at(`${n++}.csv`);
        await store(items, toCsv<(typeof items)[number]>(path, { columns: ['a', 'b', 'c'] }));
        const types = { c: (text: string) => Number(text) } as const;
        expect(await all(fromCsv(path, { types }))).toEqual(
          items.map((item) => ({ ...item, c: item.c + 0 })),
        );
      }),
      { numRuns: 60 },
    );
  });

  test('of a single column, too: an empty line is no record, so null is an empty string', async () => {
    const path = at('single.csv');
    const items = [null, '', undefined, 'x'].map((a) => ({ a }));
    await store(items, toCsv<{ a: string | null | undefined }>(path, { columns: ['a'] }));
    expect(await all(fromCsv(path))).toEqual(['', '', '', 'x'].map((a) => ({ a })));
  });

  test('half a surrogate pair is a dead letter: UTF-8 would make another character of it', async () => {
    const path = at('surrogates.csv');
    const dead: unknown[] = [];
    const items = ['a\ud83d', '\ude00', '\ud83d\ude00'].map((a) => ({ a }));
    const sink = toCsv<{ a: string }>(path, { columns: ['a'] });
    await runFlow(
      fromPull(items).pipe(storeTo(sink, { onFailure: ({ value }) => void dead.push(value) })),
      quiet,
    );
    expect(dead).toEqual(items.slice(0, 2));
    expect(await all(fromCsv(path))).toEqual([items[2]]);
  });

  test('the header once, also when it is added to; dates and objects have their text', async () => {
    const path = at('more.csv');
    const row = { day: new Date(0), more: { a: 1 }, none: undefined };
    const columns = ['day', 'more', 'none'] as const;
    for (let i = 0; i < 2; i++) await store([row], toCsv<typeof row>(path, { columns, append: true }));
    const line = '1970-01-01T00:00:00.000Z,"{""a"":1}",\n';
    expect(readFileSync(path, 'utf8')).toBe(`day,more,none\n${line}${line}`);
  });

  test('nothing is added under another header', async () => {
    const columns = ['a', 'b"', 'é'] as const;
    const row = { a: 1, 'b"': 2, é: 3 };
    for (const [name, header] of [
      ['bom.csv', '\ufeff"a","b""","é"\r\n'],
      ['open.csv', 'a,"b""",é'],
    ] as const) {
      const path = folder.file(name, header);
      await store([row], toCsv<typeof row>(path, { columns, append: true }));
      expect(readFileSync(path, 'utf8')).toBe(`${header}${header.endsWith('\n') ? '' : '\n'}1,2,3\n`);
      for (const other of [['b"', 'a', 'é'], ['a', 'b"'], ['a']] as const) {
        const run = store([row], toCsv<typeof row>(path, { columns: other, append: true }));
        await expect(run).rejects.toThrow(
          `${path}: its header is not that of the columns; name the same ones`,
        );
      }
    }
    const packed = at('packed.csv.gz');
    await store([row], toCsv<typeof row>(packed, { columns, append: true }));
    const run = store([row], toCsv<typeof row>(packed, { columns: ['a'], append: true }));
    await expect(run).rejects.toThrow('its header is not');
    expect(await all(fromCsv(packed))).toHaveLength(1);
  });

  test('wrong options are found at the call', () => {
    expect(() => toCsv('a', { columns: [] })).toThrow('toCsv: columns');
    expect(() => toCsv('a', { columns: 'a' as never })).toThrow(
      'toCsv: columns must be an array of one or more names',
    );
    expect(() => toCsv('', { columns: ['a' as never] })).toThrow('toCsv: path');
    for (const delimiter of ['', ';;', '"', '\n', '\r']) {
      expect(() => toCsv('a', { columns: ['a' as never], delimiter })).toThrow('toCsv: delimiter');
    }
  });
});
