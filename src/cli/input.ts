import { constants, open as openFd } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { isatty, ReadStream } from 'node:tty';
import { promisify } from 'node:util';
import type { HttpConnections } from '../connectors/http.ts';
import { codeOf, RunError, UsageError, reason, withoutPassword } from './failures.ts';
import { cutLines, type Line } from './lines.ts';

/** Where the records come from: read once, line by line, no faster than the lines are taken. */
export class Input implements AsyncIterableIterator<Line> {
  /** As messages name it. */
  readonly name: string;
  /** Number of the last line that was taken. */
  lastLine = 0;
  readonly #lines: AsyncIterator<Line, undefined>;
  readonly #destroy: () => unknown;
  readonly #peeked: Line[] = [];
  #closed = false;

  constructor(name: string, lines: AsyncIterator<Line, undefined>, destroy: () => unknown) {
    this.name = name;
    this.#lines = lines;
    this.#destroy = destroy;
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
    return { done: false, value };
  }

  /** Closes it at once, also while a line is being waited for. */
  return(): Promise<IteratorResult<Line, undefined>> {
    this.#closed = true;
    this.#destroy();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
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
    const { retryable } = (error ?? {}) as { retryable?: unknown };
    const what = `${this.name}: ${reason(error)}`;
    return retryable === true ? new RunError(what, { cause: error }) : new UsageError(what, { cause: error });
  }
}

/**
 * Opens a file, an http(s) address, or `-` for standard input.
 *
 * @throws `UsageError` for a file that cannot be read; of all else the first line tells.
 */
export async function openInput(input: string): Promise<Input> {
  if (/^https?:\/\//i.test(input)) return openHttp(input);
  if (input === '-') return ofStream('standard input', process.stdin);
  return ofStream(input, await openFile(input));
}

async function openFile(path: string): Promise<Readable> {
  try {
    const kind = await stat(path);
    if (kind.isDirectory()) throw new Error('it is a directory');
    if (kind.isFIFO()) return await openPipe(path);
    const file = await open(path);
    return isatty(file.fd) ? new ReadStream(file.fd) : file.createReadStream();
  } catch (error) {
    throw new UsageError(
      `--input ${path}: ${codeOf(error) === 'ENOENT' ? 'there is no such file' : reason(error)}`,
    );
  }
}

/**
 * A named pipe, or `<(command)`. As a stream of files it would be read by a thread that waits for the writer, and for which
 * the process waits when it exits; as a socket, the event loop waits. Nor does opening wait for a writer, on Linux, where a
 * pipe that has had none is silent; elsewhere it might look ended.
 */
async function openPipe(path: string): Promise<Readable> {
  const waits = process.platform === 'linux' ? constants.O_NONBLOCK : 0;
  const fd = await promisify(openFd)(path, constants.O_RDONLY | waits);
  return new Socket({ fd, readable: true, writable: false });
}

function ofStream(name: string, stream: Readable): Input {
  return new Input(name, cutLines(stream as AsyncIterable<Uint8Array>), () => stream.destroy());
}

async function openHttp(address: string): Promise<Input> {
  const { HttpConnections } = await import('../connectors/http.ts');
  const http = new HttpConnections({ maxConnections: 1, closeTimeoutMs: 0 });
  const chunks = chunksOf(http, address);
  const { origin, pathname } = new URL(address);
  return new Input(withoutPassword(origin + pathname), cutLines(chunks), async () => {
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
