import fc from 'fast-check';
import { afterAll, describe, expect, expectTypeOf, test } from 'vitest';
import { type Observable } from 'rxjs';
import { fromCsv, type BadRecord, type CsvField, type FromCsvOptions } from 'sluice/files';
import { all, ending, TestFolder } from './folder.ts';

const folder = new TestFolder();
afterAll(() => folder[Symbol.dispose]());

const quoted = (field: string | null): string => (field === null ? '' : `"${field.replaceAll('"', '""')}"`);

describe('fromCsv', () => {
  test('gives objects by the header, text unless a type is given', async () => {
    const path = folder.file(
      'orders.csv',
      '\ufeffid,name,paid,big,more,day\r\n1,"Ann ""A"" O\'Neil",true,9007199254740993,"[1,{""a"":null}]",2024-01-02\r\n',
    );
    const types = {
      id: 'number',
      paid: 'boolean',
      big: 'bigint',
      more: 'json',
      day: (text: string) => new Date(text),
    } as const;
    expect(await all(fromCsv(path, { types }))).toEqual([
      {
        id: 1,
        name: 'Ann "A" O\'Neil',
        paid: true,
        big: 9007199254740993n,
        more: [1, { a: null }],
        day: new Date('2024-01-02'),
      },
    ]);
    expectTypeOf(fromCsv(path)).toEqualTypeOf<Observable<Record<string, CsvField>>>();
  });

  test('an empty field is null, an empty string has quotes; types leave null alone', async () => {
    const path = folder.file('empty.csv', 'a,b,c\n,"",\n\n"",,1\n');
    expect(await all(fromCsv(path, { types: { c: 'number' } }))).toEqual([
      { a: null, b: '', c: null },
      { a: '', b: null, c: 1 },
    ]);
  });

  test('fields may have line breaks, commas and quotes; cut anywhere it is the same', async () => {
    const field = fc.option(
      fc.string({ unit: fc.constantFrom('a', 'é', '😀', '"', ',', '\n', '\r\n', '\r', ' ') }),
    );
    const tables = fc.array(fc.tuple(field, field, fc.string({ unit: fc.constantFrom('x', '"', '\n') })));
    const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
    await fc.assert(
      fc.asyncProperty(tables, fc.integer({ min: 1, max: 7 }), lineEnd, async (rows, size, end) => {
        const text = `a,b,c${end}${rows.map((row) => `${row.map(quoted).join(',')}${end}`).join('')}`;
        const bytes = Buffer.from(text);
        const pieces = async function* () {
          for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
        };
        const expected = rows.map(([a, b, c]) => ({ a, b, c }));
        expect(await all(fromCsv(pieces))).toEqual(expected);
        expect(await all(fromCsv(folder.file('any.csv', bytes)))).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  test('a header by option, a delimiter by option or name', async () => {
    const header = ['a', 'b'] as const;
    const lines = 'x;y\n';
    expect(await all(fromCsv(folder.file('no-header.csv', lines), { header, delimiter: ';' }))).toEqual([
      { a: 'x', b: 'y' },
    ]);
    expect(await all(fromCsv(folder.file('tabs.tsv', 'a\tb\n1,5\t2\n')))).toEqual([{ a: '1,5', b: '2' }]);
  });

  test.each([
    ['a number', { v: 'number' }, ['1x', '0x10', 'Infinity', '1e999'], 'is not a number'],
    ['more than a number', { v: 'number' }, ['9007199254740993'], 'has more digits than a number can hold'],
    ['a bigint', { v: 'bigint' }, ['1.5'], 'is not a whole number'],
    ['a boolean', { v: 'boolean' }, ['yes'], 'is neither true nor false'],
    ['json', { v: 'json' }, ['{oops'], 'is not JSON'],
    [
      'a function',
      {
        v: () => {
          throw new Error('secret');
        },
      },
      ['x'],
      'is refused',
    ],
  ] as const)('not %s: the error names file, line and field', async (_, types, texts, what) => {
    for (const text of texts) {
      const path = folder.file('typed.csv', `id,v\n1,\n2,${text}\n3,\n`);
      const { values, error } = await ending(fromCsv(path, { types }));
      expect(values).toHaveLength(1);
      expect(error).toMatchObject({ code: 'FILE_RECORD', file: path, line: 3, field: 'v' });
      expect((error as Error).message).toContain(`typed.csv:3: field 'v' ${what}`);
      expect((error as Error).message.replace(path, '')).not.toContain(text);
    }
  });

  test('bad records are told with their lines, and the others come in order', async () => {
    const bad: BadRecord[] = [];
    const withEnds = (end: string): Buffer =>
      Buffer.concat([
        Buffer.from('id,v\n1,"a\r\nb"\n2\n3,c,d\n\n4,'.replaceAll(/(?<!\r)\n/g, end)),
        Buffer.from([0xff]),
        Buffer.from(`${end}5,é${end}6`),
      ]);
    for (const [end, size] of ['\n', '\r\n', '\r'].flatMap((e) =>
      [1, 5, 1_000].map((n) => [e, n] as const),
    )) {
      const text = withEnds(end);
      bad.length = 0;
      const pieces = async function* () {
        for (let at = 0; at < text.length; at += size) yield text.subarray(at, at + size);
      };
      const values = await all(fromCsv(pieces, { onBadRecord: (record) => void bad.push(record) }));
      expect(values).toEqual([
        { id: '1', v: 'a\r\nb' },
        { id: '5', v: 'é' },
      ]);
      expect(bad.map(({ line, error }) => [line, error.message])).toEqual([
        [4, 'input:4: has 1 fields, and the header has 2'],
        [5, 'input:5: has 3 fields, and the header has 2'],
        [7, 'input:7: is not UTF-8; convert it first, say with iconv -f latin1 -t utf-8'],
        [9, 'input:9: has 1 fields, and the header has 2'],
      ]);
    }
  });

  test.each([
    ['out of place', 'a,b\n1,2\n3,"x"y\n4,5\n', 3],
    ['never closed', 'a,b\n1,2\n3,"x\n4,5\n', 3],
  ])('a quote %s ends it, whatever onBadRecord says, after what stands before', async (_, text, line) => {
    const { values, error } = await ending(fromCsv(folder.file('quote.csv', text), { onBadRecord: 'drop' }));
    expect(values).toEqual([{ a: '1', b: '2' }]);
    expect(error).toMatchObject({ code: 'FILE_RECORD', line });
    expect((error as Error).message).toContain('a quote out of place');
  });

  test.each([
    ['a,b,a\n', "names 'a' twice"],
    ['__proto__,b\n', "called '__proto__'"],
    ['a;b\n', "the header has no field 'c', only 'a;b'"],
    [`${Array.from({ length: 11 }, (_, i) => `f${i}`).join(',')}\n`, "no field 'c', only 'f0', "],
    [`${Array.from({ length: 11 }, (_, i) => `f${i}`).join(',')}\n`, "'f9' …"],
  ])('a header %j is refused', async (text, what) => {
    const { error } = await ending(fromCsv(folder.file('header.csv', text), { types: { c: 'number' } }));
    expect(error).toMatchObject({ code: 'FILE_BROKEN' });
    expect((error as Error).message).toContain(what);
  });

  test('a record longer than maxLineBytes is an error', async () => {
    const path = folder.file('long.csv', `a,b\n1,2\n3,"${'x\n'.repeat(5_000)}"\n`);
    const { values, error } = await ending(fromCsv(path, { maxLineBytes: 1_000 }));
    expect(values).toHaveLength(1);
    expect(error).toMatchObject({ code: 'FILE_BROKEN' });
  });

  test('an empty file, and one with a header alone, have no records', async () => {
    expect(await all(fromCsv(folder.file('empty.csv', '')))).toEqual([]);
    expect(await all(fromCsv(folder.file('header.csv', 'a,b')))).toEqual([]);
  });

  test('the last line may end in any way, or not at all', async () => {
    for (const end of ['', '\n', '\r\n', '\r', '\r\r']) {
      expect(await all(fromCsv(folder.file('end.csv', `id\r1\r2${end}`)))).toEqual([
        { id: '1' },
        { id: '2' },
      ]);
    }
  });

  test('the compiler asks for the types of what is not text, and of nothing else', () => {
    interface Texts {
      readonly id: string;
      readonly kind: 'a' | 'b' | null;
      readonly more?: string;
      readonly any: unknown;
    }
    interface Order extends Texts {
      readonly value: number;
      readonly at?: Date;
    }
    const types = { value: 'number', at: (text: string) => new Date(text) } as const;
    expectTypeOf(fromCsv<Texts>('a')).toEqualTypeOf<Observable<Texts>>();
    expectTypeOf(fromCsv<Texts>('a', { delimiter: ';' })).toEqualTypeOf<Observable<Texts>>();
    expectTypeOf(fromCsv<Order>('a', { types })).toEqualTypeOf<Observable<Order>>();
    const passedOn = <Row extends object>(options: FromCsvOptions<Row>) => fromCsv<Row>('a', options);
    expectTypeOf(passedOn<Order>)
      .parameter(0)
      .toExtend<{ readonly types: object }>();
    // @ts-expect-error: nothing says that they are not text
    fromCsv<Order>('a');
    // @ts-expect-error: nor do other options
    fromCsv<Order>('a', { delimiter: ';' });
    // @ts-expect-error: one is missing
    fromCsv<Order>('a', { types: { value: 'number' } });
  });

  test('wrong options are found at the call', () => {
    for (const delimiter of [';;', '', '"', '\n', '\r']) {
      expect(() => fromCsv('a', { delimiter })).toThrow('fromCsv: delimiter');
    }
    expect(() => fromCsv('a', { header: ['a', 'a'] })).toThrow('fromCsv: header');
    expect(() => fromCsv('a', { header: 'ab' as never })).toThrow('fromCsv: header must be an array');
    expect(() => fromCsv('a', { types: { a: 'int' as 'number' } })).toThrow("the type of 'a'");
  });
});
