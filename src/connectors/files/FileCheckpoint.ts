import { positionsOf } from '../../checkpoint/Numbered.ts';
import { Progress } from '../../checkpoint/Progress.ts';
import { CheckpointError, InvalidOptionError } from '../../errors.ts';
import { callable, nonEmpty, timerMs } from '../../options.ts';
import { warnOnConsole } from '../../warnOnConsole.ts';
import { readCheckpoint, writeCheckpoint, type OutputLength } from './checkpointFile.ts';
import { holdFile } from './holdFile.ts';
import type { FilePosition } from './LineReader.ts';

export interface FileCheckpointOptions {
  /** Milliseconds between two saves at the least, where no sink says when; 0 or more. @defaultValue 200 */
  readonly everyMs?: number;
  /** Told where a damaged copy is passed over. @defaultValue a line on the console */
  readonly onWarning?: (message: string) => void;
}

/**
 * Remembers in a file how far a source has come, so that a program that is started again goes on there.
 *
 *     const checkpoint = fileCheckpoint('orders.checkpoint');
 *     fromNdjson<Order>('orders.ndjson', { checkpoint }).pipe(storeTo(postgresTable(db, 'orders', { key: ['id'] })))
 *
 * It holds what has its outcome: up to a record without a gap, and records beyond it. After a crash, what had none is given
 * again: at least once, so the sink needs a key. With `toNdjson(path, { append: true, checkpoint })` it is once. That sink
 * saves a length of its file up to which nothing is of records without an outcome: where each record becomes several rows,
 * which stand between those of others, there may be no such length for long, and a crash then does that much again.
 *
 * The file is replaced as a whole and is on the disk before it counts; the copy before it is kept as `<path>.previous`. A
 * damaged one is never a start from the beginning: the copy before is used, with a warning, or the flow fails with
 * `CheckpointError`. To begin anew, remove both.
 *
 * For one source at a time, and one process: `<path>.lock` names it until it ends, and a second one on the same machine is
 * refused with `CheckpointError`. Where the name is too long for such an ending, it is cut in these names. Another file of the same name is not always noticed: of CSV, and of what is compressed,
 * only lines are counted.
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
  #loading: Promise<void> | undefined;
  #source: string | undefined;
  #progress: Progress<FilePosition> = atStart();
  #output: OutputLength | undefined;
  #hasSink = false;
  /** Of these something is in the file of the sink, beyond what the last save says of it: whether they have their outcome. */
  readonly #written = new Map<number, boolean>();
  #saving: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #savedAt = -Infinity;
  #changed = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(path: string, options: FileCheckpointOptions) {
    const { everyMs = 200, onWarning = warnOnConsole } = options;
    nonEmpty('fileCheckpoint: path', path);
    timerMs('fileCheckpoint: everyMs', everyMs, 0);
    callable('fileCheckpoint: onWarning', onWarning);
    this.path = path;
    this.#everyMs = everyMs;
    this.#warn = onWarning;
  }

  /** For a source: where to go on, and what to tell of outcomes. */
  async begin(source: string): Promise<Progress<FilePosition>> {
    await this.flush(); // of a subscription before
    await this.#load();
    if (this.#source !== undefined && this.#source !== source) {
      throw new CheckpointError(this.path, `it is the checkpoint of ${this.#source}, not of ${source}`);
    }
    this.#source = source;
    return this.#progress;
  }

  /** For a source: a record has its outcome. Throws where the last save has failed. */
  settled(position: number): void {
    // What is in the file of the sink is done with the save that says so: it would be there twice, or not at all.
    if (this.#written.has(position)) this.#written.set(position, true);
    else if (!this.#progress.isDone(position)) this.#progress.settle(position);
    else return; // saved already
    this.#moved();
  }

  #moved(): void {
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
    await this.#saving;
    clearTimeout(this.#timer); // also one that this save has set for what came meanwhile
    this.#timer = undefined;
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

  /** For a sink: how long its file was at the last save. */
  async output(): Promise<OutputLength | undefined> {
    await this.#load();
    return this.#output;
  }

  /** For a sink: which records of the source are among these origins. */
  positionsOf(origins: readonly unknown[]): number[] {
    return positionsOf(this.#progress, origins);
  }

  /** For a sink: whether a record has got its outcome since the last save. */
  get hasMoved(): boolean {
    return this.#changed;
  }

  /** For a sink: something of these records is in its file now. */
  wrote(positions: readonly number[]): void {
    for (const position of positions) if (!this.hasOutcome(position)) this.#written.set(position, false);
  }

  /** For a sink: whether a record has its outcome. */
  hasOutcome(position: number): boolean {
    return this.#written.get(position) ?? this.#progress.isDone(position);
  }

  /**
   * For a sink, whose file has, up to that length, all that it is to have of `positions`, which have their outcome now, and
   * of those of saves before, and nothing else.
   */
  async commit(output: OutputLength, positions: readonly number[]): Promise<void> {
    await this.#saving;
    await this.#write(output, positions);
    for (const position of positions) {
      this.#written.delete(position);
      this.#progress.settle(position);
    }
  }

  /** For a sink that is closed while its file holds something else: what was saved last is all that counts. */
  forget(): void {
    this.#loading = undefined;
  }

  #load(): Promise<void> {
    this.#loading ??= this.#read();
    return this.#loading;
  }

  async #read(): Promise<void> {
    holdFile(this.path);
    const state = await readCheckpoint(this.path, this.#warn);
    this.#source = state?.source;
    this.#output = state?.output;
    this.#progress = state ? new Progress(state) : atStart();
    this.#written.clear();
  }

  #save(): Promise<void> {
    this.#saving = this.#write()
      .catch((error: unknown) => {
        this.#failure = { error };
      })
      .then(() => {
        this.#saving = undefined;
        if (this.#changed && !this.#failure) this.#moved();
      });
    return this.#saving;
  }

  async #write(output = this.#output, positions?: readonly number[]): Promise<void> {
    const source = this.#source;
    if (source === undefined) return; // its source has not begun: there is nothing to say
    this.#changed = false;
    const state = this.#progress.stateWith(positions);
    await writeCheckpoint(this.path, { source, ...state, ...(output && { output }) });
    this.#output = output;
    this.#savedAt = performance.now();
  }
}

function atStart(): Progress<FilePosition> {
  return new Progress<FilePosition>({ position: 0, cursor: undefined, done: [] });
}
