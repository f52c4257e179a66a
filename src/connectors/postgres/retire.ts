import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import pg, { type Pool, type PoolClient } from 'pg';
import { within } from '../within.ts';

/** What pg's connection has besides what its types tell. */
interface Wire extends EventEmitter {
  readonly stream: Duplex;
  connect(port: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processID: number, secretKey: number): void;
  end(): void;
}

/** Where a client is connected, and as what; from pg's `Client`. */
interface Session {
  readonly host: string;
  readonly port: number;
  readonly ssl?: boolean | Readonly<Record<string, unknown>>;
  readonly sslNegotiation?: string;
  /** Absent where the server, or a pooler before it, gives no key to cancel with. */
  readonly processID: number | null;
  readonly secretKey: number | null;
  /** `false` while a statement runs. */
  readonly readyForQuery?: boolean;
}

/** Milliseconds that a server has to end its side of a connection. */
const deadlineMs = 1_000;

/** A cancel request that comes before the statement has begun does nothing: it is repeated. */
const cancelEveryMs = 250;

const ignore = (): void => undefined;

/**
 * Takes a client out of its pool once the server has ended its side, and in any case within a second; until then it keeps
 * its place in the pool. To close the socket is not enough: the server reads no socket while it runs a statement, so that
 * the statement, its locks and its connection would live on, beyond the limit of the pool. So it is asked to cancel, over
 * a connection of its own, as the protocol has it, and to end the session.
 */
export async function retire(client: PoolClient, pool: Pool): Promise<void> {
  // pg-native has none, and ends its client itself.
  const wire = (client as { connection?: unknown }).connection as Wire | undefined;
  if (wire !== undefined && !wire.stream.destroyed) {
    const ended = new Promise<void>((resolve) => wire.once('end', resolve));
    // Read after the statement, however that ends. Who still has the client can send nothing more.
    wire.end();
    await endOf(client as unknown as Session, ended, pool);
    wire.stream.destroy();
  }
  client.release(true);
}

/** Waits for it, and asks the server to cancel what still runs. */
async function endOf(session: Session, ended: Promise<void>, pool: Pool): Promise<void> {
  let over = false;
  void ended.then(() => (over = true));
  const deadline = performance.now() + deadlineMs;
  while (!over && performance.now() < deadline) {
    const request = session.readyForQuery === true ? undefined : requestCancel(session, pool);
    await within(cancelEveryMs, ended);
    request?.stream.destroy();
  }
}

/**
 * Sends a cancel request, as the session is connected, TLS included; no signing in, and no answer. Where the name of the
 * host stands for several servers, it may come to another one, which ignores it.
 */
function requestCancel(session: Session, pool: Pool): Wire | undefined {
  const { host, port, ssl = false, sslNegotiation, processID, secretKey } = session;
  if (processID === null || secretKey === null) return undefined;
  const { stream } = pool.options as { stream?: unknown };
  const made = typeof stream === 'function' ? { stream } : {};
  const wire = new pg.Connection({ ssl, sslNegotiation, ...made } as object) as unknown as Wire;
  const cancel = (): void => wire.cancel(processID, secretKey);
  const direct = sslNegotiation === 'direct';
  wire.on('error', ignore);
  wire.on('connect', () => {
    if (ssl === false) cancel();
    else if (!direct) wire.requestSsl();
  });
  wire.on('sslconnect', cancel);
  if (host.startsWith('/')) wire.connect(`${host}/.s.PGSQL.${port}`);
  else wire.connect(port, host);
  return wire;
}
