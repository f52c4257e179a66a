import pg, { type PoolClient, type PoolConfig, type QueryResult, type QueryResultRow } from 'pg';
import { ConnectionsClosedError, TimeoutError } from '../../errors.ts';
import { counting } from '../../metrics/connections.ts';
import { timerMs, wholeNumber } from '../../options.ts';
import { Slots } from '../Slots.ts';
import { within } from '../within.ts';
import { checkAddress, withExplicitTls } from './address.ts';
import { Checkout, guard, translateTimeout, type PostgresContext } from './clients.ts';

export interface PostgresConnectionsOptions {
  /**
   * `postgres://user:password@host:port/database`. Absent: pg's environment variables (`PGHOST` …).
   *
   * `?sslmode=verify-full` asks for TLS, with the server's certificate and name checked; so do `require`, `prefer` and
   * `verify-ca`, which are weaker in libpq only (`uselibpqcompat=true&sslmode=…` has its meanings). `sslrootcert=FILE`
   * names an authority of your own, `no-verify` checks nothing, and `disable`, the default, is without TLS.
   */
  readonly connectionString?: string;
  /**
   * Connections at most, as the server counts them: one that is given up keeps its place until the server has ended it, or
   * for a second. A whole number of 1 or more.
   * @defaultValue 20
   */
  readonly max?: number;
  /**
   * Milliseconds to wait for a free connection while all are in use. 1 or more.
   * @defaultValue 10_000
   */
  readonly acquireTimeoutMs?: number;
  /**
   * Milliseconds to make a connection, signing in included. 1 or more.
   * @defaultValue 10_000
   */
  readonly connectTimeoutMs?: number;
  /**
   * Milliseconds for one statement. The server stops it then (state 57014); if it does not answer either, the connection
   * is given up a second later. 1 or more.
   * @defaultValue 30_000
   */
  readonly statementTimeoutMs?: number;
  /**
   * Milliseconds after which an idle connection is closed. 1 or more.
   * @defaultValue 10_000
   */
  readonly idleTimeoutMs?: number;
  /**
   * Milliseconds that `close` lets running work go on. 0 or more.
   * @defaultValue 5_000
   */
  readonly closeTimeoutMs?: number;
  /** What else pg knows: TLS, the application's name. Behind pgbouncer: `{ statement_timeout: false }`. */
  readonly pool?: Omit<PoolConfig, 'max' | 'connectionString' | 'connectionTimeoutMillis' | 'query_timeout'>;
}

export interface PostgresStats {
  /** Connections: idle, in use, or being ended. */
  readonly total: number;
  readonly idle: number;
  /** Callers that wait for one. */
  readonly waiting: number;
}

const owner = 'PostgresConnections';

/** How much longer than the server we wait, so that its own answer comes first where it can answer. */
const graceMs = 1_000;

/**
 * Keeps connections to one PostgreSQL database, on `pg.Pool`, with what the pool leaves open: a lost connection never ends
 * the process, every wait has a limit, and a connection in any doubtful state (after a timeout, a lost connection, an
 * abort, or in an open transaction) is ended, never used again.
 *
 *     await using db = new PostgresConnections({ connectionString, max: 20 });
 *
 * - **Waits when** `max` connections are in use: first come, first served, within `acquireTimeoutMs`.
 * - **Errors when** PostgreSQL says so (pg's `DatabaseError`), the connection is lost (Node's or pg's error), or a wait is
 *   too long (`TimeoutError`). Where none could be made, the message says to which server. It never retries;
 *   `classifyPostgresError` says whether to.
 * - **Aborting** the context's signal cancels the statement at the server, by a short connection of its own. It may have
 *   been carried out all the same.
 *
 * @throws `InvalidOptionError` for an option outside its range.
 */
export class PostgresConnections {
  readonly #pool: pg.Pool;
  /** The pool's own line is not used: nobody can leave it. */
  readonly #slots: Slots;
  readonly #statementTimeoutMs: number;
  readonly #closeTimeoutMs: number;
  readonly #running = new Set<Checkout>();
  #closing: Promise<void> | undefined;

  constructor({
    connectionString,
    max = 20,
    acquireTimeoutMs = 10_000,
    connectTimeoutMs = 10_000,
    statementTimeoutMs = 30_000,
    idleTimeoutMs = 10_000,
    closeTimeoutMs = 5_000,
    pool = {},
  }: PostgresConnectionsOptions = {}) {
    wholeNumber(`${owner}: max`, max, 1);
    timerMs(`${owner}: acquireTimeoutMs`, acquireTimeoutMs, 1);
    timerMs(`${owner}: connectTimeoutMs`, connectTimeoutMs, 1);
    wholeNumber(`${owner}: statementTimeoutMs`, statementTimeoutMs, 1);
    timerMs(`${owner}: statementTimeoutMs`, statementTimeoutMs, 1, graceMs);
    timerMs(`${owner}: idleTimeoutMs`, idleTimeoutMs, 1);
    timerMs(`${owner}: closeTimeoutMs`, closeTimeoutMs, 0);
    const address = connectionString === undefined ? undefined : withExplicitTls(connectionString);
    if (address !== undefined) checkAddress(`${owner}: connectionString`, address);
    this.#slots = new Slots({
      max,
      closed: () => new ConnectionsClosedError(owner),
      patience: {
        ms: acquireTimeoutMs,
        error: () => new TimeoutError(`${owner}: a free connection`, acquireTimeoutMs),
      },
    });
    this.#statementTimeoutMs = statementTimeoutMs;
    this.#closeTimeoutMs = closeTimeoutMs;
    this.#pool = new pg.Pool({
      keepAlive: true,
      idleTimeoutMillis: idleTimeoutMs,
      statement_timeout: statementTimeoutMs,
      ...pool,
      ...(address === undefined ? {} : { connectionString: address }),
      max,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: statementTimeoutMs + graceMs,
    });
    guard(this.#pool);
    counting(this, { name: owner, counts: () => this.stats, shortMs: () => this.#slots.shortMs });
  }

  get stats(): PostgresStats {
    return { total: this.#pool.totalCount, idle: this.#pool.idleCount, waiting: this.#slots.waiting };
  }

  /** Runs one statement on a connection of its own. */
  query<R extends QueryResultRow = Record<string, unknown>>(
    text: string,
    values: unknown[] = [],
    context: PostgresContext = {},
  ): Promise<QueryResult<R>> {
    return this.withClient((client) => client.query<R>(text, values), context);
  }

  /**
   * Lends a connection to `work` until its promise settles; for transactions. If it rejects, or leaves a transaction open,
   * the connection is ended, and the server rolls back. At an abort it is ended at once, under the work's hands.
   *
   * What `work` changes of the session (`SET`, a temporary table, `LISTEN`) stays with the connection, for whoever has it
   * next: use `SET LOCAL` in a transaction, or undo it.
   */
  async withClient<R>(
    work: (client: PoolClient) => Promise<R>,
    { signal }: PostgresContext = {},
  ): Promise<R> {
    await this.#slots.enter(signal);
    const checkout = new Checkout(this.#pool, () => {
      this.#running.delete(checkout);
      this.#slots.leave();
    });
    this.#running.add(checkout);
    try {
      return await checkout.run(work, signal);
    } catch (error) {
      throw translateTimeout(error, `${owner}: statement`, this.#statementTimeoutMs + graceMs);
    }
  }

  /**
   * Refuses new work, lets what runs and waits end within `closeTimeoutMs`, then destroys it. May be called more than once;
   * all calls give the same promise.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#slots.close(this.#closeTimeoutMs);
    for (const checkout of this.#running) checkout.stop(new ConnectionsClosedError(owner));
    // The pool waits for the server's end of these, and for connections in the making, which nobody needs any more.
    await within(2 * graceMs, this.#pool.end());
  }
}
