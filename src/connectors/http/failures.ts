import {
  codeOf,
  HttpBodyError,
  HttpConnectionError,
  InvalidOptionError,
  type HttpPhase,
} from '../../errors.ts';
import type { PreparedRequest } from './target.ts';

/** undici and its parser, where the answer stopped before its end. */
const truncated = new Set(['UND_ERR_SOCKET', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'HPE_INVALID_EOF_STATE']);

/**
 * What no further attempt will mend: certificates, and a server that does not speak TLS, or whose headers are larger than
 * we read. Nor one that speaks no HTTP.
 */
const hopeless = new RegExp(
  [
    '^(UND_ERR_HEADERS_OVERFLOW|EPROTO|ERR_TLS_|ERR_SSL_',
    'CERT_|CRL_|ERROR_IN_C|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|INVALID_|PATH_LENGTH_|HOSTNAME_MISMATCH)',
  ].join('|'),
);

/** In these, the server has not seen the request. */
const beforeSending = new Set<HttpPhase>(['acquire', 'dns', 'connect', 'tls']);

/** Whether the other side has closed the connection. */
export function isClosed(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE';
}

/** Whether a failure in `phase` leaves it open if the server has acted; where it may have, `repeatable` decides. */
export function mayRepeat(request: PreparedRequest, phase: HttpPhase): boolean {
  return request.repeatable || beforeSending.has(phase);
}

/** The error of ours for one of undici's, Node's or zlib's. One that is ours already stays as it is. */
export function translate(request: PreparedRequest, phase: HttpPhase, cause: unknown): Error {
  if (cause instanceof HttpBodyError) return cause;
  const code = codeOf(cause) ?? '';
  if (code === 'UND_ERR_INVALID_ARG') {
    const message = 'HttpConnections: the request is not valid (its method, headers or body)';
    return new InvalidOptionError(message, { cause });
  }
  const retryable = mayRepeat(request, phase);
  const garbled = cause instanceof Error && cause.name === 'HTTPParserError' && !truncated.has(code);
  // undici's error carries what it could not read, which is data.
  if (garbled) return new HttpConnectionError(request, phase, false, new Error(cause.message));
  if (phase === 'body' && (truncated.has(code) || code === 'Z_BUF_ERROR')) {
    return new HttpBodyError(request, 'truncated', { retryable, cause });
  }
  if (code.startsWith('Z_') || code.startsWith('ERR__ERROR_FORMAT') || code.startsWith('ERR_BROTLI')) {
    return new HttpBodyError(request, 'encoding', { cause });
  }
  return new HttpConnectionError(request, phase, retryable && !hopeless.test(code), cause);
}

const notDone = new Set([408, 425, 429, 503]);

/** Whether a server that answers with this status says that it has not done what was asked. */
export function isNotDone(status: number): boolean {
  return notDone.has(status);
}

/** Whether the answer with this status may be another one next time, and asking again does no harm. */
export function isWorthRepeating(request: PreparedRequest, status: number): boolean {
  return isNotDone(status) || (status >= 500 && request.repeatable);
}
