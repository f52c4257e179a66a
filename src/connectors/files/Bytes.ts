import { constants, open as openFd } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import { isatty, ReadStream } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import { codeOf, FileBrokenError, InvalidOptionError } from '../../errors.ts';
import { zstdFrames } from './zstdFrames.ts';

/**
 * What to read: the path of a file, a `file:` URL, `'-'` for standard input, or a function that opens bytes from elsewhere,
 * such as `(signal) => http.bytes(address, { signal })`.
 */
export type FileInput = string | URL | ((signal: AbortSignal) => AsyncIterable<Uint8Array>);

export type Compression = 'gzip' | 'zstd' | 'none';

export interface BytesSettings {
  readonly compression: Compression | undefined;
  /** As messages name it. */
  readonly name: string;
}

/** The path of a file as it was given. */
export function pathOf(operator: string, input: string | URL): string {
  if (typeof input === 'string') return input;
  if (input.protocol === 'file:') return fileURLToPath(input);
  throw new InvalidOptionError(`${operator}: a URL must be a file: one; for others, give a function`);
}

export function nameOf(operator: string, input: FileInput): string {
  if (typeof input === 'function') return 'input';
  return input === '-' ? 'standard input' : pathOf(operator, input);
}

/** What the end of a name says. */
export function compressionOf(name: string): Compression {
  if (/\.(gz|gzip)$/i.test(name)) return 'gzip';
  return /\.(zst|zstd)$/i.test(name) ? 'zstd' : 'none';
}

/** The first bytes of compressed data. */
const [gzipMagic, zstdMagic] = ['1f8b', '28b52ffd'];

/** What bytes are read from. */
export interface ByteSource {
  /** Whether the first read may leave out bytes. */
  readonly seekable: boolean;
  /** The next chunk; undefined at the end. `start`, for the first read: bytes of the file to leave out. */
  read(start?: number): Promise<Buffer | undefined>;
  /** At once, also while a read is pending, which then gives the end. */
  close(): void;
}

/** The decompressed bytes of an input, read when they are asked for: at most two chunks ahead. Opened at the first read. */
export class Bytes implements ByteSource {
  readonly compression: Compression;
  readonly seekable: boolean;
  readonly #input: FileInput;
  readonly #name: string;
  readonly #controller = new AbortController();
  #stream: Readable | undefined;
  #chunks: AsyncIterator<Uint8Array, unknown> | undefined;
  #closed = false;
  /** Nothing says that they are compressed: they may be all the same. */
  #unsaid: boolean;

  constructor(input: FileInput, { compression, name }: BytesSettings) {
    this.#input = input;
    this.#name = name;
    this.compression = compression ?? compressionOf(name);
    this.#unsaid = compression === undefined && this.compression === 'none';
    this.seekable = this.compression === 'none' && typeof input !== 'function' && input !== '-';
  }

  async read(start = 0): Promise<Buffer | undefined> {
    try {
      this.#chunks ??= await this.#open(start);
      const { done, value } = await this.#chunks.next();
      if (done === true || this.#closed) return undefined;
      const chunk = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      if (this.#unsaid && start === 0) this.#mustBePlain(chunk);
      this.#unsaid = false;
      return chunk;
    } catch (error) {
      if (this.#closed) return undefined;
      throw this.#explained(error);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#controller.abort(new DOMException('The source was closed', 'AbortError'));
    if (this.#stream) this.#stream.destroy();
    else void Promise.resolve(this.#chunks?.return?.()).catch(() => undefined);
  }

  async #open(start: number): Promise<AsyncIterator<Uint8Array, unknown>> {
    if (typeof this.#input === 'function' && this.compression === 'none') {
      return this.#input(this.#controller.signal)[Symbol.asyncIterator]();
    }
    const raw = await this.#raw(start);
    const stream = decompressed(raw, this.compression);
    stream.on('error', () => undefined); // its iterator tells, if it is asked
    this.#stream = stream;
    if (this.#closed) stream.destroy();
    return (stream as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  }

  async #raw(start: number): Promise<Readable> {
    if (typeof this.#input === 'function') return Readable.from(this.#input(this.#controller.signal));
    return this.#input === '-' ? process.stdin : openFile(this.#name, start);
  }

  /** No text in UTF-8 begins as they do. */
  #mustBePlain(beginning: Buffer): void {
    const start = beginning.toString('hex', 0, 4);
    const compression = start.startsWith(gzipMagic) ? 'gzip' : start === zstdMagic ? 'zstd' : undefined;
    if (compression === undefined) return;
    const what = `it is ${compression} data, which neither its name nor an option says; say so, or decompress it`;
    throw new FileBrokenError(this.#name, what);
  }

  #explained(error: unknown): unknown {
    const code = codeOf(error) ?? '';
    if (!/^(Z_|ZSTD_)/.test(code)) return error;
    const what = code === 'Z_BUF_ERROR' ? 'ends in the middle' : 'is damaged';
    return new FileBrokenError(this.#name, `the ${this.compression} data ${what}`, error);
  }
}

function decompressed(stream: Readable, compression: Compression): Readable {
  if (compression === 'gzip') return pipeline(stream, createGunzip(), () => undefined);
  if (compression === 'zstd') return pipeline(stream, zstdFrames, () => undefined) as unknown as Readable;
  return stream;
}

async function openFile(path: string, start: number): Promise<Readable> {
  const kind = await stat(path);
  if (kind.isDirectory()) throw new FileBrokenError(path, 'it is a directory');
  if (kind.isFIFO()) return openPipe(path);
  const file = await open(path);
  if (isatty(file.fd)) return new ReadStream(file.fd);
  if (kind.isFile() && start > kind.size) {
    await file.close();
    throw new FileBrokenError(path, `it has ${kind.size} bytes, and was read up to byte ${start} before`);
  }
  return file.createReadStream({ start });
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
