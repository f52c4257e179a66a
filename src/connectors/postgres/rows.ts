import { PostgresRowError } from '../../errors.ts';
import type { Column } from './catalogue.ts';

export type Row = Readonly<Record<string, unknown>>;

/** Rows that have the same properties, and can therefore go in one statement. */
export interface RowGroup {
  /** In the order that the first of them has them. */
  readonly properties: readonly string[];
  readonly rows: readonly Row[];
  /** All of them have these and no others, in this order. */
  readonly inOrder: boolean;
}

export interface RowRules {
  readonly table: string;
  /** Empty: rows are only inserted. */
  readonly key: readonly string[];
  /** The properties that count; absent: all of a row's own. */
  readonly columns: readonly string[] | undefined;
  readonly onConflict: 'update' | 'ignore';
  readonly nul: 'fail' | 'strip';
}

/** One value of a key as text: the same for every writer, whatever form it has the value in. */
function keyPart(value: unknown): string {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid' : value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : JSON.stringify(value);
}

function mustBeObject(row: Row, { table }: RowRules): void {
  if (typeof row === 'object' && (row as unknown) !== null) return;
  const kind = (row as unknown) === null ? 'null' : typeof row;
  throw new PostgresRowError(table, undefined, `must be an object, got ${kind}`);
}

function keyOf(row: Row, { key, table }: RowRules): string {
  const part = (property: string): string => {
    const value = row[property];
    if (value === undefined || value === null)
      throw new PostgresRowError(table, property, 'is part of the key and missing');
    return keyPart(value);
  };
  return key.length === 1 ? part(key[0]!) : JSON.stringify(key.map(part));
}

function propertiesOf(row: Row, columns: readonly string[] | undefined): readonly string[] {
  const properties = columns ?? Object.keys(row);
  for (const property of properties)
    if (row[property] === undefined) return properties.filter((each) => row[each] !== undefined);
  return properties;
}

/** The two as if written one after the other. */
function merged(earlier: Row, later: Row, columns: readonly string[] | undefined): Row {
  const both: Record<string, unknown> = {};
  for (const row of [earlier, later])
    for (const property of propertiesOf(row, columns)) both[property] = row[property];
  return both;
}

/** A row, with its key as text, and as a number where it is a whole one; NaN where it is not. */
interface Keyed {
  readonly key: string;
  readonly number: number;
  row: Row;
}

const wholeNumber = /^-?\d{1,15}$/;

/** Whole numbers first, by size, as an index has them; all else by its text. */
function order(a: Keyed, b: Keyed): number {
  if (a.number < b.number) return -1;
  if (a.number > b.number) return 1;
  const whole = Number(Number.isNaN(a.number)) - Number(Number.isNaN(b.number));
  return whole !== 0 ? whole : a.key < b.key ? -1 : 1;
}

/**
 * One row for each key, in the order of the keys.
 *
 * The server refuses a statement that updates the same row twice (21000). And two statements that lock the same rows in
 * different orders block each other until one is killed (40P01): every writer sorts by the same text, so they never do.
 */
function oneForEachKey(items: readonly Row[], rules: RowRules): readonly Row[] {
  const all = items.map((row): Keyed => {
    const key = keyOf(row, rules);
    return { key, number: wholeNumber.test(key) ? Number(key) : NaN, row };
  });
  if (all.every((keyed, i) => i === 0 || order(all[i - 1]!, keyed) < 0)) return items;
  const byKey = new Map<string, Keyed>();
  for (const keyed of all) {
    const earlier = byKey.get(keyed.key);
    if (earlier === undefined) byKey.set(keyed.key, keyed);
    else if (rules.onConflict === 'update') earlier.row = merged(earlier.row, keyed.row, rules.columns);
  }
  return [...byKey.values()].sort(order).map(({ row }) => row);
}

/** The rows to write, grouped by the properties that they have. */
export function arrange(items: readonly Row[], rules: RowRules): RowGroup[] {
  for (const row of items) mustBeObject(row, rules);
  const given = rules.nul === 'strip' ? items.map(withoutNul) : items;
  const rows = rules.key.length === 0 ? given : oneForEachKey(given, rules);
  if (rows.length === 0) return [];
  const written = propertiesOf(rows[0]!, rules.columns);
  const alike = rows.every((row) => hasExactly(row, written, rules.columns));
  const inOrder = alike && rules.columns === undefined;
  const groups = alike ? [{ properties: written, rows, inOrder }] : groupsOf(rows, rules);
  if (groups.some(({ properties }) => properties.length === 0))
    throw new PostgresRowError(rules.table, undefined, 'has nothing to store');
  return groups;
}

function groupsOf(rows: readonly Row[], { columns }: RowRules): RowGroup[] {
  const groups = new Map<string, RowGroup & { readonly rows: Row[] }>();
  // Most rows have what the row before them has.
  let previous: { readonly written: readonly string[]; readonly rows: Row[] } | undefined;
  for (const row of rows) {
    if (previous && hasExactly(row, previous.written, columns)) {
      previous.rows.push(row);
      continue;
    }
    const written = propertiesOf(row, columns);
    const shape = JSON.stringify([...written].sort());
    let group = groups.get(shape);
    if (group === undefined) groups.set(shape, (group = { properties: written, rows: [], inOrder: false }));
    group.rows.push(row);
    previous = { written, rows: group.rows };
  }
  return [...groups.values()];
}

/** Whether a row has these properties, in this order, and no others that count. May say no where it has. */
function hasExactly(row: Row, names: readonly string[], columns: readonly string[] | undefined): boolean {
  if (columns !== undefined)
    return columns.length === names.length && columns.every((name) => row[name] !== undefined);
  let i = 0;
  for (const name in row) if (name !== names[i++] || row[name] === undefined) return false;
  return i === names.length;
}

/** The row, or where a text in it holds a NUL, a copy without. */
function withoutNul(row: Row): Row {
  let copy: Record<string, unknown> | undefined;
  for (const [property, value] of Object.entries(row)) {
    if (typeof value === 'string' && value.includes('\0'))
      (copy ??= { ...row })[property] = value.replaceAll('\0', '');
  }
  return copy ?? row;
}

/** The same, of what is inside an array or JSON. */
const withoutNulInside = (value: unknown): unknown => {
  if (typeof value === 'string') return value.replaceAll('\0', '');
  return Array.isArray(value) ? value.map(withoutNulInside) : value;
};

/** JSON text writes it `\u0000`; after an even number of backslashes only. */
const jsonWithoutNul = (json: string): string =>
  json.includes('\\u0000') ? json.replace(/(?<!\\)((?:\\\\)*)\\u0000/g, '$1') : json;

/** pg calls this method of a parameter, and gives its own conversion: here, of an array to PostgreSQL's notation. */
interface Convertible {
  toPostgres(write: (value: unknown) => unknown): unknown;
}

/** One column of rows: where its values are, and what pg is to send for them. */
export interface RowColumn {
  readonly property: string;
  /** Values that are no objects are converted, too; else they are sent as they are. */
  readonly isJson: boolean;
  readonly convert: (value: unknown) => unknown;
}

/** What pg has a conversion of its own for. */
const hasConversion = (value: object): boolean =>
  value instanceof Date || ArrayBuffer.isView(value) || 'toPostgres' in value;

/**
 * Converts the values of one column to what pg is to send. JSON is written here: pg would take an array for a PostgreSQL array
 * and a string for JSON text. An array becomes text of its own, whatever the column is: `unnest` would take apart its
 * dimensions with the rows'.
 */
export function rowColumn(
  property: string,
  { isArray, isJson }: Pick<Column, 'isArray' | 'isJson'>,
  { table, nul }: Pick<RowRules, 'table' | 'nul'>,
): RowColumn {
  const json = (value: unknown): unknown => {
    if (value === null || value === undefined) return null;
    try {
      const text = JSON.stringify(value) as string | undefined;
      return text === undefined ? null : nul === 'strip' ? jsonWithoutNul(text) : text;
    } catch (cause) {
      throw new PostgresRowError(table, property, 'cannot be written as JSON', cause);
    }
  };

  const convert = (value: unknown): unknown => {
    if (typeof value !== 'object' && !isJson) return value;
    if (value instanceof Date && Number.isNaN(value.getTime())) {
      throw new PostgresRowError(table, property, 'is an invalid Date');
    }
    if (isJson && !isArray) return json(value);
    if (typeof value !== 'object' || value === null || hasConversion(value)) return value;
    if (!Array.isArray(value)) return json(value);
    // Of JSON, only the outermost array is PostgreSQL's: what is inside is JSON's.
    const elements: unknown[] = isJson
      ? value.map(json)
      : nul === 'strip'
        ? value.map(withoutNulInside)
        : value;
    return { toPostgres: (write) => write(elements) } satisfies Convertible;
  };
  return { property, isJson, convert };
}

/** The values of one column, all at once. */
export function columnValues(rows: readonly Row[], { property, convert }: RowColumn): unknown[] {
  return rows.map((row) => convert(row[property]));
}
