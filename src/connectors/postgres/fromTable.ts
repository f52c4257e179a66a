import type { Observable } from 'rxjs';
import { fromPull } from '../../demand/fromPull.ts';
import { InvalidOptionError } from '../../errors.ts';
import { nonEmpty, wholeNumber } from '../../options.ts';
import { listOfNames } from '../names.ts';
import { quote, quotedTable } from './catalogue.ts';
import type { PostgresCheckpoint } from './checkpoint.ts';
import type { PostgresConnections } from './connections.ts';

export interface FromTableOptions<R> {
  /** Columns, none of them NULL, that together identify a row, in the order in which an index has them: that of the rows. */
  readonly key: readonly (keyof R & string)[];
  /** A condition of SQL that rows must meet. @defaultValue none */
  readonly where?: string;
  /** Rows that are read by one statement, and are in hand at most. Whole number, 1 or more. @defaultValue 1_000 */
  readonly pageSize?: number;
  /**
   * Where to go on after a restart. The rows that are there between the first that is not done and the last that was read
   * must be the same then: a table that only grows, at its end. @defaultValue nowhere: each subscription starts anew
   */
  readonly checkpoint?: PostgresCheckpoint;
  /** Name in messages. @defaultValue 'fromTable' */
  readonly name?: string;
}

/** The key of a row, as text: as exact as the column. */
type Key = readonly string[];

/**
 * Emits the rows of a table in the order of a key, a page at a time. Between pages it holds no connection, and no
 * transaction: rows that are added meanwhile, later in that order, are read too.
 *
 *     fromTable<Order>(db, 'orders', { key: ['id'], checkpoint })
 *
 * - **Emits when** the stage below has room, one row at a time.
 * - **Waits when** it has none: at most `pageSize` rows are in hand.
 * - **Drops** nothing.
 * - **Completes when** there are no more rows, or draining begins.
 * - **Errors when** a statement fails, or a row has a key that is NULL. With a `checkpoint`, subscribed to again, it goes on
 *   where it was.
 * - **Unsubscribing** cancels the statement that reads, at once.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function fromTable<R extends object = Record<string, unknown>>(
  connections: PostgresConnections,
  table: string,
  { key, where, pageSize = 1_000, checkpoint, name = 'fromTable' }: FromTableOptions<R>,
): Observable<R> {
  const quoted = quotedTable('fromTable: table', table);
  listOfNames('fromTable: key', key, 1);
  if (where !== undefined) nonEmpty('fromTable: where', where);
  wholeNumber('fromTable: pageSize', pageSize, 1);
  nonEmpty('fromTable: name', name);

  const columns = key.map(quote).join(', ');
  const parameters = key.map((_, i) => `$${i + 1}`).join(', ');
  const keyText = `ARRAY[${key.map((column) => `${quote(column)}::text`).join(', ')}] AS "${keyName}"`;
  const page = (after: Key | undefined): string => {
    const conditions = [
      ...(where === undefined ? [] : [`(${where}\n)`]), // it may end in a comment
      ...(after === undefined ? [] : [`(${columns}) > (${parameters})`]),
    ];
    const filter = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
    return `SELECT *, ${keyText} FROM ${quoted}${filter} ORDER BY ${columns} LIMIT ${pageSize}`;
  };
  /** The rows after a key, and beside each, its own. */
  async function* read(from: Key | undefined, signal: AbortSignal): AsyncGenerator<R> {
    let after = from;
    for (let full = true; full;) {
      const { rows } = await connections.query<KeyedRow>(page(after), [...(after ?? [])], { signal });
      full = rows.length === pageSize;
      after = (rows.at(-1)?.[keyName] as Key | undefined) ?? after;
      for (const { [keyName]: own, ...row } of rows) {
        const missing = own.indexOf(null);
        if (missing >= 0) {
          throw new InvalidOptionError(
            `${name}: key: '${key[missing]}' is NULL in a row, which has no place in the order`,
          );
        }
        if (checkpoint) keys.set(row, own as Key);
        yield row as R;
      }
    }
  }

  const keys = new WeakMap<object, Key>();
  if (checkpoint === undefined) return fromPull((signal) => read(undefined, signal), { name });
  return checkpoint.source<R, Key>(({ cursor }, signal) => read(cursor, signal), {
    name,
    cursor: (row) => keys.get(row) ?? [],
  });
}

const keyName = 'sluice key';
type KeyedRow = Readonly<Record<string, unknown>> & { readonly [keyName]: readonly (string | null)[] };
