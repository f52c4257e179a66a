import type { Pool, PoolClient } from 'pg';
import { connectionsOf, counting } from '../../metrics/connections.ts';
import { callable } from '../../options.ts';
import type { SinkContext } from '../../work/Sink.ts';
import { classifyPostgresError } from './classify.ts';
import type { PostgresConnections } from './connections.ts';
import { inTransaction, lender } from './lender.ts';
import type { PostgresSink } from './sink.ts';

/**
 * Stores each batch with statements of your own, in a transaction.
 *
 *     storeTo(postgresTransaction(db, async (client, orders) => {
 *       await client.query('INSERT INTO orders SELECT * FROM unnest($1::int[], $2::text[])', columnsOf(orders));
 *       await client.query('UPDATE totals SET orders = orders + $1', [orders.length]);
 *     }))
 *
 * The transaction is committed when the promise of `work` resolves, and rolled back when it rejects; leave BEGIN, COMMIT and
 * ROLLBACK to it. A COMMIT that rolled back, since `work` hid the error of a statement, is a `TransactionLostError`. A
 * batch whose outcome is unknown is tried again as `retry` of `storeTo` says: let the statements bear that, or use
 * `checkpoint.sink`.
 *
 * @param work May be called again for the same items, or for some of them, to find the bad one.
 */
export function postgresTransaction<T>(
  connections: PostgresConnections | Pool,
  work: (client: PoolClient, items: readonly T[], context: SinkContext) => Promise<unknown>,
): PostgresSink<T> {
  callable('postgresTransaction: work', work);
  const from = lender(connections, 'postgresTransaction');
  const write = async (client: PoolClient, items: readonly T[], context: SinkContext): Promise<void> => {
    await work(client, items, context);
  };
  const sink: PostgresSink<T> = {
    async store(items, context) {
      context.signal.throwIfAborted();
      if (items.length === 0) return;
      await inTransaction(from, (client) => write(client, items, context), { signal: context.signal });
    },
    write,
    classify: classifyPostgresError,
    close() {
      from.release();
      return Promise.resolve();
    },
  };
  return counting(sink, connectionsOf(connections));
}
