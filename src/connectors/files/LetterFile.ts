import { open, type FileHandle } from 'node:fs/promises';
import { DeadLetterError } from '../../errors.ts';
import { syncFolder } from './replaceFile.ts';

const NEWLINE = 10;
/** Ends a line that is void: "cancel" in ASCII, which JSON never has as it is. */
export const VOID = '\x18';

/**
 * Appends lines to a file. What comes while lines are being written goes in one piece after them, with one fsync, so
 * that many may wait at once.
 */
export class LetterFile {
  readonly #path: string;
  #file: FileHandle | undefined;
  /** Lines for the next write. */
  #gathered = '';
  /** The next write, if it has lines. */
  #next: Promise<void> | undefined;
  /** The last write that was asked for. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  /** Resolves when `lines`, each with its newline, are on the disk. */
  append(lines: string): Promise<void> {
    this.#gathered += lines;
    if (this.#next === undefined) {
      this.#next = this.#last.then(() => this.#write());
      this.#last = this.#next.catch(() => undefined);
    }
    return this.#next;
  }

  /** Waits for what is being written. The next line opens the file again. */
  async close(): Promise<void> {
    const left = this.#last.then(() => this.#leave());
    this.#last = left.catch(() => undefined);
    await left;
  }

  async #write(): Promise<void> {
    const lines = this.#gathered;
    this.#gathered = '';
    this.#next = undefined;
    try {
      this.#file ??= await openToAppend(this.#path);
      await appendAtOnce(this.#file, lines);
      await this.#file.sync();
    } catch (cause) {
      await this.#leave().catch(() => undefined); // opened again, it may be another one by then
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new DeadLetterError(`toDeadLetters: ${this.#path} cannot be written: ${why}`, {
        retryable: true,
        cause,
      });
    }
  }

  async #leave(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}

/**
 * Appends in one write, which the system does not mix with those of others: in pieces, as `appendFile` writes, lines of
 * several processes would run into each other. A line that somebody's fault has torn off is made void first.
 */
async function appendAtOnce(file: FileHandle, lines: string): Promise<void> {
  const bytes = Buffer.from((await isTorn(file)) ? `${VOID}\n${lines}` : lines);
  const { bytesWritten } = await file.write(bytes);
  if (bytesWritten < bytes.length) throw new Error('the disk took only a part of it');
}

async function isTorn(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat();
  if (size === 0) return false;
  const { bytesRead, buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 1 && buffer[0] !== NEWLINE;
}

/** A new file is still there after a power cut. Not every system opens folders: those look after it themselves. */
async function openToAppend(path: string): Promise<FileHandle> {
  const file = await open(path, 'a+');
  try {
    const { size } = await file.stat();
    if (size === 0) await syncFolder(path).catch(() => undefined);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}
