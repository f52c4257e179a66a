import { randomUUID } from 'node:crypto';
import type { Observable } from 'rxjs';
import { fromPull, type FromPullOptions } from '../../demand/fromPull.ts';
import { DeadLetterError } from '../../errors.ts';
import type { DeadLetter } from '../../work/DeadLetter.ts';
import type { Sink } from '../../work/Sink.ts';
import {
  asItIs,
  letterOf,
  recordOf,
  type FromDeadLettersOptions,
  type StoredDeadLetter,
  type ToDeadLettersOptions,
} from '../LetterRecord.ts';
import { quotedTable } from './catalogue.ts';
import { classifyPostgresError } from './classify.ts';
import type { PostgresConnections } from './connections.ts';

/** A dead letter in a table. */
export interface DeadLetterRow<T> extends StoredDeadLetter<T> {
  readonly id: string;
}

/**
 * Writes dead letters to a PostgreSQL table, those of a batch in one statement.
 *
 *     storeTo(sink, { onFailure: toDeadLetters(db, 'dead_letters') })
 *
 *     CREATE TABLE dead_letters (
 *       number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
 *       id uuid NOT NULL UNIQUE, at timestamptz NOT NULL, stage text NOT NULL, attempts integer NOT NULL,
 *       elapsed_ms double precision NOT NULL, error json NOT NULL, value json NOT NULL)
 *
 * A letter counts as written once the statement is committed, and only then is its item acknowledged. One that cannot be
 * written ends the flow, and its item is handed back; trying again does not write it twice:
 *
 *     onFailure: withRetry((letter, context) => letters.store([letter], context), delays([1_000, 5_000]))
 *
 * What is kept of the error and of the value is what the `toDeadLetters` of `sluice/files` keeps. The columns are `json`,
 * not `jsonb`, which cannot hold every text. The sink does not close the connections.
 *
 * @param table `'dead_letters'` or `'sales.dead_letters'`; letter by letter, as if quoted.
 * @throws `InvalidOptionError`, at call time, for a name that is none.
 */
export function toDeadLetters<T = unknown>(
  connections: PostgresConnections,
  table: string,
  { encode = (value) => value }: ToDeadLettersOptions<T> = {},
): Omit<Required<Sink<DeadLetter<T>>>, 'close'> {
  const text =
    `INSERT INTO ${quotedTable('toDeadLetters: table', table)} (id, at, stage, attempts, elapsed_ms, error, value) ` +
    'SELECT id, at, stage, attempts, elapsed_ms, error::json, value::json FROM unnest' +
    '($1::uuid[], $2::timestamptz[], $3::text[], $4::integer[], $5::double precision[], $6::text[], $7::text[]) ' +
    'AS letters (id, at, stage, attempts, elapsed_ms, error, value) ON CONFLICT (id) DO NOTHING';
  /** The same letter, tried again, is the same row. */
  const ids = new WeakMap<DeadLetter<T>, string>();
  const idOf = (letter: DeadLetter<T>): string => {
    const id = ids.get(letter) ?? randomUUID();
    ids.set(letter, id);
    return id;
  };
  return {
    store: async (letters, { signal }) => {
      const records = letters.map((letter) => recordOf(letter, encode));
      const columns = [
        letters.map(idOf),
        ...(['at', 'stage', 'attempts', 'elapsedMs', 'error', 'value'] as const).map((name) =>
          records.map((record) => record[name]),
        ),
      ];
      await connections.query(text, columns, { signal });
    },
    classify: (error) => (error instanceof DeadLetterError ? 'data' : classifyPostgresError(error)),
  };
}

/** Letters that are read at once. */
const PAGE = 500;

/**
 * Reads the dead letters of a table, as `toDeadLetters` wrote them, to feed their values back:
 *
 *     fromDeadLetters<Order>(db, 'dead_letters').pipe(map(({ value }) => value), poolMap(work, …), storeTo(…))
 *
 * - **Emits when** the stage below has room, one letter at a time, in the order in which they were written.
 * - **Waits when** the stage below is full: at most 500 letters are read ahead, and no connection is held meanwhile.
 * - **Drops** nothing.
 * - **Completes when** it has read what the table held when it was first asked: letters that this run itself writes to it
 *   are for the next one.
 * - **Errors when** PostgreSQL does, or with a `DeadLetterError` for a row that `decode` refuses.
 * - **Unsubscribing** cancels the statement under way. Rows are never deleted: `onSettled` tells which ones are done with,
 *   by their `id`.
 *
 * @throws `InvalidOptionError`, at call time, for a name that is none.
 */
export function fromDeadLetters<T = unknown>(
  connections: PostgresConnections,
  table: string,
  {
    decode = asItIs,
    ...options
  }: FromDeadLettersOptions<T> &
    Pick<FromPullOptions<DeadLetterRow<T>>, 'onSettled' | 'maxPending' | 'name'> = {},
): Observable<DeadLetterRow<T>> {
  const name = quotedTable('fromDeadLetters: table', table);
  return fromPull((signal) => readRows(connections, name, decode, signal), {
    name: 'fromDeadLetters',
    ...options,
  });
}

async function* readRows<T>(
  connections: PostgresConnections,
  table: string,
  decode: (written: unknown) => T,
  signal: AbortSignal,
): AsyncGenerator<DeadLetterRow<T>> {
  const newest = await connections.query<{ last: string | null }>(
    `SELECT max(number)::text AS last FROM ${table}`,
    [],
    { signal },
  );
  const last = newest.rows[0]?.last ?? '0';
  const text =
    `SELECT number::text AS place, id, at, stage, attempts, elapsed_ms AS "elapsedMs", error::text, value::text FROM ${table} ` +
    `WHERE number > $1 AND number <= $2 ORDER BY number LIMIT ${PAGE}`;
  for (let place = '0'; ;) {
    const { rows } = await connections.query<Row>(text, [place, last], { signal });
    for (const row of rows) yield { ...letterIn(row, table, decode), id: row.id };
    if (rows.length < PAGE) return;
    place = rows.at(-1)!.place;
  }
}

interface Row {
  /** Its number: a bigint, which comes as text. */
  readonly place: string;
  readonly id: string;
  readonly error: string;
  readonly value: string;
}

/** JSON is parsed here: a parser of the user's own for `json` would give something else. */
function letterIn<T>(row: Row, table: string, decode: (written: unknown) => T): StoredDeadLetter<T> {
  try {
    const [error, value] = [row.error, row.value].map((json) => JSON.parse(json) as unknown);
    return letterOf({ ...row, error, value }, decode);
  } catch (cause) {
    const message = `fromDeadLetters: ${table}: the letter ${row.id} is none, or its value was refused`;
    throw new DeadLetterError(message, { retryable: false, cause });
  }
}
