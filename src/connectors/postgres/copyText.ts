import pg from 'pg';

/** pg's own conversion of a value, the same as for parameters. */
type Prepare = (value: unknown) => Buffer | string | null;

const prepare = /* @__PURE__ */ (() =>
  (pg as { readonly utils?: { readonly prepareValue?: Prepare } }).utils?.prepareValue)();

/** Whether this pg tells how it writes values. */
export const canCopy = prepare !== undefined;

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

const escaped = (text: string): string =>
  /[\\\n\r\t]/.test(text) ? text.replace(/[\\\n\r\t]/g, (character) => escapes[character]!) : text;

function cell(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return escaped(value);
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value);
    default: {
      const text = value === null || value === undefined ? null : prepare!(value);
      if (text === null) return '\\N';
      return typeof text === 'string' ? escaped(text) : `\\\\x${text.toString('hex')}`;
    }
  }
}

/** Characters in a chunk, about. */
const chunkLength = 64 * 1_024;

/**
 * Rows in the text format of COPY.
 *
 * @param read Reads each column's value of a row.
 */
export function* copyText<Row>(
  rows: readonly Row[],
  read: readonly ((row: Row) => unknown)[],
): Generator<Buffer> {
  const last = read.length - 1;
  let text = '';
  for (const row of rows) {
    for (let i = 0; i < last; i++) text += cell(read[i]!(row)) + '\t';
    text += cell(read[last]!(row)) + '\n';
    if (text.length < chunkLength) continue;
    yield Buffer.from(text);
    text = '';
  }
  if (text !== '') yield Buffer.from(text);
}
