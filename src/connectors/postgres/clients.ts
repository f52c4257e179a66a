import type { Pool, PoolClient } from 'pg';
import { TimeoutError } from '../../errors.ts';
import { addressOf } from './address.ts';
import { retire } from './retire.ts';
import { toldBy } from './toldBy.ts';

/** What `query` and `withClient` may be given besides. */
export interface PostgresContext {
  /** Cancels what the server does and ends the connection; the promise rejects at once with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

const ignore = (): void => undefined;

/**
 * Keeps lost connections from ending the process. An `error` event without a listener does, be it of the pool (for idle
 * clients) or of a client that is checked out, on which the pool does not listen. Those of a client are said again by its
 * next query, so nothing is lost by ignoring them.
 * Several may guard one pool, each for as long as it needs it: it is listened to until the last of them has left.
 *
 * @returns What undoes it.
 */
export function guard(pool: Pool): () => void {
  const guarded = guardedPools.get(pool) ?? { guards: 0, unlisten: listenTo(pool) };
  guardedPools.set(pool, guarded);
  guarded.guards++;
  return () => {
    if (--guarded.guards > 0) return;
    guardedPools.delete(pool);
    guarded.unlisten();
  };
}

const guardedPools = new WeakMap<Pool, { guards: number; readonly unlisten: () => void }>();

function listenTo(pool: Pool): () => void {
  const onAcquire = (client: PoolClient): unknown => client.on('error', ignore);
  const onRelease = (_error: Error, client: PoolClient): unknown => client.removeListener('error', ignore);
  pool.on('error', ignore); // also where somebody else listens, who may leave before us
  pool.on('acquire', onAcquire);
  pool.on('release', onRelease);
  return () => {
    pool.removeListener('error', ignore);
    pool.removeListener('acquire', onAcquire);
    pool.removeListener('release', onRelease);
  };
}

/**
 * Checks out a client of the pool for `work` and gives it back. One in any doubtful state is retired instead: after a
 * timeout or a lost connection, within a transaction, or stopped while it worked.
 */
export class Checkout {
  readonly #pool: Pool;
  readonly #onFree: () => void;
  #client: PoolClient | undefined;
  #stopped: { readonly reason: unknown } | undefined;
  #onStop: (reason: unknown) => void = ignore;

  /** @param onFree Called once, after `run`: the client is back in its pool, or out of it and gone from the server. */
  constructor(pool: Pool, onFree: () => void = ignore) {
    this.#pool = pool;
    this.#onFree = onFree;
  }

  /** @param signal Stops it. */
  async run<R>(work: (client: PoolClient) => Promise<R>, signal: AbortSignal | undefined): Promise<R> {
    const stopped = new Promise<never>((_resolve, reject) => {
      this.#onStop = reject;
    });
    stopped.catch(ignore);
    const onAbort = (): void => this.stop(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    const result = this.#work(work);
    result.catch(ignore);
    try {
      return await Promise.race([result, stopped]);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Ends it, whatever it waits for: `run` rejects with the reason at once. The first reason counts. */
  stop(reason: unknown): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = { reason };
    this.#onStop(reason);
    if (this.#client !== undefined) this.#giveBack(this.#client, true);
  }

  async #work<R>(work: (client: PoolClient) => Promise<R>): Promise<R> {
    const client = await this.#connect();
    this.#client = client;
    if (this.#stopped !== undefined) {
      this.#giveBack(client, true);
      throw this.#stopped.reason;
    }
    try {
      const result = await work(client);
      this.#giveBack(client, !isBetweenTransactions(client, true));
      return result;
    } catch (error) {
      this.#giveBack(client, endsClient(error) || !isBetweenTransactions(client, false));
      throw error;
    }
  }

  async #connect(): Promise<PoolClient> {
    try {
      if (this.#stopped !== undefined) throw this.#stopped.reason;
      return await this.#pool.connect().catch((error: unknown) => {
        throw toldBy(`PostgreSQL at ${addressOf(this.#pool.options)}`, error);
      });
    } catch (error) {
      this.#onFree();
      throw error;
    }
  }

  #giveBack(client: PoolClient, doubtful: boolean): void {
    if (this.#client === undefined) return;
    this.#client = undefined;
    if (doubtful) {
      retire(client, this.#pool).then(this.#onFree, this.#onFree);
      return;
    }
    try {
      client.release();
    } finally {
      this.#onFree();
    }
  }
}

/** `otherwise` for a driver that does not tell (before pg 8.21). */
function isBetweenTransactions(client: PoolClient, otherwise: boolean): boolean {
  const tells = typeof (client as Partial<PoolClient>).getTransactionStatus === 'function';
  return tells ? client.getTransactionStatus() === 'I' : otherwise;
}

/** Whether an error leaves its client in doubt: all but the server's own, and of those the ones that end sessions. */
export function endsClient(error: unknown): boolean {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown };
  return (
    typeof code !== 'string' ||
    !/^[0-9A-Z]{5}$/.test(code) ||
    severity !== 'ERROR' ||
    /^(08|57|58|XX)/.test(code)
  );
}

/** pg's error for `query_timeout` has no code. */
export function translateTimeout(error: unknown, what: string, timeoutMs: number): unknown {
  return error instanceof Error && error.message === 'Query read timeout'
    ? new TimeoutError(what, timeoutMs)
    : error;
}
