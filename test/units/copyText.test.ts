import { describe, expect, test } from 'vitest';
import { copyText } from '../../src/connectors/postgres/copyText.ts';
import { rowColumn, type Row } from '../../src/connectors/postgres/rows.ts';

const columns = ['id', 'note', 'tags', 'paid'].map((property) =>
  rowColumn(property, { isArray: false, isJson: property === 'tags' }, { table: 'orders', nul: 'fail' }),
);
const textOf = (rows: Row[], inOrder = false): string =>
  Buffer.concat([...copyText(rows, columns, inOrder)]).toString();
const row = { id: 1, note: 'a', tags: 'b', paid: true };
const line = '1\ta\t"b"\ttrue\n';

describe('copyText finds each value by the name of its property', () => {
  test.each<[string, Row]>([
    ['in the order of the columns', row],
    ['in another order', { paid: true, tags: 'b', note: 'a', id: 1 }],
    ['with others in front', { other: 0, ...row }],
    ['with others in between', { id: 1, other: 0, note: 'a', tags: 'b', paid: true }],
    ['with others behind', { ...row, other: 0 }],
    ['inherited', Object.create(row) as Row],
    ['some of them inherited', Object.assign(Object.create(row) as object, { id: 1, note: 'a' })],
    ['without names that can be listed', Object.defineProperty({ ...row }, 'note', { enumerable: false })],
  ])('%s', (_, given) => {
    // Also where it was in order when somebody looked, and has changed since.
    for (const inOrder of [false, true]) expect(textOf([row, given, row], inOrder)).toBe(line.repeat(3));
  });

  test.each([false, true])('and nothing where there is none, whatever the row before had: %s', (inOrder) => {
    const rows = [row, { id: 2, tags: null, paid: undefined }, {}];
    expect(textOf(rows, inOrder)).toBe(`${line}2\t\\N\t\\N\t\\N\n\\N\t\\N\t\\N\t\\N\n`);
  });
});

test('copyText escapes what the format has a meaning for, in any chunk', () => {
  const plain = Array.from({ length: 10_000 }, (_, id) => ({ ...row, id }));
  const lines = plain.map(({ id }) => `${id}\ta\t"b"\ttrue\n`).join('');
  const special = { id: 0, note: '\\ \n \r \t', tags: '\t', paid: false };
  expect(textOf([...plain, special, ...plain], true)).toBe(
    `${lines}0\t\\\\ \\n \\r \\t\t"\\\\t"\tfalse\n${lines}`,
  );
});
