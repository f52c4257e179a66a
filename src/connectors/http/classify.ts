import {
  ConnectionsClosedError,
  HttpItemError,
  HttpPausedError,
  HttpStatusError,
  InvalidOptionError,
} from '../../errors.ts';
import type { FailureClass } from '../../work/Sink.ts';
import { isNotDone } from './failures.ts';

/** By these a server blames what is in the request: 413 for how much of it there is. */
const blamesTheItems = new Set([400, 413, 422]);

/**
 * What `storeTo` is to do about an error of a request that carries items:
 *
 * | class | |
 * |---|---|
 * | `'data'` | status 400, 413 or 422; an item that has no JSON text |
 * | `'retry'` | status 408, 409 (the same key is being worked on), 425, 429, 5xx; a host that is paused; a connection that failed or timed out, where it may be repeated |
 * | `'fatal'` | any other status; TLS and certificates; closed connections; a wrong option |
 */
export function classifyHttpError(error: unknown): FailureClass {
  if (error instanceof HttpItemError) return 'data';
  if (error instanceof HttpPausedError) return 'retry';
  if (error instanceof HttpStatusError) {
    const { status } = error;
    if (blamesTheItems.has(status)) return 'data';
    return status === 409 || status >= 500 || isNotDone(status) ? 'retry' : 'fatal';
  }
  if (error instanceof ConnectionsClosedError || error instanceof InvalidOptionError) return 'fatal';
  return (error as { retryable?: unknown } | null | undefined)?.retryable === false ? 'fatal' : 'retry';
}
