import { truncateSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { fromPull, poolMap, runFlow } from 'sluice';
import { fileCheckpoint, fromCsv, fromLines, fromNdjson, type BadRecord, type FileInput } from 'sluice/files';
import { all, ending, TestFolder } from './folder.ts';

const folder = new TestFolder();
afterAll(() => folder[Symbol.dispose]());

/** For a machine that has more to do. */
const patience = { timeout: 10_000 };

/** Bytes in pieces, cut anywhere. */
function inPieces(bytes: Uint8Array, size: number): FileInput {
  return async function* () {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  };
}

describe('fromLines', () => {
  test.each([
    ['', []],
    ['\n', ['']],
    ['a', ['a']],
    ['a\n', ['a']],
    ['a\n\nb', ['a', '', 'b']],
    ['a\r\nb\r\n', ['a', 'b']],
    ['\ufeffa\nb\ufeff', ['a', 'b\ufeff']],
    ['\ufeff', []],
    ['é\n日本\n😀', ['é', '日本', '😀']],
  ])('%j', async (text, lines) => {
    expect(await all(fromLines(folder.file('lines.txt', text)))).toEqual(lines);
    for (const size of [1, 2, 3]) {
      expect(await all(fromLines(inPieces(Buffer.from(text), size)))).toEqual(lines);
    }
  });

  test('cut anywhere, compressed or not: the lines are those of split', async () => {
    const texts = fc.array(fc.string({ unit: 'grapheme', maxLength: 12 }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(texts, fc.integer({ min: 1, max: 9 }), async (words, size) => {
        const lines = words.map((word) => word.replace(/[\r\n\ufeff]/g, ''));
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        expect(await all(fromLines(inPieces(bytes, size)))).toEqual(lines);
        for (const [compression, packed] of [
          ['gzip', gzipSync(bytes)],
          ['zstd', zstdCompressSync(bytes)],
        ] as const) {
          expect(await all(fromLines(inPieces(packed, size), { compression }))).toEqual(lines);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('a file: URL, and a second subscription reads it again', async () => {
    const source = fromLines(pathToFileURL(folder.file('twice.txt', 'a\nb')));
    expect(await all(source)).toEqual(['a', 'b']);
    expect(await all(source)).toEqual(['a', 'b']);
  });

  test('a line that is not UTF-8 is a bad record, and those around it are not', async () => {
    const bytes = Buffer.concat([Buffer.from('é\nb'), Buffer.from([0xff]), Buffer.from('\nü\n')]);
    const path = folder.file('latin.txt', bytes);
    const { values, error } = await ending(fromLines(path));
    expect(values).toEqual(['é']);
    expect(error).toMatchObject({
      code: 'FILE_RECORD',
      file: path,
      line: 2,
      message: `${path}:2: is not UTF-8; convert it first, say with iconv -f latin1 -t utf-8`,
    });
    expect(await all(fromLines(path, { onBadRecord: 'drop' }))).toEqual(['é', 'ü']);
  });

  test('a line longer than maxLineBytes is an error, after the lines before it', async () => {
    const path = folder.file('long.txt', `short\n${'x'.repeat(200_000)}\nlast\n`);
    const { values, error } = await ending(fromLines(path, { maxLineBytes: 100_000 }));
    expect(values).toEqual(['short']);
    expect(error).toMatchObject({
      code: 'FILE_BROKEN',
      message: `${path}: line 2 is longer than 100000 bytes (maxLineBytes)`,
    });
    expect(await all(fromLines(path, { maxLineBytes: 200_000 }))).toHaveLength(3);
    const tight = folder.file('tight.txt', 'abc\nabcd\n');
    expect((await ending(fromLines(tight, { maxLineBytes: 3 }))).values).toEqual(['abc']);
  });

  test('what is not there, and a folder, are errors', async () => {
    expect((await ending(fromLines(`${folder.path}/no`))).error).toMatchObject({ code: 'ENOENT' });
    expect((await ending(fromLines(folder.path))).error).toMatchObject({ code: 'FILE_BROKEN' });
  });

  test('wrong options are found at the call', () => {
    expect(() => fromLines('')).toThrow('fromLines: input must be a path');
    expect(() => fromLines(new URL('https://example.org/a.txt'))).toThrow('must be a file: one');
    expect(() => fromLines('a', { maxLineBytes: 0 })).toThrow('fromLines: maxLineBytes');
    expect(() => fromLines('a', { onBadRecord: 'skip' as 'drop' })).toThrow('fromLines: onBadRecord');
    expect(() => fromLines('a', { compression: 'lz4' as 'gzip' })).toThrow('fromLines: compression');
  });
});

describe('compressed', () => {
  const text = Array.from({ length: 20_000 }, (_, i) => `line ${i} ${Math.sin(i)}`).join('\n');
  const checked = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
  const packed = { gz: gzipSync(text), zst: zstdCompressSync(text, checked) };

  test.each(['gz', 'zst'] as const)('%s, by name, also in several parts', async (name) => {
    const lines = await all(fromLines(folder.file(`whole.${name}`, packed[name])));
    expect(lines.join('\n')).toBe(text);
    const three = Buffer.concat([packed[name], packed[name], packed[name]]);
    expect(await all(fromLines(folder.file(`three.${name}`, three)))).toHaveLength(59_998);
    for (const size of [packed[name].length, 1_000, three.length]) {
      const compression = name === 'gz' ? 'gzip' : 'zstd';
      expect(await all(fromLines(inPieces(three, size), { compression }))).toHaveLength(59_998);
    }
  });

  test.each(['gz', 'zst'] as const)('%s that nothing says is an error, and no bad record', async (name) => {
    const options = { onBadRecord: 'drop' } as const;
    const { values, error } = await ending(fromLines(folder.file(`${name}.txt`, packed[name]), options));
    expect([values, error]).toMatchObject([[], { code: 'FILE_BROKEN' }]);
    expect((error as Error).message).toContain('neither its name nor an option says');
    await expect(all(fromCsv(inPieces(packed[name], 100), options))).rejects.toThrow('neither its name');
  });

  test.each(['gz', 'zst'] as const)('%s that is cut short is an error, never the end', async (name) => {
    const whole = packed[name];
    for (const length of [
      0,
      1,
      10,
      100,
      whole.length >> 1,
      whole.length - 9,
      whole.length - 4,
      whole.length - 1,
    ]) {
      const path = folder.file(`cut.${name}`, whole);
      truncateSync(path, length);
      const { values, error } = await ending(fromLines(path));
      expect(error, `${length} bytes`).toMatchObject({ code: 'FILE_BROKEN', file: path });
      expect(text.startsWith(values.join('\n'))).toBe(true);
    }
  });

  test.each(['gz', 'zst'] as const)(
    '%s that is damaged, or followed by something else, is an error',
    async (name) => {
      const broken = Buffer.from(packed[name]);
      broken[broken.length >> 1]! ^= 0xff;
      for (const bytes of [broken, Buffer.concat([packed[name], Buffer.from('and more')])]) {
        const { error } = await ending(fromLines(folder.file(`broken.${name}`, bytes)));
        expect(error).toMatchObject({ code: 'FILE_BROKEN' });
      }
    },
  );
});

describe('fromNdjson', () => {
  test('gives the values, without blank lines', async () => {
    const path = folder.file('a.ndjson', '{"id":1}\n\n  \r\n[2]\r\nnull\n"x"');
    expect(await all(fromNdjson(path))).toEqual([{ id: 1 }, [2], null, 'x']);
  });

  test('a bad record names its file, line and place, and not what it says', async () => {
    const path = folder.file('bad.ndjson', '{"id":1}\n{"secret":oops}\n{"id":3}\n');
    const { values, error } = await ending(fromNdjson(path));
    expect(values).toEqual([{ id: 1 }]);
    expect(error).toMatchObject({ code: 'FILE_RECORD', line: 2, retryable: false });
    expect((error as Error).message).toMatch(/bad\.ndjson:2: is not JSON/);
    expect((error as Error).message).not.toMatch(/oops|secret/);
  });

  test('onBadRecord gets it, is waited for, and the flow goes on', async () => {
    const bad: BadRecord[] = [];
    let waiting = false;
    const path = folder.file('some-bad.ndjson', '1\noops\n3\n{\n5');
    const values = await all(
      fromNdjson<number>(path, {
        onBadRecord: async (record) => {
          expect(waiting).toBe(false);
          waiting = true;
          await new Promise((resolve) => setTimeout(resolve, 5));
          waiting = false;
          bad.push(record);
        },
      }),
    );
    expect(values).toEqual([1, 3, 5]);
    expect(bad.map(({ line, text }) => [line, text])).toEqual([
      [2, 'oops'],
      [4, '{'],
    ]);
  });

  test.each([
    ["'drop'", 'drop' as const],
    ['a function', () => undefined],
  ])('what %s sets aside is in the report, with a checkpoint or without', async (_, onBadRecord) => {
    const path = folder.file('aside.ndjson', '1\noops\n3\n{');
    const source = fromNdjson<number>(path, { onBadRecord });
    expect(await runFlow(source)).toMatchObject({ itemsIn: 2, delivered: 2, setAside: 2 });
    const checkpoint = fileCheckpoint(`${folder.path}/aside-${typeof onBadRecord}.checkpoint`);
    const resumed = fromNdjson<number>(path, { onBadRecord, checkpoint });
    expect(await runFlow(resumed.pipe(poolMap(async (n) => n, { concurrency: 1 })))).toMatchObject({
      setAside: 2,
    });
  });

  test('what is set aside inside the work of a pool is in the report as well', async () => {
    const paths = [folder.file('inside-1.ndjson', '1\noops'), folder.file('inside-2.ndjson', '{\n2')];
    const flow = fromPull(paths).pipe(
      poolMap((path) => fromNdjson<number>(path, { onBadRecord: 'drop' }), { concurrency: 2 }),
    );
    expect(await runFlow(flow)).toMatchObject({ itemsIn: 2, delivered: 2, setAside: 2 });
  });

  test('onBadRecord that fails ends the flow', async () => {
    const source = fromNdjson(folder.file('fails.ndjson', '1\noops\n3'), {
      onBadRecord: () => Promise.reject(new Error('disk full')),
    });
    expect(await ending(source)).toEqual({ values: [1], error: new Error('disk full') });
  });
});

describe('demand', () => {
  test('is what is read: the pool has two items, and the input is not asked for a third chunk', async () => {
    let chunks = 0;
    const input: FileInput = async function* () {
      for (; chunks < 1_000;) {
        chunks++;
        yield Buffer.from('item\n');
      }
    };
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const flow = fromLines(input).pipe(poolMap(() => gate, { concurrency: 2 }));
    const run = runFlow(flow);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(chunks).toBeLessThanOrEqual(3);
    release();
    expect((await run).delivered).toBe(1_000);
  });

  test('draining and aborting close the input, also while it is waited for', async () => {
    for (const how of ['drain', 'abort'] as const) {
      let asked = 0;
      let closed = 0;
      const input: FileInput = (signal) => ({
        [Symbol.asyncIterator]: () => ({
          next: () => {
            asked++;
            return new Promise(() => signal.addEventListener('abort', () => closed++));
          },
        }),
      });
      const run = runFlow(fromLines(input).pipe(poolMap(async (x) => x, { concurrency: 1 })));
      await vi.waitFor(() => expect(asked).toBe(1), patience);
      void run[how]();
      if (how === 'abort') expect((await run).end).toBe('aborted');
      await vi.waitFor(() => expect(closed).toBe(1), patience);
    }
  });
});
