import { open, stat, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../../errors.ts';
import type { ByteSource } from './Bytes.ts';
import { withoutMark } from './LineReader.ts';

export interface TailSettings {
  readonly path: string;
  readonly from: 'start' | 'end';
  readonly pollMs: number;
}

const chunkBytes = 65_536;
const newline = 10;

/** The bytes of a file that grows, and of the files that take its place: `read` waits for more. */
export class TailBytes implements ByteSource {
  readonly seekable = false;
  readonly #settings: TailSettings;
  readonly #controller = new AbortController();
  #file: FileHandle | undefined;
  #position = 0;
  #inLine = false;
  /** Its name belongs to another file now; it is looked at once more before it is left. */
  #rotated = false;
  #from: 'start' | 'end';
  #reading = false;

  constructor(settings: TailSettings) {
    this.#settings = settings;
    this.#from = settings.from;
  }

  async read(): Promise<Buffer | undefined> {
    const { signal } = this.#controller;
    this.#reading = true;
    try {
      while (!signal.aborted) {
        const chunk = await this.#more();
        if (chunk) return chunk;
        await sleep(this.#settings.pollMs, undefined, { signal });
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#reading = false;
      if (signal.aborted) await this.#leave();
    }
    return undefined;
  }

  /** A read that is pending leaves the file when it ends. */
  close(): void {
    this.#controller.abort();
    if (!this.#reading) this.#leave().catch(() => undefined);
  }

  /** What has come since; undefined: nothing. */
  async #more(): Promise<Buffer | undefined> {
    const file = (this.#file ??= await this.#open());
    if (!file) return undefined;
    const { buffer, bytesRead } = await file.read(
      Buffer.allocUnsafe(chunkBytes),
      0,
      chunkBytes,
      this.#position,
    );
    if (bytesRead > 0) {
      const read = buffer.subarray(0, bytesRead);
      const chunk = this.#position === 0 ? withoutMark(read) : read;
      this.#position += bytesRead;
      this.#inLine = chunk.length > 0 && chunk.at(-1) !== newline;
      return chunk;
    }
    const { size, ino, dev } = await file.stat();
    if (size < this.#position) {
      this.#position = 0; // copied elsewhere and emptied
      return this.#endOfLine();
    }
    if (this.#rotated) {
      await this.#leave();
      return this.#endOfLine();
    }
    const named = await statOf(this.#settings.path);
    this.#rotated = named !== undefined && (named.ino !== ino || named.dev !== dev);
    return undefined;
  }

  /** A last line that has no newline does not become one with the first of the next file. */
  #endOfLine(): Buffer | undefined {
    const open = this.#inLine;
    this.#inLine = false;
    return open ? Buffer.from('\n') : undefined;
  }

  async #open(): Promise<FileHandle | undefined> {
    const from = this.#from;
    this.#from = 'start'; // what appears, or takes its place, is new from its beginning
    let file: FileHandle;
    try {
      file = await open(this.#settings.path);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
    this.#position = from === 'end' ? (await file.stat()).size : 0;
    return file;
  }

  async #leave(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#rotated = false;
    this.#position = 0;
    await file?.close();
  }
}

async function statOf(path: string): Promise<{ ino: number; dev: number } | undefined> {
  try {
    return await stat(path);
  } catch {
    return undefined; // between two files
  }
}
