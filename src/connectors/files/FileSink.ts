import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { constants as zlib, gzip, zstdCompress } from 'node:zlib';
import {
  CheckpointError,
  codeOf,
  FileBrokenError,
  FileValueError,
  InvalidOptionError,
} from '../../errors.ts';
import { oneOf } from '../../options.ts';
import type { FailureClass, Sink, SinkContext, SinkEnding } from '../../work/Sink.ts';
import { Bytes, compressionOf, pathOf, type Compression } from './Bytes.ts';
import type { FileCheckpoint } from './FileCheckpoint.ts';
import { LineReader } from './LineReader.ts';
import { Replacement } from './Replacement.ts';
import { syncFolder } from './replaceFile.ts';

export interface FileSinkOptions {
  /**
   * Whether to add to the file: each batch is on the disk when it counts as stored. Without it the file is replaced as a
   * whole, at the end of a run that completed or was drained. @defaultValue false
   */
  readonly append?: boolean;
  /** With `append`: that of the source, so that after a crash nothing is in the file twice. @defaultValue none */
  readonly checkpoint?: FileCheckpoint;
  /** How to compress: each batch by itself. @defaultValue by name: `.gz` and `.gzip`, `.zst` and `.zstd` */
  readonly compression?: Compression;
}

/** Bytes of a file that is to be replaced that may be on their way to the disk: the rest of them is waited for at the end. */
const maxUnsynced = 16_777_216;

/** What mends itself, or is mended by somebody: room on the disk, and files that are open. */
const retried = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'EAGAIN', 'EBUSY', 'EINTR', 'ETIMEDOUT']);

const newline = 10;

/** Turns items to text. `head` stands at the beginning of a file. */
export interface FileFormat<T> {
  readonly operator: string;
  readonly head: string;
  text(item: T): string;
}

/** A file that batches are written to. */
export class FileSink<T> implements Required<Sink<T>> {
  readonly startsAnew: boolean;
  readonly #format: FileFormat<T>;
  readonly #path: string;
  readonly #append: boolean;
  readonly #checkpoint: FileCheckpoint | undefined;
  readonly #compression: Compression;
  #file: FileHandle | undefined;
  /** Of a file that is not added to. */
  #replacement: Replacement | undefined;
  /** Bytes of it that are written and count. */
  #bytes = 0;
  /** The file is not as long as the checkpoint says. */
  #uncommitted = false;
  /** What was written since: where each part ends, and which records of the source are in it. */
  #parts: { readonly end: number; readonly positions: readonly number[] }[] = [];
  #unsynced = 0;
  /** One batch after the other, whatever the concurrency. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(format: FileFormat<T>, path: string | URL, options: FileSinkOptions) {
    const { append = false, checkpoint, compression } = options;
    const { operator } = format;
    if (path === '' || !(typeof path === 'string' || path instanceof URL)) {
      throw new InvalidOptionError(`${operator}: path must be a path or a file: URL`);
    }
    if (compression !== undefined) oneOf(`${operator}: compression`, compression, ['gzip', 'zstd', 'none']);
    if (checkpoint && !append) throw new InvalidOptionError(`${operator}: checkpoint needs append: true`);
    this.#format = format;
    this.#path = pathOf(operator, path);
    this.#append = append;
    this.startsAnew = !append;
    this.#checkpoint = checkpoint;
    this.#compression = compression ?? compressionOf(this.#path);
    checkpoint?.claim(this.#path);
  }

  async store(items: readonly T[], { signal, origins }: SinkContext): Promise<void> {
    const text = items.map((item) => this.#format.text(item)).join('');
    const compressing = this.#compressed(text);
    compressing.catch(() => undefined); // told below, when it is its turn
    const written = this.#last.then(async () => {
      await this.#write(await compressing, signal);
      if (!this.#checkpoint) return;
      this.#uncommitted = true;
      const touched = origins ? items.flatMap((_item, i) => origins.of(i)) : [];
      const positions = this.#checkpoint.positionsOf(touched);
      this.#parts.push({ end: this.#bytes, positions });
      this.#checkpoint.wrote(positions);
      // If it fails, these are stored all the same; the next batch, or the end, tries again and tells.
      await this.#commit(this.#checkpoint.positionsOf(origins?.settled() ?? [])).catch(() => undefined);
    });
    this.#last = written.catch(() => undefined);
    await written;
  }

  readonly classify = (error: unknown): FailureClass => {
    if (error instanceof FileValueError) return 'data';
    return retried.has(codeOf(error) ?? '') ? 'retry' : 'fatal';
  };

  async close(ending: SinkEnding = 'aborted'): Promise<void> {
    const closed = this.#last.then(() => this.#close(ending));
    this.#last = closed.catch(() => undefined); // what is stored meanwhile begins anew
    await closed;
  }

  async #close(ending: SinkEnding): Promise<void> {
    const whole = ending === 'completed' || ending === 'drained';
    let ready = false;
    try {
      if (whole) await this.#opened();
      if (this.#file) await this.#commit();
      if (this.#file && !this.#append && whole) await this.#file.sync();
      ready = whole;
    } finally {
      const file = this.#file;
      this.#file = undefined;
      await file?.close();
      if (this.#uncommitted) this.#checkpoint?.forget();
      this.#uncommitted = false;
      this.#parts = [];
      if (!ready) await this.#replacement?.remove();
    }
    if (ready) await this.#replacement?.publish();
    this.#replacement = undefined;
  }

  /** All of it, or nothing: what a fault leaves is cut off again, so that the batch may be stored once more. */
  async #write(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const file = await this.#opened();
    await this.#commit(); // what was stored before may have its outcome by now
    try {
      await this.#writeAll(file, bytes);
      this.#unsynced += bytes.length;
      if (this.#append || this.#unsynced > maxUnsynced) {
        await file.datasync();
        this.#unsynced = 0;
      }
      signal.throwIfAborted();
    } catch (error) {
      await file.truncate(this.#bytes);
      throw error;
    }
    this.#bytes += bytes.length;
  }

  async #writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await file.write(bytes, done, bytes.length - done, this.#bytes + done);
      done += bytesWritten;
    }
  }

  /**
   * Saves where the source has come to, with `settled`, and a length of the file: up to there, all is of records that have
   * their outcome, and that have nothing beyond. Whoever goes on there gives all others again, so nothing is there twice.
   */
  async #commit(settled: readonly number[] = []): Promise<void> {
    const checkpoint = this.#checkpoint;
    if (!checkpoint || !(this.#uncommitted || checkpoint.hasMoved)) return;
    const count = this.#wholeParts(checkpoint, new Set(settled));
    const last = this.#parts[count - 1];
    if (last === undefined && this.#parts.length > 0) return;
    const positions = new Set(this.#parts.slice(0, count).flatMap((part) => part.positions));
    await checkpoint.commit({ path: this.#path, bytes: last?.end ?? this.#bytes }, [...positions]);
    this.#parts.splice(0, count);
    this.#uncommitted = this.#parts.length > 0;
  }

  /** How many parts from the start hold records that have their outcome, and nothing in a later part: the most. */
  #wholeParts(checkpoint: FileCheckpoint, settled: ReadonlySet<number>): number {
    const lastPart = new Map<number, number>();
    for (const [i, { positions }] of this.#parts.entries()) {
      for (const position of positions) lastPart.set(position, i + 1);
    }
    let [whole, reach] = [0, 0];
    for (const [i, { positions }] of this.#parts.entries()) {
      for (const position of positions) {
        if (!settled.has(position) && !checkpoint.hasOutcome(position)) return whole;
        reach = Math.max(reach, lastPart.get(position) ?? 0);
      }
      if (reach <= i + 1) whole = i + 1;
    }
    return whole;
  }

  async #opened(): Promise<FileHandle> {
    if (this.#file) return this.#file;
    const file = this.#append
      ? await open(this.#path, constants.O_RDWR | constants.O_CREAT, 0o666)
      : await (this.#replacement ??= await Replacement.of(this.#path)).open();
    try {
      this.#bytes = await this.#start(file);
      if (this.#append) await syncFolder(this.#path);
      this.#file = file;
      this.#uncommitted = this.#checkpoint !== undefined;
      await this.#commit();
    } catch (error) {
      this.#file = undefined;
      await file.close();
      throw error;
    }
    return file;
  }

  /** Brings the file to where it is to be gone on; gives its length. */
  async #start(file: FileHandle): Promise<number> {
    const { size } = await file.stat();
    const known = await this.#checkpoint?.output();
    if (known !== undefined && known.path !== this.#path) {
      throw new CheckpointError(
        this.#checkpoint?.path ?? '',
        `its sink was ${known.path}, not ${this.#path}`,
      );
    }
    if (known !== undefined) {
      if (size < known.bytes) {
        throw new FileBrokenError(
          this.#path,
          `it has ${size} bytes, and had ${known.bytes} at the checkpoint`,
        );
      }
      await file.truncate(known.bytes); // what has no outcome is given again
      if (known.bytes > 0) return known.bytes;
    }
    const length = known?.bytes ?? size;
    if (length > 0) await this.#mustTakeMore();
    this.#bytes = length;
    let start: string = length === 0 ? this.#format.head : '';
    // A line that a crash has cut off does not become one with ours.
    if (length > 0 && this.#compression === 'none' && !(await endsInNewline(file, length))) start = '\n';
    if (start === '') return length;
    const bytes = await this.#compressed(start);
    await this.#writeAll(file, bytes);
    return length + bytes.length;
  }

  /** That it can be added to: under the same header, and, where it is compressed, behind what is whole. */
  async #mustTakeMore(): Promise<void> {
    const [head = ''] = this.#format.head.split('\n', 1);
    const settings = { compression: this.#compression, name: this.#path };
    const bytes = new Bytes(this.#path, settings);
    try {
      const lines = new LineReader(bytes, { ...settings, maxLineBytes: Infinity });
      await lines.fill();
      const isHeaded = head === '' || unquoted(lines.take()?.text ?? '') === unquoted(head);
      if (!isHeaded) {
        throw new FileBrokenError(this.#path, 'its header is not that of the columns; name the same ones');
      }
      if (this.#compression !== 'none') while (await bytes.read());
    } catch (error) {
      if (!(error instanceof FileBrokenError) || error.cause === undefined) throw error;
      const what = 'it cannot be appended to, since what follows could not be read; move it away, or mend it';
      throw new FileBrokenError(this.#path, what, error);
    } finally {
      bytes.close();
    }
  }

  async #compressed(text: string): Promise<Uint8Array> {
    if (this.#compression === 'gzip') return promisify(gzip)(text);
    if (this.#compression === 'zstd') {
      return promisify(zstdCompress)(text, { params: { [zlib.ZSTD_c_checksumFlag]: 1 } });
    }
    return Buffer.from(text);
  }
}

const unquoted = (header: string): string => header.replaceAll('"', '');

async function endsInNewline(file: FileHandle, size: number): Promise<boolean> {
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] === newline;
}
