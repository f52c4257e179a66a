import { glob, stat } from 'node:fs/promises';
import type { HttpConnections } from '../connectors/http.ts';
import { codeOf, FileBrokenError, FileRecordError } from '../errors.ts';
import type { FieldType } from './arguments.ts';
import { reason, RunError, UsageError, withoutPackage, withoutPassword } from './failures.ts';
import { Lines, type Line, type LineSource } from './lines.ts';

/** Where the records come from: read once, one by one, no faster than they are taken. */
export class Input implements AsyncIterableIterator<Line> {
  /** The files as they were given. */
  readonly files: readonly string[];
  /** The file and the number of the last line that was taken. */
  lastFile: string;
  lastLine = 0;
  readonly #lines: AsyncIterator<Line, undefined>;
  readonly #close: () => unknown;
  readonly #peeked: Line[] = [];
  readonly #sources: readonly LineSource[];
  readonly #types: Readonly<Record<string, FieldType>>;
  #open: Lines | undefined;
  #closed = false;

  constructor(
    sources: readonly LineSource[],
    types: Readonly<Record<string, FieldType>>,
    close: () => unknown = () => undefined,
  ) {
    if (Object.keys(types).length > 0 && !sources.some(({ csv }) => csv)) {
      throw new UsageError('--types is for CSV; if the input is CSV, say --format csv');
    }
    this.files = sources.map(({ file }) => file);
    this.lastFile = sources[0]?.name ?? '';
    this.#sources = sources;
    this.#types = types;
    this.#lines = this.#all();
    this.#close = close;
  }

  /** Reads one line ahead; it is still given by `next`. */
  async peek(): Promise<Line | undefined> {
    const line = await this.#read();
    if (line) this.#peeked.push(line);
    return line;
  }

  async next(): Promise<IteratorResult<Line, undefined>> {
    const value = this.#peeked.shift() ?? (await this.#read());
    if (value === undefined) return { done: true, value };
    this.lastLine = value.number;
    if (this.#sources.length > 1) this.lastFile = value.file;
    return { done: false, value };
  }

  /** Closes it at once, also while a line is being waited for. */
  return(): Promise<IteratorResult<Line, undefined>> {
    this.#closed = true;
    this.#open?.close();
    this.#close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async *#all(): AsyncGenerator<Line, undefined> {
    for (const source of this.#sources) {
      this.#open = new Lines(source, this.#types);
      yield* this.#open.read();
    }
    return undefined;
  }

  async #read(): Promise<Line | undefined> {
    if (this.#closed) return undefined;
    try {
      return (await this.#lines.next()).value;
    } catch (error) {
      if (this.#closed) return undefined;
      throw this.#explained(error);
    }
  }

  #explained(error: unknown): Error {
    const missing = withoutPackage(error);
    if (missing) return missing;
    const named = error instanceof FileBrokenError || error instanceof FileRecordError;
    const { retryable } = (error ?? {}) as { retryable?: unknown };
    const what = named ? error.message : `${this.#sources[0]?.name ?? ''}: ${reason(error)}`;
    return retryable === true ? new RunError(what, { cause: error }) : new UsageError(what, { cause: error });
  }
}

/**
 * Opens a file, the files of a pattern, an http(s) address, or `-` for standard input.
 *
 * @throws `UsageError` for a file that is not there, and for a pattern without files; of all else the first line tells.
 */
export async function openInput(
  input: string,
  types: Readonly<Record<string, FieldType>>,
  format: 'ndjson' | 'csv' | undefined,
): Promise<Input> {
  const isCsv = (name: string): boolean =>
    format === undefined ? /\.(csv|tsv)(\.(gz|gzip|zst|zstd))?$/i.test(name) : format === 'csv';
  if (/^https?:\/\//i.test(input)) return openHttp(input, types, isCsv);
  if (input === '-') {
    return new Input([{ input, name: 'standard input', file: input, csv: isCsv('') }], types);
  }
  const paths = await filesOf(input);
  return new Input(
    paths.map((path) => ({ input: path, name: path, file: path, csv: isCsv(path) })),
    types,
  );
}

async function filesOf(input: string): Promise<string[]> {
  try {
    if ((await stat(input)).isDirectory()) throw new UsageError(`--input ${input}: it is a directory`);
    return [input];
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error instanceof UsageError ? error : unreadable(input, error);
  }
  if (!/[*?[{]/.test(input)) throw new UsageError(`--input ${input}: there is no such file`);
  const found: string[] = [];
  for await (const path of glob(input)) if ((await stat(path)).isFile()) found.push(path);
  if (found.length === 0) throw new UsageError(`--input ${input}: there are no such files`);
  return found.sort();
}

function unreadable(input: string, error: unknown): UsageError {
  return new UsageError(`--input ${input}: ${reason(error)}`);
}

async function openHttp(
  address: string,
  types: Readonly<Record<string, FieldType>>,
  isCsv: (name: string) => boolean,
): Promise<Input> {
  const { HttpConnections } = await import('../connectors/http.ts');
  const http = new HttpConnections({ maxConnections: 1, closeTimeoutMs: 0 });
  const chunks = chunksOf(http, address);
  const { origin, pathname } = new URL(address);
  const name = withoutPassword(origin + pathname);
  const source = { input: () => chunks, name, file: address, csv: isCsv(pathname) };
  return new Input([source], types, async () => {
    await chunks.return?.();
    await http.close();
  });
}

function chunksOf(http: HttpConnections, address: string): AsyncIterableIterator<Uint8Array> {
  try {
    return http.bytes(address);
  } catch (error) {
    throw new UsageError(`--input: ${reason(error).replace(/^HttpConnections: /, '')}`);
  }
}
