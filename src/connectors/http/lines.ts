import { ConnectionsClosedError, HttpBodyError } from '../../errors.ts';
import { decode, wantedBody } from './body.ts';
import type { Exchange } from './exchange.ts';
import type { PreparedRequest } from './target.ts';

/** Makes values of chunks. */
export interface Cutter<R> {
  push(chunk: Uint8Array): Iterable<R>;
  /** What is left after the last chunk. */
  end(): Iterable<R>;
}

/** How a body is to be read piece by piece. */
export interface BodyReading<R> {
  readonly request: PreparedRequest;
  /** Called at the first `next`, so that what is never read costs nothing. */
  readonly begin: () => Exchange;
  readonly end: (exchange: Exchange) => Promise<void>;
  readonly cutter: () => Cutter<R>;
}

/**
 * The values of a body, pulled: while nobody asks, nothing is read beyond one chunk and what the socket's buffers hold. The
 * deadline of the exchange counts only while more is waited for.
 */
export function streamBody<R>(reading: BodyReading<R>): AsyncIterableIterator<R> {
  let exchange: Exchange | undefined;
  let left = false;
  const values = valuesOf({ ...reading, begin: () => (exchange = reading.begin()) });
  const next = (): Promise<IteratorResult<R>> =>
    values.next().catch((error: unknown) => {
      if (left) return { done: true, value: undefined };
      throw error;
    });
  const leave = (): Promise<IteratorResult<R>> => {
    left = true;
    // A generator that waits hears `return` only after its wait: so the wait is ended first.
    exchange?.stop(new ConnectionsClosedError('HttpConnections.lines'));
    return values.return(undefined).catch(() => ({ done: true, value: undefined }));
  };
  const iterator: AsyncIterableIterator<R> = { [Symbol.asyncIterator]: () => iterator, next, return: leave };
  return iterator;
}

async function* valuesOf<R>({ request, begin, end, cutter }: BodyReading<R>): AsyncGenerator<R, undefined> {
  const exchange = begin();
  try {
    const cut = cutter();
    const body = await wantedBody(request, await exchange.open());
    for await (const chunk of body as AsyncIterable<Buffer>) {
      exchange.pauseDeadline();
      yield* cut.push(chunk);
      exchange.resumeDeadline();
    }
    exchange.pauseDeadline();
    yield* cut.end();
  } catch (error) {
    throw exchange.failure(error);
  } finally {
    await end(exchange);
  }
  return undefined;
}

/** The chunks as they come. */
export const uncut: Cutter<Uint8Array> = { push: (chunk) => [chunk], end: () => [] };

const newline = 10;

/**
 * Cuts chunks into lines of UTF-8, without their `\n` or `\r\n`. A last line without one counts; an empty one at the end
 * does not.
 */
export class LineCutter<R> implements Cutter<R> {
  readonly #request: PreparedRequest;
  readonly #maxBytes: number;
  readonly #read: (line: string, number: number) => R | undefined;
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
    const text = decode(bytes, this.#number === 0);
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
      const line = decode(bytes.subarray(start, end), this.#number === 0);
      if (line === undefined) throw new HttpBodyError(this.#request, 'charset', { line: this.#number + 1 });
      yield* this.#value(line);
      start = end + 1;
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
