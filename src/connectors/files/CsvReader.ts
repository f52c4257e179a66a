import { isUtf8 } from 'node:buffer';
import type { Parser } from 'csv-parse';
import { codeOf, FileBrokenError, FileRecordError } from '../../errors.ts';
import { needed } from '../../needed.ts';
import { RingQueue } from '../../queue/RingQueue.ts';
import type { Bytes } from './Bytes.ts';
import { notUtf8 } from './LineReader.ts';

/** A field of a CSV file: null where it is empty and has no quotes. */
export type CsvField = string | null;

/** One record of a CSV file. */
export interface CsvRow {
  /** Its last line, from 1: a field with a line break makes a record longer. */
  readonly number: number;
  readonly fields: readonly CsvField[];
  /** Why it is of no use whatever it says. */
  readonly fault: string | undefined;
}

export interface CsvReaderSettings {
  readonly name: string;
  readonly delimiter: string;
  readonly maxRecordBytes: number;
}

const [newline, carriageReturn] = [10, 13];

/** Cuts bytes into the records of a CSV file, a chunk at a time: `take` gives those that are there, `fill` reads on. */
export class CsvReader {
  readonly #bytes: Bytes;
  readonly #name: string;
  readonly #settings: CsvReaderSettings;
  #parser: Parser | undefined;
  #rows: CsvRow[] = [];
  #next = 0;
  #ended = false;
  #failure: unknown;
  #bytesRead = 0;
  /** Bytes up to the end of each line that is read: the parser may be some bytes behind. */
  readonly #lineEnds = new RingQueue<number>();
  /** Lines up to the end of the last record. */
  #lines = 0;
  /** Numbers of lines that are not UTF-8. */
  readonly #faulty = new Set<number>();
  /** A `\r` at the end of the last chunk, after which a `\n` may come. */
  #held: Buffer = Buffer.alloc(0);
  /** The end of what was read, which is no whole line yet. */
  #openLine: Buffer[] = [];
  #linesChecked = 0;

  constructor(bytes: Bytes, settings: CsvReaderSettings) {
    this.#bytes = bytes;
    this.#name = settings.name;
    this.#settings = settings;
  }

  take(): CsvRow | undefined {
    return this.#rows[this.#next++];
  }

  /** Reads on, once all that was read is taken; false: the end. */
  async fill(): Promise<boolean> {
    this.#rows = [];
    this.#next = 0;
    while (this.#rows.length === 0) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return false;
      const chunk = await this.#bytes.read();
      if (chunk === undefined) await this.#end();
      else await this.#push(chunk);
    }
    return true;
  }

  close(): void {
    this.#bytes.close();
  }

  /** Loaded at need, so that all else here does without csv-parse. */
  async #open(): Promise<Parser> {
    const { parse } = await needed('fromCsv', 'csv-parse', import('csv-parse'));
    const { delimiter, maxRecordBytes } = this.#settings;
    const parser = parse({
      bom: true,
      delimiter,
      record_delimiter: ['\r\n', '\n', '\r'],
      skip_empty_lines: true,
      relax_column_count: true, // counted by who makes objects of them
      max_record_size: maxRecordBytes,
      // As COPY of PostgreSQL has it: empty is null, and "" is an empty string.
      cast: (value, { quoting }) => (value === '' && !quoting ? null : value),
      on_record: (fields: CsvField[], { bytes }) => {
        this.#record(fields, bytes);
        return null; // kept here, in order and bounded by the chunk
      },
    });
    parser.on('error', () => undefined); // its `write` tells
    return parser.resume();
  }

  async #push(chunk: Buffer): Promise<void> {
    const read = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const whole = read.at(-1) === carriageReturn ? read.length - 1 : read.length;
    this.#held = read.subarray(whole);
    const section = read.subarray(0, whole);
    this.#count(section);
    await this.#parse((parser, done) => parser.write(section, done));
  }

  async #end(): Promise<void> {
    this.#ended = true;
    this.#count(this.#held);
    this.#checkLine(Buffer.concat(this.#openLine));
    await this.#parse((parser, done) => parser.end(this.#held, done));
  }

  /** What was read before a fault counts. */
  async #parse(step: (parser: Parser, done: (error?: Error | null) => void) => void): Promise<void> {
    const parser = (this.#parser ??= await this.#open());
    try {
      await new Promise<void>((resolve, reject) => {
        step(parser, (error) => {
          if (error) reject(error);
          else resolve();
        });
      });
    } catch (error) {
      this.#ended = true;
      this.#failure = this.#explained(error);
    }
  }

  #record(fields: CsvField[], bytes: number): void {
    const from = this.#lines;
    let last = 0;
    while (this.#lineEnds.size > 0 && this.#lineEnds.peek() <= bytes) {
      last = this.#lineEnds.take();
      this.#lines++;
    }
    // The last record of a file may have no newline.
    const number = last === bytes ? this.#lines : this.#lines + 1;
    let fault: string | undefined;
    if (this.#faulty.size > 0) {
      for (let line = from + 1; line <= number; line++) if (this.#faulty.delete(line)) fault = notUtf8;
    }
    this.#rows.push({ number, fields, fault });
  }

  /** Notes where lines end, and which are not UTF-8. */
  #count(section: Buffer): void {
    const ends = lineEnds(section);
    for (const end of ends) this.#lineEnds.push(this.#bytesRead + end);
    this.#bytesRead += section.length;
    const end = ends.at(-1) ?? 0;
    if (end > 0) {
      const whole = Buffer.concat([...this.#openLine, section.subarray(0, end)]);
      this.#openLine = [];
      if (isUtf8(whole)) this.#linesChecked += ends.length;
      else {
        const before = whole.length - end;
        ends.forEach((to, i) =>
          this.#checkLine(whole.subarray(i === 0 ? 0 : before + ends[i - 1]!, before + to)),
        );
      }
    }
    if (end < section.length) this.#openLine.push(section.subarray(end));
  }

  #checkLine(line: Buffer): void {
    this.#linesChecked++;
    if (!isUtf8(line)) this.#faulty.add(this.#linesChecked);
  }

  #explained(error: unknown): unknown {
    const code = codeOf(error);
    if (!code?.startsWith('CSV_')) return error;
    const line = this.#lines + 1;
    if (code === 'CSV_MAX_RECORD_SIZE') {
      return new FileBrokenError(
        this.#name,
        `the record after line ${this.#lines} is too long (maxLineBytes)`,
      );
    }
    const what = /QUOTE/.test(code) ? 'has a quote out of place, so nobody can tell where it ends' : code;
    return new FileRecordError(this.#name, line, `this record, or one soon after, ${what}`);
  }
}

/** Where lines end: after `\n`, `\r\n` or `\r`. */
function lineEnds(section: Buffer): number[] {
  const ends: number[] = [];
  for (let at = 0; at < section.length; at++) {
    const byte = section[at];
    if (byte === newline || (byte === carriageReturn && section[at + 1] !== newline)) ends.push(at + 1);
  }
  return ends;
}
