import type { Pool } from 'pg';
import { InvalidOptionError } from '../../errors.ts';
import { nonEmpty, oneOf } from '../../options.ts';
import type { Sink } from '../../work/Sink.ts';
import { quotedTable, type RunQuery } from './catalogue.ts';
import { classifyPostgresError } from './classify.ts';
import { Checkout, guard, translateTimeout } from './clients.ts';
import type { PostgresConnections } from './connections.ts';
import type { RowRules } from './rows.ts';
import { TableWriter } from './writer.ts';

export interface PostgresTableOptions<Row> {
  /** The properties that identify a row. The table needs a unique index, or its primary key, on exactly their columns. */
  readonly key: readonly (keyof Row & string)[];
  /**
   * The properties to store, the key's included or not. Absent: all that a row has, and one without a column is an error.
   */
  readonly columns?: readonly (keyof Row & string)[];
  /**
   * What becomes of a row whose key is there: its other columns are replaced, or it is left as it is.
   * @defaultValue `'update'`
   */
  readonly onConflict?: 'update' | 'ignore';
  /** SQL types by property, where the catalogue's is not wanted. */
  readonly types?: Readonly<Partial<Record<keyof Row & string, string>>>;
}

/** Without a limit of the pool's own, a query whose server is gone would never end. */
const queryTimeoutMs = 30_000;

/**
 * Stores rows in a PostgreSQL table: one statement and one parameter a column for each batch, however large, that inserts
 * or updates by key. Storing the same rows again changes nothing, so a batch whose outcome is unknown may be retried. One
 * that is aborted is cancelled at the server, which may have stored it all the same.
 *
 *     storeTo(postgresTable(db, 'orders', { key: ['id'] }), { maxItems: 500, maxWaitMs: 50 })
 *
 * A property goes to the column of exactly its name, else of its name in snake_case (`createdAt` to `created_at`). Types
 * come from the catalogue, which is read at the first batch. What is in the property comes back out of the column: `json`
 * columns take any value, strings included; `null` is SQL's NULL. A property that is absent or `undefined` is not written:
 * the column's default on insert, unchanged on update. Rows of one batch that differ in this go in separate statements.
 *
 * Of rows with the same key in a batch, the later wins, property by property, as if they came one at a time; with
 * `onConflict: 'ignore'`, the first. Rows are sorted by key, so that concurrent writers do not deadlock.
 *
 * @param connections Ours, or a `pg.Pool`, on which lost connections are then listened to until the sink is closed. The
 * sink closes neither.
 * @param table `'orders'` or `'sales.orders'`; letter by letter, as if quoted.
 * @throws `InvalidOptionError`, at call time for an option; from `store`, where the table, a column or the unique index is
 * missing.
 * @see `classifyPostgresError`, which is the sink's `classify`.
 */
export function postgresTable<Row extends object>(
  connections: PostgresConnections | Pool,
  table: string,
  { key, columns, onConflict = 'update', types }: PostgresTableOptions<Row>,
): Required<Sink<Row>> {
  nonEmpty('postgresTable: table', table);
  const name = quotedTable(table);
  if (key.length === 0) throw new InvalidOptionError('postgresTable: key must name at least one property');
  oneOf('postgresTable: onConflict', onConflict, ['update', 'ignore']);
  const chosenTypes: Readonly<Record<string, string | undefined>> = types ?? {};
  for (const type of Object.values(chosenTypes)) checkType(type);
  const all = columns === undefined ? undefined : [...new Set<string>([...key, ...columns])];
  const rules: RowRules = { table, key, columns: all, onConflict };

  const { run, release } = runner(connections);
  const writer = new TableWriter(run, name, rules, chosenTypes);
  return {
    store: (rows, { signal }) => writer.store(rows as readonly Readonly<Record<string, unknown>>[], signal),
    classify: classifyPostgresError,
    close: () => {
      release();
      return Promise.resolve();
    },
  };
}

function checkType(type: string | undefined): void {
  if (type === undefined || /^[\w ".]+(\(\d+(, ?\d+)?\))?(\[\])?$/.test(type)) return;
  throw new InvalidOptionError(
    'postgresTable: types must be names of SQL types, such as text or numeric(10,2)',
  );
}

/** How statements are run, and what is to be undone at the end. */
function runner(connections: PostgresConnections | Pool): { run: RunQuery; release: () => void } {
  if ('withClient' in connections) {
    return {
      run: (text, values, signal) => connections.query(text, values, { signal }),
      release: () => undefined,
    };
  }
  const timeoutMs = connections.options.query_timeout ?? queryTimeoutMs;
  const run: RunQuery = async (text, values, signal) => {
    const checkout = new Checkout(connections);
    const stop = (): void => checkout.stop(signal?.reason);
    if (signal?.aborted === true) stop();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      const query = { text, values, query_timeout: timeoutMs };
      return await checkout.run((client) => client.query<Record<string, unknown>>(query));
    } catch (error) {
      throw translateTimeout(error, 'postgresTable', timeoutMs);
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  };
  return { run, release: guard(connections) };
}
