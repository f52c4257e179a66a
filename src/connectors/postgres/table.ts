import type { Pool, PoolClient } from 'pg';
import { InvalidOptionError } from '../../errors.ts';
import { connectionsOf, counting } from '../../metrics/connections.ts';
import { oneOf } from '../../options.ts';
import { listOfNames } from '../names.ts';
import { quotedTable } from './catalogue.ts';
import { classifyPostgresError } from './classify.ts';
import type { PostgresConnections } from './connections.ts';
import { copyDriver } from './copyInto.ts';
import { canCopy } from './copyText.ts';
import { inTransaction, lender } from './lender.ts';
import { arrange, type RowGroup, type RowRules } from './rows.ts';
import type { PostgresSink } from './sink.ts';
import { TableWriter, type Session, type Way } from './writer.ts';

/** Rows from which on COPY is the faster way. */
const copyFrom = 2_000;

export interface PostgresTableOptions<Row> {
  /**
   * The properties that identify a row. The table needs a unique index, or its primary key, on exactly their columns.
   * Absent: rows are only inserted, and a batch that is tried again after its outcome was unknown may be there twice,
   * unless a checkpoint is written with it (`postgresCheckpoint`).
   */
  readonly key?: readonly (keyof Row & string)[];
  /**
   * The properties to store, the key's included or not. Absent: all that a row has, and one without a column is an error.
   */
  readonly columns?: readonly (keyof Row & string)[];
  /**
   * What becomes of a row whose key is there: its other columns are replaced, or it is left as it is.
   * @defaultValue `'update'`
   */
  readonly onConflict?: 'update' | 'ignore';
  /**
   * How rows go in: as parameters of one statement, or by COPY, which needs the package `pg-copy-streams`; with a key, into
   * a temporary table first. @defaultValue COPY from 2,000 rows on, if the package is there
   */
  readonly via?: 'unnest' | 'copy';
  /**
   * What becomes of the NUL characters of a text, which PostgreSQL does not store: the row is refused, or stored without
   * them. @defaultValue `'fail'`
   */
  readonly nul?: 'fail' | 'strip';
  /** SQL types by property, where the catalogue's is not wanted. */
  readonly types?: Readonly<Partial<Record<keyof Row & string, string>>>;
}

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
  { key, columns, onConflict = 'update', via, nul = 'fail', types }: PostgresTableOptions<Row> = {},
): PostgresSink<Row> {
  const name = quotedTable('postgresTable: table', table);
  if (key !== undefined) listOfNames('postgresTable: key', key, 1);
  if (columns !== undefined) listOfNames('postgresTable: columns', columns, 0);
  oneOf('postgresTable: onConflict', onConflict, ['update', 'ignore']);
  if (via !== undefined) oneOf('postgresTable: via', via, ['unnest', 'copy']);
  oneOf('postgresTable: nul', nul, ['fail', 'strip']);
  const chosenTypes: Readonly<Record<string, string | undefined>> = types ?? {};
  for (const type of Object.values(chosenTypes)) checkType(type);
  const all = columns === undefined ? undefined : [...new Set<string>([...(key ?? []), ...columns])];
  const rules: RowRules = { table, key: key ?? [], columns: all, onConflict, nul };

  const from = lender(connections, 'postgresTable');
  const writer = new TableWriter(name, rules, chosenTypes);
  const { queryTimeoutMs } = from;
  const sessionOf = (client: PoolClient): Session => ({
    client,
    run: (text, values) =>
      client.query({ text, values, ...(queryTimeoutMs && { query_timeout: queryTimeoutMs }) }),
    queryTimeoutMs,
  });
  const grouped = (rows: readonly Row[]): RowGroup[] =>
    arrange(rows as readonly Readonly<Record<string, unknown>>[], rules);
  // A COPY takes the types of the table it goes to.
  const copied: Way = key === undefined && types === undefined ? 'copy' : 'staged';
  const wayOf = async (groups: readonly RowGroup[]): Promise<Way> => {
    if (via === 'unnest' || !canCopy) return 'unnest';
    const rows = groups.reduce((sum, group) => sum + group.rows.length, 0);
    if (via === undefined && rows < copyFrom * groups.length) return 'unnest';
    if ((await copyDriver()) !== undefined) return copied;
    if (via === 'copy')
      throw new InvalidOptionError("postgresTable: via 'copy' needs the package pg-copy-streams");
    return 'unnest';
  };

  const sink: PostgresSink<Row> = {
    async store(rows, { signal }) {
      signal.throwIfAborted();
      const groups = grouped(rows);
      if (groups.length === 0) return;
      const way = await wayOf(groups);
      const write = (client: PoolClient): Promise<void> => writer.write(groups, way, sessionOf(client));
      // With a key, what was stored of a batch that failed may be stored again.
      const one = way !== 'staged' && (groups.length === 1 || key !== undefined);
      await (one ? from.withClient(write, { signal }) : inTransaction(from, write, { signal }));
    },
    async write(client, rows) {
      const groups = grouped(rows);
      if (groups.length > 0) await writer.write(groups, await wayOf(groups), sessionOf(client));
    },
    classify: classifyPostgresError,
    close() {
      from.release();
      return Promise.resolve();
    },
  };
  return counting(sink, connectionsOf(connections));
}

function checkType(type: string | undefined): void {
  if (type === undefined || /^[\w ".]+(\(\d+(, ?\d+)?\))?(\[\])?$/.test(type)) return;
  throw new InvalidOptionError(
    'postgresTable: types must be names of SQL types, such as text or numeric(10,2)',
  );
}
