import type { Dispatcher } from 'undici';
import { HttpStatusError, HttpTimeoutError, type HttpPhase } from '../../errors.ts';
import { isClosed, mayRepeat, translate } from './failures.ts';
import type { HttpSocket } from './socket.ts';
import type { HttpSockets } from './sockets.ts';
import type { PreparedRequest } from './target.ts';

/** The longest that a timer of Node can wait. */
const maxTimerMs = 2 ** 31 - 1;

/**
 * One attempt at one request, from waiting for a socket to the end of the body, under one deadline. It holds at most one
 * socket and gives it back exactly once, in `end`: to be used again if the answer was read to its end, else destroyed.
 */
export class Exchange {
  readonly #sockets: HttpSockets;
  readonly #request: PreparedRequest;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  #socket: HttpSocket | undefined;
  #body: Dispatcher.ResponseData['body'] | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Why it was stopped from outside. Boxed: a signal's reason may be anything. */
  #stopped: { readonly reason: unknown } | undefined;
  #givenBack = Promise.resolve();
  #onStop: ((reason: unknown) => void) | undefined;

  constructor(
    sockets: HttpSockets,
    request: PreparedRequest,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ) {
    this.#sockets = sockets;
    this.#request = request;
    this.#timeoutMs = Math.min(timeoutMs, maxTimerMs);
    this.#signal = signal;
  }

  get phase(): HttpPhase {
    if (this.#body !== undefined) return 'body';
    return this.#socket?.phase ?? 'acquire';
  }

  /** Waits for a socket, sends the request, and waits for the headers. */
  async open(): Promise<Dispatcher.ResponseData> {
    if (this.#signal?.aborted === true) this.stop(this.#signal.reason);
    this.#throwIfStopped();
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.resumeDeadline();
    let response = await this.#send();
    while (response === undefined) response = await this.#send();
    this.#body = response.body;
    // Who reads the body hears of its failure; without a reader it must not become an uncaught error.
    response.body.on('error', () => undefined);
    this.#throwIfStopped();
    return response;
  }

  /** Stops it, wherever it is: whatever waits inside rejects. The first reason counts. */
  stop(reason: unknown): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = { reason };
    this.#onStop?.(reason);
    if (this.#socket === undefined) return;
    const error = reason instanceof Error ? reason : new Error('stopped', { cause: reason });
    this.#body?.destroy(error);
    void this.#giveBack(error);
  }

  /** The deadline starts anew; for streamed bodies, whose deadline is for each wait and not for the whole. */
  resumeDeadline(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onDeadline, this.#timeoutMs);
  }

  pauseDeadline(): void {
    clearTimeout(this.#timer);
  }

  /** The error to show for what was caught: a status that is known, the reason it was stopped for, or the translation. */
  failure(caught: unknown): unknown {
    if (caught instanceof HttpStatusError && this.#signal?.aborted !== true) return caught;
    return this.#stopped === undefined ? translate(this.#request, this.phase, caught) : this.#stopped.reason;
  }

  /** Gives back all that it holds. To be called once, on every path. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    const socket = this.#socket;
    if (socket === undefined) return this.#givenBack;
    if (this.#body?.readableEnded === true) {
      this.#socket = undefined;
      this.#sockets.release(socket);
    } else {
      const error = new Error('the answer was not read to its end');
      this.#body?.destroy(error);
      await this.#giveBack(error);
    }
    return undefined;
  }

  readonly #onAbort = (): void => this.stop(this.#signal?.reason);

  readonly #onDeadline = (): void => {
    const retryable = mayRepeat(this.#request, this.phase);
    this.stop(new HttpTimeoutError(this.#request, this.phase, retryable, this.#timeoutMs));
  };

  async #claim(): Promise<HttpSocket> {
    const claim = this.#sockets.claim(this.#request.origin);
    const stopped = new Promise<never>((_resolve, reject) => {
      this.#onStop = (reason) => {
        // Too late to leave: the socket is on its way, and goes back unused.
        if (!claim.leave())
          void claim.socket.then((socket) => this.#sockets.destroy(socket, new Error('unused')));
        reject(reason);
      };
    });
    const socket = await Promise.race([claim.socket, stopped]);
    this.#onStop = undefined;
    this.#throwIfStopped();
    return socket;
  }

  /** Nothing, if the server was just closing the idle connection that was taken: no failure, there are others. */
  async #send(): Promise<Dispatcher.ResponseData | undefined> {
    this.#throwIfStopped();
    const socket = await this.#claim();
    const reused = socket.connected;
    this.#socket = socket;
    const { origin, path, method, headers, body, repeatable } = this.#request;
    try {
      return await socket.client.request({ origin, path, method, headers, body });
    } catch (error) {
      const stale = reused && socket.phase === 'headers' && isClosed(error);
      if (!stale || !repeatable || this.#stopped !== undefined) throw error;
      await this.#giveBack(error as Error);
      return undefined;
    }
  }

  #throwIfStopped(): void {
    if (this.#stopped !== undefined) throw this.#stopped.reason;
  }

  #giveBack(reason: Error): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket !== undefined) this.#givenBack = this.#sockets.destroy(socket, reason);
    return this.#givenBack;
  }
}
