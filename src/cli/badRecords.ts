import { open, realpath, type FileHandle } from 'node:fs/promises';
import { reason, RunError, UsageError, type BadRecordError } from './failures.ts';
import type { Line } from './lines.ts';

/** What becomes of the records that are of no use, as `--on-bad-record` says. */
export class BadRecords {
  count = 0;
  /** The first in the input: where it is and what is wrong. */
  first: { readonly file: string; readonly line: number; readonly what: string } | undefined;
  readonly #policy: string;
  readonly #file: FileHandle | undefined;
  readonly #stop: (() => void) | undefined;
  #written: Promise<unknown> = Promise.resolve();

  private constructor(policy: string, file?: FileHandle, stop?: () => void) {
    this.#policy = policy;
    this.#file = file;
    this.#stop = stop;
  }

  /**
   * @param stop Called for a bad record under `fail`.
   * @throws `UsageError` for a file that cannot be written.
   */
  static async open(policy: string, inputs: readonly string[], stop: () => void): Promise<BadRecords> {
    if (policy === 'fail') return new BadRecords(policy, undefined, stop);
    if (policy === 'skip') return new BadRecords(policy);
    const [target, ...sources] = await Promise.all(
      [policy, ...inputs].map((path) => realpath(path).catch(() => path)),
    );
    if (target !== undefined && sources.includes(target)) {
      throw new UsageError('--on-bad-record must not be the input itself');
    }
    try {
      return new BadRecords(policy, await open(policy, 'a'));
    } catch (error) {
      throw new UsageError(`--on-bad-record ${policy}: ${reason(error)}`);
    }
  }

  /**
   * Takes one; resolves when it is safe.
   *
   * @throws `RunError` where the file cannot be written to.
   */
  async take({ file, number, text }: Line, error: BadRecordError): Promise<void> {
    this.count++;
    if (this.first === undefined || (file === this.first.file && number < this.first.line)) {
      this.first = { file, line: number, what: `${file}:${number}: ${error.message}` };
    }
    this.#stop?.();
    if (!this.#file) return;
    const entry = { input: file, line: number, error: error.message, record: text };
    const write = (): Promise<void> | undefined => this.#file?.appendFile(`${JSON.stringify(entry)}\n`);
    this.#written = this.#written.then(write);
    try {
      await this.#written;
    } catch (cause) {
      throw new RunError(`--on-bad-record ${this.#policy}: ${reason(cause)}`, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close();
  }
}
