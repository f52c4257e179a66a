import type { Dispatcher } from 'undici';
import { HttpPausedError, HttpStatusError, HttpTimeoutError, type HttpPhase } from '../../errors.ts';
import { LONGEST_TIMER_MS } from '../../options.ts';
import { drain } from './body.ts';
import { isClosed, isWorthRepeating, mayRepeat, translate } from './failures.ts';
import { adviceOf, type Advice } from './rateHeaders.ts';
import { heldBack, type HttpSocket } from './socket.ts';
import type { HttpSockets } from './sockets.ts';
import type { PreparedRequest } from './target.ts';

export interface ExchangeOptions {
  readonly timeoutMs: number;
  /** Milliseconds of a pause for which it waits. */
  readonly maxPauseMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * One attempt at one request, from waiting for a socket to the end of the body, under one deadline that does not count the
 * pauses that the host asks for. It holds at most one
 * socket and gives it back exactly once, in `end`: to be used again if the answer was read to its end, else destroyed.
 */
export class Exchange {
  readonly #sockets: HttpSockets;
  readonly #request: PreparedRequest;
  readonly #timeoutMs: number;
  readonly #maxPauseMs: number;
  readonly #signal: AbortSignal | undefined;
  #socket: HttpSocket | undefined;
  #body: Dispatcher.ResponseData['body'] | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timedFrom = 0;
  /** The end of the pause that it has waited for. */
  #pausedUntil = -Infinity;
  #advice: Advice = { retryAfterMs: undefined, quotas: [] };
  /** Why it was stopped from outside. Boxed: a signal's reason may be anything. */
  #stopped: { readonly reason: unknown } | undefined;
  #givenBack = Promise.resolve();
  #onStop: ((reason: unknown) => void) | undefined;

  constructor(
    sockets: HttpSockets,
    request: PreparedRequest,
    { timeoutMs, maxPauseMs, signal }: ExchangeOptions,
  ) {
    this.#sockets = sockets;
    this.#request = request;
    this.#timeoutMs = Math.min(timeoutMs, LONGEST_TIMER_MS);
    this.#maxPauseMs = maxPauseMs;
    this.#signal = signal;
  }

  get phase(): HttpPhase {
    if (this.#body !== undefined) return 'body';
    return this.#socket?.phase ?? 'acquire';
  }

  /** Waits for a socket, sends the request, and waits for the headers. An answer that is no success is an error. */
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
    const { statusCode, headers, body } = response;
    if (statusCode < 200 || statusCode > 299) {
      throw this.#refusal(statusCode, await drain(this.#request, body, headers));
    }
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
    this.#timedFrom = performance.now();
    this.#timer = setTimeout(this.#onDeadline, this.#timeoutMs);
  }

  pauseDeadline(): void {
    clearTimeout(this.#timer);
  }

  /** The error to show for what was caught: a status that is known, the reason it was stopped for, or the translation. */
  failure(caught: unknown): unknown {
    const known = caught instanceof HttpStatusError || caught instanceof HttpPausedError;
    if (known && this.#signal?.aborted !== true) return caught;
    return this.#stopped === undefined ? translate(this.#request, this.phase, caught) : this.#stopped.reason;
  }

  #refusal(status: number, detail: string): HttpStatusError {
    const { retryAfterMs = status === 429 ? resetMs(this.#advice) : undefined } = this.#advice;
    const retryable = isWorthRepeating(this.#request, status) && (retryAfterMs ?? 0) <= this.#maxPauseMs;
    return new HttpStatusError(this.#request, status, { retryable, retryAfterMs, detail });
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
    if (this.phase === 'acquire') this.#notePause();
    const restMs = Math.max(this.#timedFrom, this.#pausedUntil) + this.#timeoutMs - performance.now();
    if (restMs >= 1) {
      this.#timer = setTimeout(this.#onDeadline, Math.min(restMs, LONGEST_TIMER_MS));
      return;
    }
    const retryable = mayRepeat(this.#request, this.phase);
    this.stop(new HttpTimeoutError(this.#request, this.phase, retryable, this.#timeoutMs));
  };

  #notePause(): void {
    this.#pausedUntil = this.#sockets.opensAt(this.#request.origin);
  }

  async #claim(): Promise<HttpSocket> {
    const claim = this.#sockets.claim(this.#request);
    const stopped = new Promise<never>((_resolve, reject) => {
      this.#onStop = (reason) => {
        // Too late to leave: the socket is on its way, and goes back unused.
        if (!claim.leave()) {
          const unused = new Error('unused');
          claim.socket.then((socket) => this.#sockets.destroy(socket, unused)).catch(() => undefined);
        }
        reject(reason);
      };
    });
    const socket = await Promise.race([claim.socket, stopped]);
    this.#onStop = undefined;
    this.#throwIfStopped();
    return socket;
  }

  /**
   * Nothing, if the server was just closing the idle connection that was taken, or the host has asked for a pause meanwhile:
   * no failure, it joins the line again.
   */
  async #send(): Promise<Dispatcher.ResponseData | undefined> {
    this.#throwIfStopped();
    const socket = await this.#claim();
    this.#notePause();
    if (this.#sockets.isHeld(socket.origin)) {
      this.#sockets.release(socket);
      return undefined;
    }
    const reused = socket.connected;
    this.#socket = socket;
    const { origin, path, method, headers, body, repeatable } = this.#request;
    try {
      const response = await socket.client.request({ origin, path, method, headers, body });
      this.#advice = adviceOf(response.headers, Date.now());
      this.#sockets.answered(socket, response.statusCode, this.#advice);
      return response;
    } catch (error) {
      if (error === heldBack && this.#stopped === undefined) {
        await this.#giveBack(heldBack);
        return undefined;
      }
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

/** When the quota that is used up begins anew; of several, the last one. */
function resetMs({ quotas }: Advice): number | undefined {
  const waits = quotas.flatMap(({ remaining, resetMs: ms }) => (remaining <= 0 ? [ms] : []));
  return waits.length > 0 ? Math.max(...waits) : undefined;
}
