import type { Observable } from 'rxjs';
import { FileRecordError } from '../../errors.ts';
import type { FileInput } from './Bytes.ts';
import { LineReader, type Line } from './LineReader.ts';
import { fromRecords, type FileSourceOptions, type RecordFormat } from './records.ts';

const ofLines = {
  open: (bytes, settings) => new LineReader(bytes, settings),
  textOf: ({ text }) => text,
} satisfies Partial<RecordFormat<Line, unknown>>;

/** Each line is its own value. */
export const lineFormat: RecordFormat<Line, string> = {
  ...ofLines,
  operator: 'fromLines',
  parse: ({ text }) => text,
};

/**
 * Emits the lines of a text file, without `\n` or `\r\n`, reading on only while the stage below has room.
 *
 *     fromLines('access.log.gz').pipe(poolMap(parse, { concurrency: 4 }))
 *
 * A line that is not UTF-8 is a bad record. A byte order mark is left out. A last line without a newline counts.
 *
 * - **Emits when** the stage below has room: every line, empty ones included.
 * - **Waits when** the stage below is full: at most two chunks of 64 KiB, and what is compressed in them, are held.
 * - **Drops** nothing; with `onBadRecord: 'drop'` what is not UTF-8.
 * - **Completes when** the file ends, or when draining begins.
 * - **Errors when** the file cannot be read (the error of Node, as it is); is compressed and cut short or damaged, or has a
 *   line longer than `maxLineBytes` (`FileBrokenError`); or with a bad record (`FileRecordError`). What stands before it
 *   is emitted first.
 * - **Unsubscribing** closes the file.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function fromLines(input: FileInput, options: FileSourceOptions = {}): Observable<string> {
  return fromRecords(lineFormat, input, options);
}

/**
 * Emits the value of each line of newline-delimited JSON; blank lines are left out.
 *
 *     fromNdjson<Order>('orders.ndjson.zst', { onBadRecord: (bad) => log.warn(bad.error.message) })
 *
 * A bad record is a line that is not JSON, or not UTF-8. In all else it is as `fromLines`.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function fromNdjson<T>(input: FileInput, options: FileSourceOptions = {}): Observable<T> {
  const format: RecordFormat<Line, T> = {
    ...ofLines,
    operator: 'fromNdjson',
    parse: (line, file) => parseJson(line, file) as T,
  };
  return fromRecords(format, input, options);
}

const blank = /^\s*$/;

function parseJson({ number, text }: Line, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (blank.test(text)) return undefined;
    // V8 quotes the text in what it says, all but the place.
    const [, at] = /at position (\d+)/.exec((error as Error).message) ?? [];
    throw new FileRecordError(
      file,
      number,
      `is not JSON${at === undefined ? '' : `, from character ${Number(at) + 1} on`}`,
    );
  }
}
