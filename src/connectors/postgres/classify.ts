import type { FailureClass } from '../../work/Sink.ts';

/** Node's codes for connections that cannot be made, or are lost. */
const lost = new Set([
  ...['ECONNRESET', 'ECONNREFUSED', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN'],
  ...['EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN', 'EMFILE', 'ENFILE'],
]);

/** What pg says, without a code, of connections that it has lost, or not got in time; ours say of which server. */
const saidLost = new RegExp(
  `^(PostgreSQL at .*: )?(${[
    'Connection terminated',
    'Client has encountered a connection error',
    'Client was closed and is not queryable',
    'timeout expired',
    'timeout exceeded when trying to connect',
    'Query read timeout',
  ].join('|')})`,
);

/** SQLSTATE classes, and single states, by what they ask for. What is in neither list is fatal. */
const retried = ['08', '40', '53', '57', '58', '55P03', '55006', '25006', '25P03'];
const data = ['21', '22', '23', '44', '54', 'P0001'];

/**
 * What an error of PostgreSQL or of the way to it asks for.
 *
 * - `'retry'`: the connection, the server's state or its resources, and conflicts with others (classes 08, 40, 53, 57, 58,
 *   55P03, 55006, 25006), including our own timeouts. The result may be unknown; with a key, storing again does no harm.
 * - `'data'`: one of the rows (classes 21, 22, 23, 44, 54; P0001 is a trigger's refusal).
 * - `'fatal'`: all else: what is not there, not allowed, or wrong in the program.
 */
export function classifyPostgresError(error: unknown): FailureClass {
  if (typeof error !== 'object' || error === null) return 'fatal';
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code === 'string') {
    if (code === 'TIMEOUT' || lost.has(code)) return 'retry';
    if (code === 'POSTGRES_ROW' || code === 'TRANSACTION_LOST') return 'data';
    if (code.length === 5) {
      if (retried.some((state) => code.startsWith(state))) return 'retry';
      if (data.some((state) => code.startsWith(state))) return 'data';
      return 'fatal';
    }
  }
  return typeof message === 'string' && saidLost.test(message) ? 'retry' : 'fatal';
}
