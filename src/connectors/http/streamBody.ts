import type { Dispatcher } from 'undici';
import { ConnectionsClosedError } from '../../errors.ts';
import { bodyOf } from './body.ts';
import type { Exchange } from './exchange.ts';
import type { PreparedRequest } from './target.ts';

/** Makes values of chunks. */
export interface Cutter<R> {
  push(chunk: Uint8Array): Iterable<R>;
  /** What is left after the last chunk. */
  end(): Iterable<R>;
}

/** Names the method of `HttpConnections` that reads a body by any cutter; not for users. */
export const openStream = Symbol('openStream');

/** What that method is to do. */
export interface StreamOptions<R> {
  readonly signal: AbortSignal | undefined;
  /** Milliseconds for each wait. @defaultValue that of the connections */
  readonly timeoutMs?: number;
  /** `maxBytes`: how much of a body may be held. */
  readonly cutter: (request: PreparedRequest, maxBytes: number) => Cutter<R>;
  /** Called with an answer that is a success, before its body is read. May throw: then it is not. */
  readonly onAnswer?: ((request: PreparedRequest, response: Dispatcher.ResponseData) => void) | undefined;
}

/** How a body is to be read piece by piece. */
export interface BodyReading<R> {
  /** Called at the first `next`, so that what is never read costs nothing. */
  readonly begin: () => Exchange;
  readonly end: (exchange: Exchange) => Promise<void>;
  readonly cutter: () => Cutter<R>;
  readonly onAnswer: StreamOptions<R>['onAnswer'];
}

/**
 * The values of a body, pulled: while nobody asks, nothing is read beyond one chunk and what the socket's buffers hold. The
 * deadline of the exchange counts only while more is waited for.
 */
export function streamBody<R>(request: PreparedRequest, reading: BodyReading<R>): AsyncIterableIterator<R> {
  let exchange: Exchange | undefined;
  let left = false;
  const values = valuesOf(request, { ...reading, begin: () => (exchange = reading.begin()) });
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

async function* valuesOf<R>(
  request: PreparedRequest,
  { begin, end, cutter, onAnswer }: BodyReading<R>,
): AsyncGenerator<R, undefined> {
  const exchange = begin();
  try {
    const cut = cutter();
    const response = await exchange.open();
    const body = bodyOf(request, response);
    onAnswer?.(request, response);
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
