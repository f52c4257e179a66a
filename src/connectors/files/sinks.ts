import { FileValueError } from '../../errors.ts';
import type { Sink } from '../../work/Sink.ts';
import { listOfNames } from '../names.ts';
import { checkDelimiter, delimiterBy } from './csvDelimiter.ts';
import { FileSink, type FileSinkOptions } from './FileSink.ts';

/**
 * Stores items in a file as newline-delimited JSON; for `storeTo`.
 *
 *     storeTo(toNdjson('big-orders.ndjson.gz'), { maxItems: 1_000 })
 *
 * The file is replaced as a whole: the items go to a new one beside it, `.<name>.<id>.new`, which takes its place, on the
 * disk, when the run has completed or was drained. It has the permissions of the old one; of a symbolic link, what it leads
 * to is replaced. After an error or an abort the new one is removed and the old one is as it was. So an item counts as stored
 * before the file is there; where the source is acknowledged, use `append`. A sink is for one run at a time: of two at once,
 * the one that ends first would publish, and take away, what the other has stored.
 *
 * With `append: true` each batch is on the disk before its items count as stored, and a fault leaves nothing of a batch. A
 * last line that has no newline gets one; of a compressed file without a checkpoint, it is read first that it is whole.
 *
 * With the `checkpoint` of the source too, the file is first cut to what had its outcome, so that after a crash nothing is
 * lost and nothing is in there twice, whatever a record became on its way. What the source has come to is saved with a
 * batch if with it no record is in the file in part: where records become several items that come out among those of
 * others, more is done again after a crash. It is cut when it is opened, not where `retry` or `retryDelayed` subscribes to
 * the source again within a run: what was written of records that had no outcome then, such as the first rows of one that
 * becomes several, is written again.
 *
 * `classify`: `'retry'` where the disk is full or too many files are open, `'data'` for an item that has no JSON, and
 * `'fatal'` for all else, such as a file system that is read only.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function toNdjson(path: string | URL, options: FileSinkOptions = {}): Required<Sink<unknown>> {
  return new FileSink({ operator: 'toNdjson', head: '', text: jsonLine }, path, options);
}

function jsonLine(item: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(item);
  } catch {
    text = undefined;
  }
  if (text === undefined) throw new FileValueError('toNdjson', 'an item has no JSON');
  return `${text}\n`;
}

export interface ToCsvOptions<Row> extends FileSinkOptions {
  /** The properties to write, which are the header. */
  readonly columns: readonly (keyof Row & string)[];
  /** What stands between two fields: one character, not `"`. @defaultValue a tab where the name ends in `.tsv`, else a comma */
  readonly delimiter?: string;
}

/**
 * Stores items in a CSV file, with a header; for `storeTo`. `fromCsv` reads back what it writes.
 *
 *     storeTo(toCsv<Order>('orders.csv', { columns: ['id', 'value'] }))
 *
 * `null` and what is absent is an empty field, an empty string is `""`; of a single column both are `""`, since an empty line
 * is no record. A `Date` is in ISO 8601, objects are JSON. Half a surrogate pair, which UTF-8 does not have, is refused as
 * what has no text. A file that is added to must have the same header. In all else it is as `toNdjson`.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function toCsv<Row extends object>(
  path: string | URL,
  options: ToCsvOptions<Row>,
): Required<Sink<Row>> {
  const { columns, delimiter = delimiterBy(String(path)), ...rest } = options;
  listOfNames('toCsv: columns', columns, 1);
  checkDelimiter('toCsv', delimiter);
  const line = (fields: readonly unknown[]): string =>
    `${fields.map((field) => csvField(field, delimiter)).join(delimiter) || '""'}\n`;
  const text = (row: Row): string => line(columns.map((column) => row[column]));
  return new FileSink<Row>({ operator: 'toCsv', head: line(columns), text }, path, rest);
}

function csvField(value: unknown, delimiter: string): string {
  const text = fieldText(value);
  if (text === undefined) return '';
  if (/\p{Surrogate}/u.test(text))
    throw new FileValueError('toCsv', 'a field of an item has half a surrogate pair');
  const plain = text !== '' && !text.includes(delimiter) && !/["\r\n\ufeff]|^\s|\s$/.test(text);
  return plain ? text : `"${text.replaceAll('"', '""')}"`;
}

function fieldText(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value);
  try {
    if (value instanceof Date) return value.toISOString();
    const json = JSON.stringify(value) as string | undefined;
    if (json !== undefined) return json;
  } catch {
    // told below
  }
  throw new FileValueError('toCsv', 'a field of an item has no text');
}
