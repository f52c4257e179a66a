import pg from 'pg';

/** pg's own conversion of a value, the same as for parameters. */
type Prepare = (value: unknown) => Buffer | string | null;

const prepare = /* @__PURE__ */ (() =>
  (pg as { readonly utils?: { readonly prepareValue?: Prepare } }).utils?.prepareValue)();

/** Whether this pg tells how it writes values. */
export const canCopy = prepare !== undefined;

const special = /[\\\n\r\t]/;
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

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
  const text = new ChunkText();
  const last = read.length - 1;
  for (let from = 0; from < rows.length;) {
    text.clear();
    let to = from;
    while (to < rows.length && text.length < chunkLength) {
      const row = rows[to++]!;
      for (let i = 0; i < last; i++) text.cell(read[i]!(row), '\t');
      text.cell(read[last]!(row), '\n');
    }
    if (!text.finished()) continue; // the same rows again, with care
    yield Buffer.from(text.all);
    from = to;
  }
}

/**
 * The text of a chunk. Few texts have anything to be escaped: it looks once, at all texts of the chunk together, and goes
 * over to looking at each where there is something.
 */
class ChunkText {
  all = '';
  #texts = '';
  #each = false;

  get length(): number {
    return this.all.length;
  }

  clear(): void {
    this.all = this.#texts = '';
  }

  /** Whether the chunk is right as it is. */
  finished(): boolean {
    if (this.#each) return true;
    this.#each = special.test(this.#texts);
    return !this.#each;
  }

  cell(value: unknown, end: string): void {
    switch (typeof value) {
      case 'string':
        this.all += this.#escaped(value) + end;
        return;
      case 'number':
      case 'bigint':
      case 'boolean':
        this.all += String(value) + end;
        return;
      default:
        this.all += this.#prepared(value) + end;
    }
  }

  #prepared(value: unknown): string {
    const text = value === null || value === undefined ? null : prepare!(value);
    if (text === null) return '\\N';
    return typeof text === 'string' ? this.#escaped(text) : `\\\\x${text.toString('hex')}`;
  }

  #escaped(text: string): string {
    if (!this.#each) {
      this.#texts += text;
      return text;
    }
    return special.test(text) ? text.replace(/[\\\n\r\t]/g, (character) => escapes[character]!) : text;
  }
}
