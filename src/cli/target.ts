import {
  columnOf,
  noTable,
  quotedTable,
  readCatalogue,
  requireKey,
  type Catalogue,
  type Column,
} from '../connectors/postgres/catalogue.ts';
import { columnValues, rowColumn } from '../connectors/postgres/rows.ts';
import type { PostgresConnections, PostgresSink } from '../connectors/postgres.ts';
import { classifyPostgresError, postgresTable } from '../connectors/postgres.ts';
import { codeOf, InvalidOptionError, PostgresRowError } from '../errors.ts';
import type { CollectSettings } from './arguments.ts';
import { BadRecordError, reason, RunError, UsageError } from './failures.ts';
import { newTable } from './newTable.ts';
import type { JsonRecord } from './record.ts';

/** Refused rows for which the database is asked which field it was; the rest say what the database said. */
const maxInquiries = 20;

/** The table that records are stored in, checked. */
export class Target {
  readonly sink: PostgresSink<JsonRecord>;
  readonly #database: PostgresConnections;
  readonly #settings: CollectSettings;
  readonly #catalogue: Catalogue;
  /** The column of each field that was met so far. */
  readonly #columns = new Map<string, Column>();
  #inquiries = 0;

  private constructor(database: PostgresConnections, settings: CollectSettings, catalogue: Catalogue) {
    this.#database = database;
    this.#settings = settings;
    this.#catalogue = catalogue;
    const { table, key, columns } = settings;
    this.sink = postgresTable<Record<string, unknown>>(database, table, { key, ...(columns && { columns }) });
  }

  /**
   * Checks the connection, the table, its columns and the key.
   *
   * @param peek Gives a record for which a table that is not there could be made.
   * @throws `UsageError` for what is not there, `RunError` where the database cannot be reached.
   */
  static async open(
    database: PostgresConnections,
    settings: CollectSettings,
    peek: () => Promise<JsonRecord | undefined>,
  ): Promise<Target> {
    const { table, key, columns = [] } = settings;
    const run = (text: string, values: unknown[]) => database.query(text, values);
    try {
      await run('SELECT 1', []);
    } catch (error) {
      throw unreachable(error);
    }
    try {
      const name = quotedTable('postgresTable: table', table);
      const catalogue = await readCatalogue(run, name);
      const target = new Target(database, settings, catalogue);
      for (const field of columns) target.#named('--columns', field);
      await requireKey(
        run,
        name,
        key.map((field) => target.#named('--key', field)),
      );
      return target;
    } catch (error) {
      if (error instanceof InvalidOptionError && error.message.includes(noTable)) {
        const name = new URL(settings.database).pathname.slice(1);
        const statement = newTable(settings, await peek());
        throw new UsageError(
          `--table: ${noTable} ${table} in ${name}; create it first, say with ${statement}`,
        );
      }
      throw usageOr(error, settings);
    }
  }

  /**
   * Checks what can be known of a record before the database sees it.
   *
   * @throws `BadRecordError` for a field that has no column, or a key that is missing.
   */
  check(record: JsonRecord): void {
    for (const field of this.#settings.key) {
      if (record[field] === undefined || record[field] === null) {
        throw new BadRecordError(
          `is ${record[field] === null ? 'null' : 'not there'}, and is the key`,
          field,
        );
      }
    }
    if (this.#settings.columns === undefined) for (const field of Object.keys(record)) this.#column(field);
  }

  /**
   * Stores a record in a transaction that is rolled back, so that what the database refuses is known before anything is
   * written.
   *
   * @throws `BadRecordError` for what is wrong with the record, `UsageError` or `RunError` for all else.
   */
  async rehearse(record: JsonRecord): Promise<void> {
    try {
      await this.#database.withClient(async (client) => {
        await client.query('BEGIN');
        try {
          const { signal } = new AbortController();
          await this.sink.write(client, [record], { attempt: 1, signal });
        } finally {
          await client.query('ROLLBACK');
        }
      });
    } catch (error) {
      if (classifyPostgresError(error) === 'data') throw await this.refusal(error, record);
      throw usageOr(error, this.#settings);
    }
  }

  /** What is wrong with a record that the database refuses. */
  async refusal(error: unknown, record: JsonRecord): Promise<BadRecordError> {
    const { property, column } = (error ?? {}) as { property?: string; column?: string };
    let field =
      property ?? Object.keys(record).find((name) => this.#columns.get(name)?.name === column) ?? column;
    if (field === undefined && codeOf(error)?.startsWith('22') === true && this.#inquiries++ < maxInquiries) {
      field = await this.#refusedField(record);
    }
    const what = withoutTable(error, this.#settings.table);
    if (error instanceof PostgresRowError) return new BadRecordError(what, field);
    if (field === undefined) return new BadRecordError(`the database refuses it: ${what}`);
    return new BadRecordError(`is refused by the database: ${what}`, field);
  }

  #named(option: string, field: string): Column {
    try {
      return columnOf(this.#catalogue, this.#settings.table, field);
    } catch {
      throw new UsageError(`${option}: field '${field}' has no column in ${this.#settings.table}`);
    }
  }

  #column(field: string): Column {
    let column = this.#columns.get(field);
    if (column === undefined) {
      try {
        column = columnOf(this.#catalogue, this.#settings.table, field);
      } catch {
        const { table } = this.#settings;
        throw new BadRecordError(
          `has no column in ${table}; say which fields to store with --columns`,
          field,
        );
      }
      this.#columns.set(field, column);
    }
    return column;
  }

  /** Has the database read each value by itself. */
  async #refusedField(record: JsonRecord): Promise<string | undefined> {
    const { table, columns = Object.keys(record) } = this.#settings;
    for (const field of columns) {
      const column = this.#column(field);
      const { isArray, type } = column;
      const value = isArray ? `c::${type}` : 'c';
      try {
        const values = columnValues([record], rowColumn(field, column, { table, nul: 'fail' }));
        await this.#database.query(`SELECT ${value} FROM unnest($1::${isArray ? 'text' : type}[]) AS r (c)`, [
          values,
        ]);
      } catch (error) {
        return classifyPostgresError(error) === 'data' ? field : undefined;
      }
    }
    return undefined;
  }
}

function unreachable(error: unknown): Error {
  const what = `--database: ${reason(error)}`;
  // Who may come in (28) and which databases there are (3D) is the user's business; the rest may mend itself.
  return /^(28|3D)/.test(codeOf(error) ?? '') ? new UsageError(what) : new RunError(what, { cause: error });
}

/** What went wrong, without what the command says itself: that it was the table, which, and the field. */
function withoutTable(error: unknown, table: string): string {
  const { column, property } = (error ?? {}) as { column?: string; property?: string };
  return ['postgresTable: ', `${table}: `, `column '${column}': `, `property '${property}' `].reduce(
    (text, said) => (text.startsWith(said) ? text.slice(said.length) : text),
    reason(error),
  );
}

/** What the checks say, in the words of the command. */
function usageOr(error: unknown, { table }: CollectSettings): Error {
  if (error instanceof UsageError) return error;
  const what = withoutTable(error, table).replace(
    ', which ON CONFLICT needs; create one, or name another key',
    ': create one, or give another --key',
  );
  if (error instanceof InvalidOptionError) return new UsageError(`--table: ${what}`);
  if (classifyPostgresError(error) === 'fatal') return new UsageError(`--table ${table}: ${what}`);
  return new RunError(`--table ${table}: ${what}`, { cause: error });
}
