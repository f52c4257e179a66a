import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { ConnectionsClosedError } from '../../errors.ts';
import { connectionsOf, counting } from '../../metrics/connections.ts';
import { atLeast, callable, wholeNumber, timerMs } from '../../options.ts';
import { within } from '../within.ts';
import { acceptedEncodings, bodyOf, charsetOf, drain, parseJson, readBytes, textOf } from './body.ts';
import { Exchange } from './exchange.ts';
import { LineCutter } from './LineCutter.ts';
import { HttpSockets, type HttpPause } from './sockets.ts';
import { openStream, streamBody, uncut, type StreamOptions } from './streamBody.ts';
import { prepare, type HttpTarget, type PreparedRequest } from './target.ts';

export interface HttpConnectionsOptions {
  /**
   * Open sockets in all, idle ones included. A whole number of 1 or more.
   * @defaultValue 100
   */
  readonly maxConnections?: number;
  /**
   * Open sockets to one origin (scheme, host and port). A whole number of 1 or more.
   * @defaultValue 30
   */
  readonly maxPerHost?: number;
  /**
   * Milliseconds for a whole attempt: waiting for a connection, connecting, headers and body; a pause that the host asks
   * for does not count. 1 or more.
   * For `lines`, `ndjson` and `bytes`: up to the headers, and then for each wait for more of the body.
   * @defaultValue 30_000
   */
  readonly timeoutMs?: number;
  /**
   * Milliseconds after which an idle socket is closed; a server that says less is believed. Keep it below the server's
   * own limit, or some requests will meet a socket that is just being closed. 1 or more.
   * @defaultValue 4_000
   */
  readonly keepAliveMs?: number;
  /**
   * Bytes of a body, decompressed, that are held in memory; for `lines` and `ndjson`, of one line. 1 or more.
   * @defaultValue 16_777_216
   */
  readonly maxBodyBytes?: number;
  /**
   * Milliseconds that `close` lets running requests go on. 0 or more.
   * @defaultValue 5_000
   */
  readonly closeTimeoutMs?: number;
  /**
   * Milliseconds of a pause that a host asks for, for which requests wait. Where it asks for more, they fail at once
   * (`HttpPausedError`, not retryable), until no more than this is left of it: it is asked no earlier either way. 0 or
   * more; `Infinity` waits as long as it takes.
   * @defaultValue 60_000
   */
  readonly maxPauseMs?: number;
  /**
   * Milliseconds for which a host is left alone after a 429 that does not say for how long. 0 or more.
   * @defaultValue 1_000
   */
  readonly pauseMs?: number;
  /**
   * Told when a host asks to be left alone, or for longer than before. That it throws or rejects is a warning on the
   * console. @defaultValue nobody
   */
  readonly onPause?: (pause: HttpPause) => void;
  /** Chance, for the jitter of pauses: a number from 0 up to 1. @defaultValue Math.random */
  readonly random?: () => number;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** What an HTTP work reads of its context. A whole `WorkContext` will do, and so will none. */
export interface HttpContext {
  /** Destroys the request and its connection. */
  readonly signal?: AbortSignal | undefined;
}

/** Work for `poolMap` that asks a server about each value. */
export type HttpWork<T, R> = (value: T, context?: HttpContext) => Promise<R>;

/** Says what to ask for about a value of any type: a method's parameter may be of a narrower one than is declared. */
type TargetOfAny = { of(value: unknown): HttpTarget }['of'];

/** An answer with more than its body. */
export interface HttpAnswer<R> {
  readonly status: number;
  /** Names in small letters. */
  readonly headers: Readonly<IncomingHttpHeaders>;
  readonly body: R;
}

export interface HttpStats {
  /** Open sockets: busy, idle, or being made or closed. */
  readonly open: number;
  /** Sockets with a request. */
  readonly busy: number;
  /** Requests that wait for a socket. */
  readonly waiting: number;
}

const owner = 'HttpConnections';

/**
 * Keeps HTTP/1.1 connections to any number of servers, within a total and a limit for each server, and makes work for
 * `poolMap` that uses them.
 *
 *     await using http = new HttpConnections({ maxConnections: 100, maxPerHost: 30 });
 *     const fetchOrder = http.json<Order>((id: number) => `https://api.example/orders/${id}`);
 *
 * - **Waits when** every socket that the request may use is busy: first come, first served, within `timeoutMs`. The line
 *   has no other bound; the `concurrency` of the stage is its bound.
 * - **Pauses** a host that asks for it, for all requests to it and never for less than it says: after a 429, or a 503 with
 *   `Retry-After`, and where its rate limit headers say that nothing remains before they are reset; of what remains, no more
 *   is sent than the host has left to answer. Read are `Retry-After` (seconds or a date), `RateLimit` with
 *   `RateLimit-Policy`, `RateLimit-Remaining` with `RateLimit-Reset`, and the same with `X-` (and `-Reset-After`). Requests
 *   wait meanwhile, up to a tenth longer so that not all come at once, and the pause does not count towards `timeoutMs`.
 * - **Errors when** the status is not 2xx (`HttpStatusError`; redirects are not followed), the connection fails
 *   (`HttpConnectionError`), the attempt takes too long (`HttpTimeoutError`) or the body is of no use
 *   (`HttpBodyError`). It never retries: that is the policy's part, and `retryable` and `retryAfterMs` are for it.
 * - **Aborting** the context's signal destroys the socket; the promise rejects with the signal's reason.
 *
 * A body is read to its end or its socket is destroyed, on every path, so that no answer holds a socket.
 *
 * @throws `InvalidOptionError` for an option outside its range.
 */
export class HttpConnections {
  readonly #sockets: HttpSockets;
  readonly #running = new Set<Exchange>();
  readonly #timeoutMs: number;
  readonly #maxPauseMs: number;
  readonly #maxBodyBytes: number;
  readonly #closeTimeoutMs: number;
  readonly #headers: Readonly<Record<string, string>>;
  #closing: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  constructor({
    maxConnections = 100,
    maxPerHost = 30,
    timeoutMs = 30_000,
    keepAliveMs = 4_000,
    maxBodyBytes = 16_777_216,
    closeTimeoutMs = 5_000,
    maxPauseMs = 60_000,
    pauseMs = 1_000,
    onPause,
    random = Math.random,
    headers = {},
  }: HttpConnectionsOptions = {}) {
    wholeNumber(`${owner}: maxConnections`, maxConnections, 1);
    wholeNumber(`${owner}: maxPerHost`, maxPerHost, 1);
    atLeast(`${owner}: timeoutMs`, timeoutMs, 1);
    timerMs(`${owner}: keepAliveMs`, keepAliveMs, 1);
    wholeNumber(`${owner}: maxBodyBytes`, maxBodyBytes, 1);
    timerMs(`${owner}: closeTimeoutMs`, closeTimeoutMs, 0);
    atLeast(`${owner}: maxPauseMs`, maxPauseMs, 0, true);
    atLeast(`${owner}: pauseMs`, pauseMs, 0);
    if (onPause !== undefined) callable(`${owner}: onPause`, onPause);
    callable(`${owner}: random`, random);
    this.#sockets = new HttpSockets({
      maxConnections,
      maxPerHost,
      keepAliveMs,
      maxPauseMs,
      pauseMs,
      random,
      onPause,
    });
    this.#maxPauseMs = maxPauseMs;
    this.#timeoutMs = timeoutMs;
    this.#maxBodyBytes = maxBodyBytes;
    this.#closeTimeoutMs = closeTimeoutMs;
    this.#headers = { 'accept-encoding': acceptedEncodings, ...headers };
    const sockets = this.#sockets;
    counting(this, {
      name: owner,
      counts: () => ({ total: sockets.open, idle: sockets.open - sockets.busy, waiting: sockets.waiting }),
      shortMs: () => sockets.shortMs,
    });
  }

  get stats(): HttpStats {
    const { open, busy, waiting } = this.#sockets;
    return { open, busy, waiting };
  }

  /**
   * Makes work that fetches JSON. `json<Order>((id: number) => …)` states the result and takes any value;
   * `json<Order, number>((id) => …)` has the compiler check the value too. The result is not checked against its type.
   *
   * @param target Says what to ask for. Called once an attempt, so that each has a fresh body.
   */
  json<R, T>(target: (value: T) => HttpTarget): HttpWork<T, R>;
  json<R>(target: TargetOfAny): HttpWork<unknown, R>;
  json(target: (value: never) => HttpTarget): HttpWork<never, unknown> {
    callable(`${owner}.json: target`, target);
    const ask = this.answer<unknown, never>(target);
    return this.#work(async (value: never, context) => (await ask(value, context)).body);
  }

  /** Makes work as `json` does that gives the status and the headers of the answer, too. */
  answer<R, T>(target: (value: T) => HttpTarget): HttpWork<T, HttpAnswer<R>>;
  answer<R>(target: TargetOfAny): HttpWork<unknown, HttpAnswer<R>>;
  answer(target: (value: never) => HttpTarget): HttpWork<never, HttpAnswer<unknown>> {
    callable(`${owner}.answer: target`, target);
    return this.#work(async (value: never, context) => {
      const request = prepare(target(value), { accept: 'application/json' }, this.#headers);
      return this.#exchange(request, context?.signal, async (response) => {
        const bytes = await readBytes(request, bodyOf(request, response), this.#maxBodyBytes);
        const { statusCode: status, headers } = response;
        return { status, headers, body: parseJson(request, textOf(request, bytes)) };
      });
    });
  }

  /**
   * Makes work that fetches text, in the character set that the answer names, else UTF-8. Bytes that are not in it are an
   * `HttpBodyError`, and not replaced in silence.
   */
  text<T>(target: (value: T) => HttpTarget): HttpWork<T, string> {
    callable(`${owner}.text: target`, target);
    return this.#work(async (value: T, context) => {
      const request = prepare(target(value), this.#headers);
      return this.#exchange(request, context?.signal, async (response) =>
        textOf(
          request,
          await readBytes(request, bodyOf(request, response), this.#maxBodyBytes),
          charsetOf(response.headers['content-type']),
        ),
      );
    });
  }

  /** Makes work that only wants to know that the request succeeded: the body of the answer is read and forgotten. */
  send<T>(target: (value: T) => HttpTarget): HttpWork<T, number> {
    callable(`${owner}.send: target`, target);
    return this.#work(async (value: T, context) => {
      const request = prepare(target(value), this.#headers);
      return this.#exchange(request, context?.signal, async ({ statusCode, headers, body }) => {
        await drain(request, body, headers);
        return statusCode;
      });
    });
  }

  /**
   * Reads UTF-8 text line by line, as fast as the lines are taken and no faster: where the reader pauses, the server is made
   * to wait. A body that ends early is an error, never an end; so is a line that is not UTF-8, with its number. Leaving the
   * loop destroys the connection at once.
   */
  lines(target: HttpTarget, { signal }: HttpContext = {}): AsyncIterableIterator<string> {
    const cutter = (request: PreparedRequest, maxBytes: number) =>
      new LineCutter(request, maxBytes, (line) => line);
    return this.#stream(prepare(target, this.#headers), { signal, cutter });
  }

  /**
   * Reads newline-delimited JSON, as `lines` does. Blank lines are skipped; a line that is not JSON is an `HttpBodyError`
   * with its number.
   */
  ndjson<R>(target: HttpTarget, { signal }: HttpContext = {}): AsyncIterableIterator<R> {
    const request = prepare(target, { accept: 'application/x-ndjson' }, this.#headers);
    const read = (line: string, number: number): R | undefined =>
      line.trim() === '' ? undefined : (parseJson(request, line, number) as R);
    return this.#stream(request, {
      signal,
      cutter: (_, maxBytes) => new LineCutter(request, maxBytes, read),
    });
  }

  /** Reads a body chunk by chunk, as `lines` does; for what is not text, or not UTF-8. */
  bytes(target: HttpTarget, { signal }: HttpContext = {}): AsyncIterableIterator<Uint8Array> {
    return this.#stream(prepare(target, this.#headers), { signal, cutter: () => uncut });
  }

  /** @internal Reads a body by a cutter of another file. */
  [openStream]<R>(target: HttpTarget, headers: Record<string, string>, options: StreamOptions<R>) {
    return this.#stream(prepare(target, this.#headers, headers), options);
  }

  /**
   * Refuses new requests, lets those that run or wait end within `closeTimeoutMs`, then destroys them. May be called more
   * than once; all calls give the same promise.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The same, which tells the figures of a run what it uses. */
  #work<T, R>(work: HttpWork<T, R>): HttpWork<T, R> {
    return counting(work, connectionsOf(this));
  }

  /** One attempt; `read` makes the result of an answer that is a success. */
  async #exchange<R>(
    request: PreparedRequest,
    signal: AbortSignal | undefined,
    read: (response: Dispatcher.ResponseData) => Promise<R>,
  ): Promise<R> {
    const exchange = this.#begin(request, signal);
    try {
      return await read(await exchange.open());
    } catch (error) {
      throw exchange.failure(error);
    } finally {
      await this.#end(exchange);
    }
  }

  #stream<R>(request: PreparedRequest, options: StreamOptions<R>): AsyncIterableIterator<R> {
    return streamBody(request, {
      begin: () => this.#begin(request, options.signal, options.timeoutMs),
      end: (exchange) => this.#end(exchange),
      cutter: () => options.cutter(request, this.#maxBodyBytes),
      onAnswer: options.onAnswer,
    });
  }

  #begin(request: PreparedRequest, signal: AbortSignal | undefined, timeoutMs = this.#timeoutMs): Exchange {
    if (this.#closing !== undefined) throw new ConnectionsClosedError(owner);
    const exchange = new Exchange(this.#sockets, request, {
      timeoutMs,
      maxPauseMs: this.#maxPauseMs,
      signal,
    });
    this.#running.add(exchange);
    return exchange;
  }

  async #end(exchange: Exchange): Promise<void> {
    await exchange.end();
    this.#running.delete(exchange);
    if (this.#running.size === 0) this.#onIdle?.();
  }

  async #close(): Promise<void> {
    if (this.#running.size > 0) {
      await within(this.#closeTimeoutMs, new Promise<void>((resolve) => (this.#onIdle = resolve)));
    }
    const reason = new ConnectionsClosedError(owner);
    for (const exchange of this.#running) exchange.stop(reason);
    await this.#sockets.destroyIdle(reason);
  }
}
