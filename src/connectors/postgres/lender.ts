import type { Pool, PoolClient } from 'pg';
import { TransactionLostError } from '../../errors.ts';
import { classifyPostgresError } from './classify.ts';
import { Checkout, endsClient, guard, translateTimeout, type PostgresContext } from './clients.ts';
import type { PostgresConnections } from './connections.ts';

/** Lends clients, of our connections or of a plain pool. */
export interface Lender {
  withClient<R>(work: (client: PoolClient) => Promise<R>, context?: PostgresContext): Promise<R>;
  /** Milliseconds for a statement that the pool has no limit for. */
  readonly queryTimeoutMs: number | undefined;
  /** Undoes what was done to the pool. */
  release(): void;
}

/** Without a limit of the pool's own, a query whose server is gone would never end. */
const queryTimeoutMs = 30_000;

export function lender(connections: PostgresConnections | Pool, what: string): Lender {
  if ('withClient' in connections) {
    return {
      withClient: (work, context) => connections.withClient(work, context),
      queryTimeoutMs: undefined,
      release: () => undefined,
    };
  }
  const pool = connections;
  const timeoutMs = pool.options.query_timeout ?? queryTimeoutMs;
  let unguard: (() => void) | undefined = guard(pool);
  return {
    async withClient(work, { signal } = {}) {
      unguard ??= guard(pool); // used again after its release, as by the next run of a flow
      try {
        return await new Checkout(pool).run(work, signal);
      } catch (error) {
        throw translateTimeout(error, what, timeoutMs);
      }
    },
    queryTimeoutMs: timeoutMs,
    release() {
      unguard?.();
      unguard = undefined;
    },
  };
}

/**
 * Runs `work` between BEGIN and COMMIT, on a client of its own. If it rejects, the transaction is rolled back.
 *
 * PostgreSQL answers the COMMIT of a transaction that has failed with the tag ROLLBACK and no error: a statement that
 * failed inside `work`, and whose error nobody passed on, would be taken for stored.
 */
export async function inTransaction<R>(
  from: Pick<Lender, 'withClient'>,
  work: (client: PoolClient) => Promise<R>,
  context?: PostgresContext,
): Promise<R> {
  const outcome = await from.withClient(async (client): Promise<{ result: R } | { error: unknown }> => {
    // Whatever the database's default: what a statement has waited for, it sees.
    await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
    let result: R;
    try {
      result = await work(client);
    } catch (error) {
      if (classifyPostgresError(error) === 'retry' && endsClient(error)) throw error;
      await client.query('ROLLBACK').catch(() => {
        throw error;
      });
      return { error }; // the client is as good as before
    }
    const { command } = await client.query('COMMIT');
    return command === 'COMMIT' ? { result } : { error: new TransactionLostError() };
  }, context);
  if ('error' in outcome) throw outcome.error;
  return outcome.result;
}
