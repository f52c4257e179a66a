import type { Observable } from 'rxjs';
import { FileBrokenError, FileRecordError, InvalidOptionError } from '../../errors.ts';
import { listOfNames } from '../names.ts';
import type { Bytes, FileInput } from './Bytes.ts';
import { checkDelimiter, delimiterBy } from './csvDelimiter.ts';
import { CsvReader, type CsvField, type CsvRow } from './CsvReader.ts';
import { fromRecords, type FileSourceOptions, type ReaderSettings, type RecordFormat } from './records.ts';

/** What a field is read as; a function gets its text and throws for what is wrong. */
export type CsvType = 'text' | 'number' | 'bigint' | 'boolean' | 'json' | ((text: string) => unknown);

/** The properties of a row that its text is not. */
type NotText<Row> = {
  [K in keyof Row & string]-?: string extends Row[K]
    ? never
    : Row[K] extends CsvField | undefined
      ? never
      : K;
}[keyof Row & string];

/** A row of which nothing needs a type. */
type Texts<Row> = { readonly [K in keyof Row]: K extends NotText<Row> ? CsvField : unknown };

/** Of a row that has properties which are not text, `types` says what these are read as. */
export type FromCsvOptions<Row> = CsvOptions<Row> &
  ([NotText<Row>] extends [never] ? unknown : { readonly types: Readonly<Record<NotText<Row>, CsvType>> });

interface CsvOptions<Row> extends FileSourceOptions {
  /** The names of the fields, where the file has no line with them. @defaultValue those of its first line */
  readonly header?: readonly (keyof Row & string)[];
  /** What fields are read as, by name. @defaultValue text */
  readonly types?: Readonly<Partial<Record<keyof Row & string, CsvType>>>;
  /** What stands between two fields: one character, not `"`. @defaultValue a tab where the name ends in `.tsv`, else a comma */
  readonly delimiter?: string;
}

/**
 * Emits the records of a CSV file as objects, reading on only while the stage below has room; over csv-parse.
 *
 *     fromCsv<Order>('orders.csv.gz', { types: { id: 'number', paid: 'boolean' } })
 *
 * A field that is empty and has no quotes is null, and `""` is an empty string, as PostgreSQL has it. Fields are text
 * unless `types` says otherwise: `'number'` refuses what a number cannot hold exactly, `'boolean'` is `true` or `false`.
 * Lines end in `\n`, `\r\n` or `\r`; fields in quotes may hold line breaks; empty lines are left out.
 *
 * A bad record has more or fewer fields than the header, a field that is not of its type, or is not UTF-8. A quote out of
 * place always ends the flow with `FileRecordError`: nobody can tell where its record ends. In all else it is as
 * `fromLines`.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function fromCsv<Row extends Texts<Row> = Record<string, CsvField>>(
  input: FileInput,
  options?: FromCsvOptions<Row>,
): Observable<Row>;
export function fromCsv<Row extends object>(input: FileInput, options: FromCsvOptions<Row>): Observable<Row>;
export function fromCsv<Row extends object>(
  input: FileInput,
  options = {} as FromCsvOptions<Row>,
): Observable<Row> {
  return fromRecords(csvFormat(options), input, options);
}

/** How a CSV file is read. */
export function csvFormat<Row extends object>(options: FromCsvOptions<Row>): RecordFormat<CsvRow, Row> {
  const { header, types = {}, delimiter } = options;
  if (header !== undefined) checkNames(header);
  checkDelimiter('fromCsv', delimiter);
  const parsers = new Map(
    Object.entries(types).map(([field, type]) => [field, parserOf(field, type as CsvType)]),
  );
  return {
    operator: 'fromCsv',
    open: (bytes, settings) =>
      new CsvRecords(bytes, settings, { header, delimiter, known: [...parsers.keys()] }),
    parse: (row, file) => objectOf(row, file, parsers) as Row,
    textOf: ({ fields }) => JSON.stringify(fields),
  };
}

/** A record that knows the header it came under. */
interface HeadedRow extends CsvRow {
  readonly header: readonly string[];
}

interface HeaderSettings {
  readonly header: readonly string[] | undefined;
  readonly delimiter: string | undefined;
  /** Fields that must be in it. */
  readonly known: readonly string[];
}

/** The records below the header, of which those up to `after` are left out. */
class CsvRecords {
  readonly #reader: CsvReader;
  readonly #name: string;
  readonly #after: number;
  readonly #known: readonly string[];
  #header: readonly string[] | undefined;
  /** The last line of the last record. */
  #last = 0;

  constructor(bytes: Bytes, { name, maxLineBytes, after }: ReaderSettings, settings: HeaderSettings) {
    const { header, delimiter = delimiterBy(name), known } = settings;
    this.#reader = new CsvReader(bytes, { name, delimiter, maxRecordBytes: maxLineBytes });
    this.#name = name;
    this.#after = after?.line ?? 0;
    this.#known = known;
    if (header) this.#setHeader(header);
  }

  take(): HeadedRow | undefined {
    for (let row = this.#reader.take(); row !== undefined; row = this.#reader.take()) {
      this.#last = row.number;
      if (!this.#header) this.#setHeader(row.fields.map((field) => field ?? ''));
      else if (row.number > this.#after) return { ...row, header: this.#header };
    }
    return undefined;
  }

  async fill(): Promise<boolean> {
    if (await this.#reader.fill()) return true;
    if (this.#last >= this.#after) return false;
    throw new FileBrokenError(
      this.#name,
      `it ends at line ${this.#last}, and was read up to line ${this.#after} before: it is not the file that was read`,
    );
  }

  close(): void {
    this.#reader.close();
  }

  #setHeader(names: readonly string[]): void {
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) throw new FileBrokenError(this.#name, `the header names '${twice}' twice`);
    if (names.includes('__proto__')) throw new FileBrokenError(this.#name, "a field is called '__proto__'");
    const missing = this.#known.find((field) => !names.includes(field));
    if (missing !== undefined) {
      const found = names.slice(0, shownFields).map((name) => `'${name.slice(0, shownCharacters)}'`);
      const more = names.length > shownFields ? ' …' : '';
      const what = `the header has no field '${missing}', only ${found.join(', ')}${more}`;
      throw new FileBrokenError(this.#name, what);
    }
    this.#header = names;
  }
}

/** What a message shows of a header. */
const [shownFields, shownCharacters] = [10, 80];

type FieldParser = (text: string) => unknown;

function objectOf(
  row: CsvRow,
  file: string,
  parsers: ReadonlyMap<string, FieldParser>,
): Record<string, unknown> {
  const { fields, number, header } = row as HeadedRow;
  if (fields.length !== header.length) {
    throw new FileRecordError(
      file,
      number,
      `has ${fields.length} fields, and the header has ${header.length}`,
    );
  }
  const record: Record<string, unknown> = {};
  for (let i = 0; i < header.length; i++) {
    const name = header[i]!;
    const text = fields[i] ?? null;
    const parse = text === null ? undefined : parsers.get(name);
    if (!parse) {
      record[name] = text;
      continue;
    }
    try {
      record[name] = parse(text!);
    } catch (error) {
      throw new FileRecordError(
        file,
        number,
        error instanceof NotOfTypeError ? error.message : 'is refused',
        name,
      );
    }
  }
  return record;
}

class NotOfTypeError extends Error {}

const decimal = /^\s*[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?\s*$/i;
const whole = /^\s*[+-]?\d+\s*$/;

const parserByType: Readonly<Record<string, FieldParser>> = {
  text: (text) => text,
  number(text) {
    const value = Number(text);
    if (!decimal.test(text) || !Number.isFinite(value)) throw new NotOfTypeError('is not a number');
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      throw new NotOfTypeError('has more digits than a number can hold: read it as bigint or text');
    }
    return value;
  },
  bigint(text) {
    if (!whole.test(text)) throw new NotOfTypeError('is not a whole number');
    return BigInt(text.trim().replace(/^\+/, ''));
  },
  boolean(text) {
    const value = text.trim().toLowerCase();
    if (value !== 'true' && value !== 'false') throw new NotOfTypeError('is neither true nor false');
    return value === 'true';
  },
  json(text) {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw new NotOfTypeError('is not JSON');
    }
  },
};

function parserOf(field: string, type: CsvType): FieldParser {
  if (typeof type === 'function') return type;
  const parser = parserByType[type];
  if (parser) return parser;
  const choices = Object.keys(parserByType).join(', ');
  throw new InvalidOptionError(`fromCsv: the type of '${field}' must be a function or one of ${choices}`);
}

function checkNames(header: readonly string[]): void {
  listOfNames('fromCsv: header', header, 1);
  if (new Set(header).size === header.length && !header.includes('')) return;
  throw new InvalidOptionError('fromCsv: header must be names, each once');
}
