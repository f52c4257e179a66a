import { HttpBodyError } from '../../errors.ts';
import type { Cutter } from './streamBody.ts';
import type { PreparedRequest } from './target.ts';

const newline = 10;

/**
 * Cuts chunks into lines of UTF-8, without their `\n` or `\r\n`. A last line without one counts; an empty one at the end
 * does not.
 */
export class LineCutter<R> implements Cutter<R> {
  readonly #request: PreparedRequest;
  readonly #maxBytes: number;
  readonly #read: (line: string, number: number) => R | undefined;
  /** Leaves out a byte order mark, which stands at the beginning of the body and nowhere else. */
  readonly #beginning = new TextDecoder('utf-8', { fatal: true });
  readonly #further = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #number = 0;

  /**
   * @param maxBytes Bytes of a line.
   * @param read Makes a value of a line, whose number counts from 1; `undefined` leaves it out.
   */
  constructor(
    request: PreparedRequest,
    maxBytes: number,
    read: (line: string, number: number) => R | undefined,
  ) {
    this.#request = request;
    this.#maxBytes = maxBytes;
    this.#read = read;
  }

  *push(chunk: Uint8Array): Generator<R, void> {
    const end = chunk.lastIndexOf(newline);
    if (end >= 0) {
      this.#parts.push(chunk.subarray(0, end));
      yield* this.#lines(this.#take());
    }
    const rest = chunk.subarray(end + 1);
    if (rest.length > 0) this.#parts.push(rest);
    this.#bytes += rest.length;
    if (this.#bytes > this.#maxBytes) throw new HttpBodyError(this.#request, 'tooLarge');
  }

  *end(): Generator<R, void> {
    if (this.#bytes > 0) yield* this.#lines(this.#take());
  }

  #take(): Uint8Array {
    const all = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    return all;
  }

  /** Decodes all of them at once, and one by one where this fails: the whole ones before the fault count. */
  *#lines(bytes: Uint8Array): Generator<R, void> {
    const text = this.#decode(bytes);
    if (text === undefined) {
      yield* this.#linesOneByOne(bytes);
      return;
    }
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      yield* this.#value(text.slice(start, end));
      start = end + 1;
    }
    yield* this.#value(text.slice(start));
  }

  *#linesOneByOne(bytes: Uint8Array): Generator<R, void> {
    for (let start = 0; start <= bytes.length;) {
      const newlineAt = bytes.indexOf(newline, start);
      const end = newlineAt < 0 ? bytes.length : newlineAt;
      const line = this.#decode(bytes.subarray(start, end));
      if (line === undefined) throw new HttpBodyError(this.#request, 'charset', { line: this.#number + 1 });
      yield* this.#value(line);
      start = end + 1;
    }
  }

  /** The text, or `undefined` for what is not UTF-8. */
  #decode(bytes: Uint8Array): string | undefined {
    try {
      return (this.#number === 0 ? this.#beginning : this.#further).decode(bytes);
    } catch {
      return undefined;
    }
  }

  *#value(line: string): Generator<R, void> {
    this.#number += 1;
    if (line.length * 3 > this.#maxBytes && Buffer.byteLength(line) > this.#maxBytes) {
      throw new HttpBodyError(this.#request, 'tooLarge');
    }
    const value = this.#read(line.endsWith('\r') ? line.slice(0, -1) : line, this.#number);
    if (value !== undefined) yield value;
  }
}
