import { LowWaterMark } from '../../checkpoint/LowWaterMark.ts';
import { CheckpointError, InvalidOptionError } from '../../errors.ts';
import { atLeast, callable, nonEmpty } from '../../options.ts';
import { readCheckpoint, writeCheckpoint, type CheckpointState } from './checkpointFile.ts';
import type { FilePosition } from './LineReader.ts';

export interface FileCheckpointOptions {
  /** Milliseconds between two saves at the least, where no sink says when; 0 or more. @defaultValue 200 */
  readonly everyMs?: number;
  /** Told where a damaged copy is passed over. @defaultValue console.warn */
  readonly onWarning?: (message: string) => void;
}

/**
 * Remembers in a file how far a source has come, so that a program that is started again goes on there.
 *
 *     const checkpoint = fileCheckpoint('orders.checkpoint');
 *     fromNdjson<Order>('orders.ndjson', { checkpoint }).pipe(storeTo(postgresTable(db, 'orders', { key: ['id'] })))
 *
 * It holds what has its outcome: up to a line without a gap, and lines beyond it. After a crash, what had none is given
 * again: at least once, so the sink needs a key. With `toNdjson(path, { append: true, checkpoint })` it is once.
 *
 * The file is replaced as a whole and is on the disk before it counts; the copy before it is kept as `<path>.previous`. A
 * damaged one is never a start from the beginning: the copy before is used, with a warning, or the flow fails with
 * `CheckpointError`. To begin anew, remove both.
 *
 * For one source at a time, and one process: two at once are not kept apart, and lose items. Nor is another file of the
 * same name always noticed: of CSV, and of what is compressed, only lines are counted.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function fileCheckpoint(path: string, options: FileCheckpointOptions = {}): FileCheckpoint {
  return new FileCheckpoint(path, options);
}

/** What `fileCheckpoint` gives. The methods are for the source and the sink that it is handed to. */
export class FileCheckpoint {
  readonly path: string;
  readonly #everyMs: number;
  readonly #warn: (message: string) => void;
  #loading: Promise<CheckpointState | undefined> | undefined;
  #source: { readonly name: string; readonly low: LowWaterMark<FilePosition> } | undefined;
  #output: { readonly path: string; readonly bytes: number } | undefined;
  #hasSink = false;
  #saving: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #savedAt = -Infinity;
  #changed = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(path: string, options: FileCheckpointOptions) {
    const { everyMs = 200, onWarning = (message: string) => console.warn(message) } = options;
    nonEmpty('fileCheckpoint: path', path);
    atLeast('fileCheckpoint: everyMs', everyMs, 0);
    callable('fileCheckpoint: onWarning', onWarning);
    this.path = path;
    this.#everyMs = everyMs;
    this.#warn = onWarning;
  }

  /** For a source: where to go on, and the mark to keep. */
  async begin(source: string): Promise<{ low: LowWaterMark<FilePosition>; ahead: ReadonlySet<number> }> {
    await this.flush(); // of a subscription before
    this.#loading = undefined;
    const state = await this.load();
    if (state && state.source !== source) {
      throw new CheckpointError(this.path, `it is the checkpoint of ${state.source}, not of ${source}`);
    }
    const low = new LowWaterMark<FilePosition>(state?.position);
    this.#source = { name: source, low };
    return { low, ahead: new Set(state?.ahead) };
  }

  /** What was saved last, by this program or the one before it. */
  load(): Promise<CheckpointState | undefined> {
    this.#loading ??= readCheckpoint(this.path, this.#warn).then((state) => {
      this.#output ??= state?.output;
      return state;
    });
    return this.#loading;
  }

  /** For a source: something has its outcome. Throws where the last save has failed. */
  moved(): void {
    this.#changed = true;
    if (this.#failure) throw this.#failure.error;
    if (this.#hasSink || this.#saving || this.#timer) return;
    const waitMs = this.#savedAt + this.#everyMs - performance.now();
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        void this.#save();
      },
      Math.max(0, waitMs),
    );
  }

  /** For a source that has ended: all that has its outcome is saved. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#saving;
    if (this.#changed && !this.#hasSink) await this.#save();
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure.error;
  }

  /** For a sink: from now on, it says when to save. */
  claim(path: string): void {
    if (this.#hasSink) {
      throw new InvalidOptionError(`fileCheckpoint: it has a sink already, and cannot be that of ${path}`);
    }
    this.#hasSink = true;
  }

  /** For a sink, which has written `bytes` in all: what is in there has its outcome, and nothing else has. */
  async commit(path: string, bytes: number): Promise<void> {
    await this.#saving;
    this.#output = { path, bytes };
    await this.#write();
  }

  #save(): Promise<void> {
    this.#saving = this.#write()
      .catch((error: unknown) => {
        this.#failure = { error };
      })
      .then(() => {
        this.#saving = undefined;
        if (this.#changed && !this.#failure) this.moved();
      });
    return this.#saving;
  }

  async #write(): Promise<void> {
    if (!this.#source) return; // its source has not begun: there is nothing to say
    const { name, low } = this.#source;
    this.#changed = false;
    await writeCheckpoint(this.path, {
      source: name,
      position: low.mark ?? { line: 0 },
      ahead: low.ahead.map(({ line }) => line),
      ...(this.#output && { output: this.#output }),
    });
    this.#savedAt = performance.now();
  }
}
