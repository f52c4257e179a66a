import { open, realpath, type FileHandle } from 'node:fs/promises';
import { reason, RunError, UsageError, type BadRecordError } from './failures.ts';
import type { Line } from './lines.ts';

/** What becomes of the records that are of no use, as `--on-bad-record` says. */
export class BadRecords {
  count = 0;
  /** The first in the input: where it is and what is wrong. */
  first: { readonly line: number; readonly what: string } | undefined;
  readonly #policy: string;
  readonly #input: string;
  readonly #file: FileHandle | undefined;
  readonly #stop: (() => void) | undefined;
  #written: Promise<unknown> = Promise.resolve();

  private constructor(policy: string, input: string, file?: FileHandle, stop?: () => void) {
    this.#policy = policy;
    this.#input = input;
    this.#file = file;
    this.#stop = stop;
  }

  /**
   * @param stop Called for a bad record under `fail`.
   * @throws `UsageError` for a file that cannot be written.
   */
  static async open(policy: string, input: string, stop: () => void): Promise<BadRecords> {
    if (policy === 'fail') return new BadRecords(policy, input, undefined, stop);
    if (policy === 'skip') return new BadRecords(policy, input);
    const [target, source] = await Promise.all(
      [policy, input].map((path) => realpath(path).catch(() => path)),
    );
    if (target === source) throw new UsageError('--on-bad-record must not be the input itself');
    try {
      return new BadRecords(policy, input, await open(policy, 'a'));
    } catch (error) {
      throw new UsageError(`--on-bad-record ${policy}: ${reason(error)}`);
    }
  }

  /**
   * Takes one; resolves when it is safe.
   *
   * @throws `RunError` where the file cannot be written to.
   */
  async take({ number, text }: Line, error: BadRecordError): Promise<void> {
    this.count++;
    if (this.first === undefined || number < this.first.line) {
      this.first = { line: number, what: `${this.#input}:${number}: ${error.message}` };
    }
    this.#stop?.();
    if (!this.#file) return;
    const entry = { input: this.#input, line: number, error: error.message, record: text };
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
