import { ConnectionsClosedError, HttpBodyError } from '../../errors.ts';
import { wantedBody } from './body.ts';
import type { Exchange } from './exchange.ts';
import type { PreparedRequest } from './target.ts';

/** How a body is to be read line by line. */
export interface LineReading<R> {
  readonly request: PreparedRequest;
  /** Called at the first `next`, so that what is never read costs nothing. */
  readonly begin: () => Exchange;
  readonly end: (exchange: Exchange) => Promise<void>;
  /** Characters of a line. */
  readonly maxLength: number;
  /** Makes a value of a line, whose number counts from 1; `undefined` leaves it out. */
  readonly read: (line: string, number: number) => R | undefined;
}

/**
 * The lines of a body, pulled: while nobody asks, nothing is read beyond one chunk and what the socket's buffers hold. The
 * deadline of the exchange counts only while more is waited for.
 */
export function streamLines<R>(reading: LineReading<R>): AsyncIterableIterator<R> {
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

async function* valuesOf<R>(reading: LineReading<R>): AsyncGenerator<R, undefined, undefined> {
  const { request, begin, end, maxLength, read } = reading;
  const exchange = begin();
  try {
    const cutter = new LineCutter(request, maxLength);
    const body = await wantedBody(request, await exchange.open());
    let number = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      exchange.pauseDeadline();
      for (const line of cutter.push(chunk)) {
        const value = read(line, ++number);
        if (value !== undefined) yield value;
      }
      exchange.resumeDeadline();
    }
    exchange.pauseDeadline();
    for (const line of cutter.end()) {
      const value = read(line, ++number);
      if (value !== undefined) yield value;
    }
  } catch (error) {
    throw exchange.failure(error);
  } finally {
    await end(exchange);
  }
  return undefined;
}

/**
 * Cuts chunks into lines, without their `\n` or `\r\n`. A last line without one counts; an empty one at the end does not.
 * A line may have up to `maxBytes` characters.
 */
class LineCutter {
  readonly #decoder = new TextDecoder();
  readonly #request: PreparedRequest;
  readonly #maxLength: number;
  #parts: string[] = [];
  #length = 0;

  constructor(request: PreparedRequest, maxLength: number) {
    this.#request = request;
    this.#maxLength = maxLength;
  }

  *push(chunk: Uint8Array): Generator<string, void, undefined> {
    const text = this.#decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      this.#keep(text.slice(start, end));
      start = end + 1;
      yield this.#line();
    }
    if (start < text.length) this.#keep(text.slice(start));
  }

  *end(): Generator<string, void, undefined> {
    this.#keep(this.#decoder.decode());
    if (this.#length > 0) yield this.#line();
  }

  #keep(part: string): void {
    this.#parts.push(part);
    this.#length += part.length;
    if (this.#length > this.#maxLength) throw new HttpBodyError(this.#request, 'tooLarge');
  }

  #line(): string {
    const line = this.#parts.join('');
    this.#parts = [];
    this.#length = 0;
    return line.endsWith('\r') ? line.slice(0, -1) : line;
  }
}
