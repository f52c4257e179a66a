import { Bytes, type FileInput } from '../connectors/files/Bytes.ts';
import { csvFormat, type CsvType } from '../connectors/files/csv.ts';
import type { CsvRow } from '../connectors/files/CsvReader.ts';
import { LineReader } from '../connectors/files/LineReader.ts';
import type { ReaderSettings, RecordReader } from '../connectors/files/records.ts';
import { FileRecordError } from '../errors.ts';
import type { JsonRecord } from './record.ts';

/** One record of the input. */
export interface Line {
  /** Which file it is in, as messages name it. */
  readonly file: string;
  /** From 1. */
  readonly number: number;
  /** As it stands there; of a CSV file, its fields as JSON. */
  readonly text: string;
  /** Why it is of no use whatever it says. */
  readonly fault?: string | undefined;
  /** The field at fault, where one is. */
  readonly field?: string | undefined;
  /** Of a CSV file, what it says. */
  readonly record?: JsonRecord;
}

/** One file, or what stands for one. */
export interface LineSource {
  readonly input: FileInput;
  /** As messages name it; its end says how it is compressed. */
  readonly name: string;
  readonly file: string;
  readonly csv: boolean;
}

/** Bytes that a record may have: what does not end would fill the memory. */
const maxLineBytes = 16_777_216;

/** Reads the records of a file; blank lines are counted and left out. */
export class Lines {
  readonly #source: LineSource;
  readonly #types: Readonly<Record<string, CsvType>>;
  readonly #bytes: Bytes;

  constructor(source: LineSource, types: Readonly<Record<string, CsvType>>) {
    this.#source = source;
    this.#types = types;
    this.#bytes = new Bytes(source.input, { name: source.name, compression: undefined });
  }

  /** At once, also while a line is being waited for. */
  close(): void {
    this.#bytes.close();
  }

  async *read(): AsyncGenerator<Line, undefined> {
    const settings = { name: this.#source.name, maxLineBytes, after: undefined };
    if (this.#source.csv) yield* this.#csv(settings);
    else yield* this.#ndjson(settings);
    return undefined;
  }

  async *#ndjson(settings: ReaderSettings): AsyncGenerator<Line> {
    const { file } = this.#source;
    for await (const { number, text, fault } of taken(new LineReader(this.#bytes, settings))) {
      if (fault !== undefined) yield { file, number, text, fault: `it ${fault}` };
      else if (text.trim() !== '') yield { file, number, text };
    }
  }

  async *#csv(settings: ReaderSettings): AsyncGenerator<Line> {
    const format = csvFormat<Record<string, unknown>>({ types: this.#types });
    const { file } = this.#source;
    for await (const row of taken<CsvRow>(format.open(this.#bytes, settings))) {
      const line = { file, number: row.number, text: format.textOf(row) };
      if (row.fault !== undefined) {
        yield { ...line, fault: `it ${row.fault}` };
        continue;
      }
      try {
        yield { ...line, record: { __proto__: null, ...format.parse(row, file) } };
      } catch (error) {
        if (!(error instanceof FileRecordError)) throw error;
        const { what, field } = error;
        yield { ...line, fault: field === undefined ? `it ${what}` : what, field };
      }
    }
  }
}

async function* taken<R>(reader: RecordReader<R>): AsyncGenerator<R> {
  do {
    for (let record = reader.take(); record !== undefined; record = reader.take()) yield record;
  } while (await reader.fill());
}
