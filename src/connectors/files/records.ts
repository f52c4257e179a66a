import { Observable } from 'rxjs';
import { UNLIMITED } from '../../demand/Demand.ts';
import { pulled } from '../../demand/PullSource.ts';
import { FileRecordError, InvalidOptionError } from '../../errors.ts';
import type { Run } from '../../flow/Run.ts';
import { nonEmpty, oneOf, wholeNumber } from '../../options.ts';
import { runBelow } from '../../rx/chain.ts';
import { Bytes, nameOf, type BytesSettings, type Compression, type FileInput } from './Bytes.ts';
import type { FileCheckpoint } from './FileCheckpoint.ts';
import type { FilePosition } from './LineReader.ts';
import { resumed, type Passage } from './resumed.ts';

/** A record that could not be read. */
export interface BadRecord {
  /** The file, as it was given. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** The line as it stands in the file; of a CSV file, its fields as JSON. */
  readonly text: string;
  readonly error: FileRecordError;
}

/** What becomes of a record that cannot be read: the error, or it is set aside (`setAside` of the report), and told to yours. */
export type OnBadRecord = 'fail' | 'drop' | ((bad: BadRecord) => void | Promise<void>);

export interface FileSourceOptions {
  /** How the bytes are compressed. @defaultValue by name: `.gz` and `.gzip`, `.zst` and `.zstd` */
  readonly compression?: Compression;
  /** Bytes of a line, or of a record of a CSV file, at most: whole number, 1 or more. @defaultValue 16_777_216 */
  readonly maxLineBytes?: number;
  /** What becomes of a record that cannot be read. A function's promise is waited for. @defaultValue 'fail' */
  readonly onBadRecord?: OnBadRecord;
  /**
   * Where it has come to, of a program that may be killed and started again: makes it an acknowledged source, which needs a
   * stage below. @defaultValue it starts at the beginning each time
   */
  readonly checkpoint?: FileCheckpoint;
  /** With `checkpoint`: items without an outcome at any time. Whole number, 1 or more. @defaultValue 10_000 */
  readonly maxPending?: number;
  /** Name in messages. @defaultValue that of the function, such as 'fromLines' */
  readonly name?: string;
}

export type ReadingOptions = Pick<FileSourceOptions, 'maxLineBytes' | 'onBadRecord' | 'name'>;

/** What reads records: those that are there, or more. */
export interface RecordReader<R> {
  take(): R | undefined;
  fill(): Promise<boolean>;
  close(): void;
}

/** A record of a file that can be said where it is. */
export interface Placed {
  readonly number: number;
  /** Bytes up to its end, where a reader can go on by them. */
  readonly end?: number;
  readonly fault: string | undefined;
}

/** How one kind of source reads. */
export interface RecordFormat<R extends Placed, T> {
  readonly operator: string;
  /** `after`: goes on after this position. */
  open(bytes: Bytes, settings: ReaderSettings): RecordReader<R>;
  /** The value of a record; undefined: there is none, as of a blank line. Throws `FileRecordError`. */
  parse(record: R, file: string): T | undefined;
  /** As a bad record shows it. */
  textOf(record: R): string;
}

export interface ReaderSettings {
  readonly name: string;
  readonly maxLineBytes: number;
  readonly after: FilePosition | undefined;
}

/** What is given for a value and its record. */
export interface Gives<R, T, G> {
  /** Undefined: it is on its way already, given by a subscription before. */
  give(value: T, record: R): G | undefined;
  /** Asked once for each record, in order: whether to leave it out. */
  skips?(): boolean;
  /** Told of a record that was not left out, and gives nothing. */
  passed?(record: R): void;
}

/** Reads the records of one input: a value a pull, without a promise for each step where several were read at once. */
export class Records<R extends Placed, T, G> implements AsyncIterableIterator<G, undefined> {
  readonly file: string;
  readonly #reader: RecordReader<R>;
  readonly #format: RecordFormat<R, T>;
  readonly #onBadRecord: OnBadRecord;
  readonly #gives: Gives<R, T, G>;
  /** The run that it is read in, if there is one. */
  readonly #run: Run | undefined;
  #closed = false;

  constructor(
    file: string,
    reader: RecordReader<R>,
    format: RecordFormat<R, T>,
    onBadRecord: OnBadRecord,
    gives: Gives<R, T, G>,
    run: Run | undefined,
  ) {
    this.file = file;
    this.#reader = reader;
    this.#format = format;
    this.#onBadRecord = onBadRecord;
    this.#gives = gives;
    this.#run = run;
  }

  /** Of a broken input all that stands before the fault is given first; then it is closed. */
  async next(): Promise<IteratorResult<G, undefined>> {
    try {
      return await this.#read();
    } catch (error) {
      this.#reader.close();
      throw error;
    }
  }

  return(): Promise<IteratorResult<G, undefined>> {
    this.#closed = true;
    this.#reader.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #read(): Promise<IteratorResult<G, undefined>> {
    while (!this.#closed) {
      const record = this.#reader.take();
      if (record === undefined) {
        if (await this.#reader.fill()) continue;
        this.#reader.close();
        break;
      }
      if (this.#gives.skips?.() === true) continue;
      const value = this.#valueOf(record);
      if (value instanceof FileRecordError) await this.#bad(record, value);
      else if (value !== undefined) {
        const given = this.#gives.give(value, record);
        if (given === undefined) continue;
        return { done: false, value: given };
      }
      this.#gives.passed?.(record);
    }
    return { done: true, value: undefined };
  }

  #valueOf(record: R): T | FileRecordError | undefined {
    if (record.fault !== undefined) return new FileRecordError(this.file, record.number, record.fault);
    try {
      return this.#format.parse(record, this.file);
    } catch (error) {
      if (error instanceof FileRecordError) return error;
      throw error;
    }
  }

  async #bad(record: R, error: FileRecordError): Promise<void> {
    if (this.#onBadRecord === 'fail') throw error;
    if (this.#onBadRecord !== 'drop') {
      const text = this.#format.textOf(record);
      await this.#onBadRecord({ file: this.file, line: record.number, text, error });
    }
    if (this.#run) this.#run.setAside++;
  }
}

/** The source behind `fromLines`, `fromNdjson` and `fromCsv`. */
export function fromRecords<R extends Placed, T>(
  format: RecordFormat<R, T>,
  input: FileInput,
  options: FileSourceOptions,
): Observable<T> {
  const { operator } = format;
  const { compression, checkpoint, maxPending = 10_000 } = options;
  checkInput(operator, input);
  if (compression !== undefined) oneOf(`${operator}: compression`, compression, ['gzip', 'zstd', 'none']);
  wholeNumber(`${operator}: maxPending`, maxPending, 1);
  const { maxLineBytes, onBadRecord, name } = readingOptions(operator, options);
  const settings: BytesSettings = { compression, name: nameOf(operator, input) };

  const read = <G>(gives: Gives<R, T, G>, run: Run | undefined, after?: FilePosition): Records<R, T, G> => {
    const reader = format.open(new Bytes(input, settings), { name: settings.name, maxLineBytes, after });
    return new Records(settings.name, reader, format, onBadRecord, gives, run);
  };
  if (checkpoint === undefined) return recordSource(name, (run) => read({ give: (value: T) => value }, run));
  const resume = (passage: Passage<R, T>, run: Run | undefined) => read(passage, run, passage.after);
  return resumed(settings.name, checkpoint, resume, { name, maxPending });
}

/** The options that every source of records has, checked. */
export function readingOptions(
  operator: string,
  { maxLineBytes = 16_777_216, onBadRecord = 'fail', name = operator }: ReadingOptions,
): Required<ReadingOptions> {
  wholeNumber(`${operator}: maxLineBytes`, maxLineBytes, 1);
  if (typeof onBadRecord !== 'function') oneOf(`${operator}: onBadRecord`, onBadRecord, ['fail', 'drop']);
  nonEmpty(`${operator}: name`, name);
  return { maxLineBytes, onBadRecord, name };
}

/** `fromPull` of what is opened for each subscription, which knows its run. */
export function recordSource<T>(
  name: string,
  open: (run: Run | undefined) => AsyncIterator<T>,
): Observable<T> {
  const settings = { name, window: UNLIMITED };
  const source = new Observable<T>((subscriber) => {
    const run = runBelow(subscriber);
    pulled(() => ({ [Symbol.asyncIterator]: () => open(run) }), settings, source).subscribe(subscriber);
  });
  return source;
}

function checkInput(operator: string, input: unknown): void {
  const fits =
    typeof input === 'function' || input instanceof URL || (typeof input === 'string' && input !== '');
  if (fits) return;
  throw new InvalidOptionError(
    `${operator}: input must be a path, '-', a file: URL or a function that opens bytes`,
  );
}
