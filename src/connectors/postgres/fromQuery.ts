import type { PoolClient } from 'pg';
import type { Observable } from 'rxjs';
import { fromPull } from '../../demand/fromPull.ts';
import { nonEmpty, wholeNumber } from '../../options.ts';
import type { PostgresConnections } from './connections.ts';

export interface FromQueryOptions {
  /** The statement's parameters. @defaultValue none */
  readonly values?: readonly unknown[];
  /** Rows that are fetched at once, and are in hand at most. Whole number, 1 or more. @defaultValue 500 */
  readonly batchSize?: number;
  /** Name in messages. @defaultValue 'fromQuery' */
  readonly name?: string;
}

/**
 * Emits the rows of a query through a cursor of the server, which is asked for more when the stage below has room.
 *
 *     fromQuery<Order>(db, 'SELECT * FROM orders WHERE day = $1', { values: [day] })
 *
 * The query holds a connection, and a transaction, until its end: for long readings by slow flows take `fromTable`, which
 * holds neither.
 *
 * - **Emits when** the stage below has room, one row at a time.
 * - **Waits when** it has none: at most `batchSize` rows are in hand, and the server waits.
 * - **Drops** nothing.
 * - **Completes when** the query has no more rows, or draining begins.
 * - **Errors when** the query fails or the connection is lost. Subscribed to again, it starts anew.
 * - **Unsubscribing** cancels the query, and ends its connection, at once.
 */
export function fromQuery<R extends object = Record<string, unknown>>(
  connections: PostgresConnections,
  text: string,
  { values = [], batchSize = 500, name = 'fromQuery' }: FromQueryOptions = {},
): Observable<R> {
  nonEmpty('fromQuery: text', text);
  wholeNumber('fromQuery: batchSize', batchSize, 1);
  nonEmpty('fromQuery: name', name);
  return fromPull((signal) => rowsOf<R>(connections, text, [...values], batchSize, signal), { name });
}

async function* rowsOf<R extends object>(
  connections: PostgresConnections,
  text: string,
  values: unknown[],
  batchSize: number,
  signal: AbortSignal,
): AsyncGenerator<R> {
  const { client, giveBack, end } = await borrow(connections, signal);
  /** What the server said while no statement ran: the next one tells only that the connection is lost. */
  let said: unknown;
  const onError = (error: Error): void => {
    said ??= error;
  };
  client.on('error', onError);
  try {
    await client.query('BEGIN');
    await client.query(`DECLARE sluice_cursor NO SCROLL CURSOR FOR ${text}`, values);
    for (let full = true; full;) {
      const { rows } = await client.query(`FETCH ${batchSize} FROM sluice_cursor`);
      full = rows.length === batchSize;
      yield* rows as R[];
    }
    await client.query('COMMIT');
    giveBack();
  } catch (error) {
    if (error instanceof Error && error !== said) error.cause ??= said;
    throw error;
  } finally {
    client.removeListener('error', onError);
    end();
  }
}

/** Takes a client until it is given back, or ended; the signal ends it too. */
async function borrow(
  connections: PostgresConnections,
  signal: AbortSignal,
): Promise<{ client: PoolClient; giveBack: () => void; end: () => void }> {
  let giveBack: () => void = () => undefined;
  let end: () => void = () => undefined;
  const returned = new Promise<void>((resolve, reject) => {
    giveBack = resolve;
    end = () => reject(new DOMException('The source was left', 'AbortError'));
  });
  const client = await new Promise<PoolClient>((resolve, reject) => {
    connections
      .withClient(
        (lent) => {
          resolve(lent);
          return returned;
        },
        { signal },
      )
      .catch(reject);
  });
  return { client, giveBack, end };
}
