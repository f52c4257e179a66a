import type { PoolClient } from 'pg';
import { InvalidOptionError, PostgresRowError } from '../../errors.ts';
import { LruMap } from '../../queue/LruMap.ts';
import {
  columnOf,
  quote,
  readCatalogue,
  requireKey,
  type Catalogue,
  type Column,
  type RunQuery,
} from './catalogue.ts';
import { classifyPostgresError } from './classify.ts';
import { copyInto } from './copyInto.ts';
import { copyText } from './copyText.ts';
import { columnValues, rowColumn, type RowGroup, type RowRules } from './rows.ts';
import { compose, type Statements } from './statements.ts';
import { withColumn } from './withColumn.ts';

/** A client to write with. */
export interface Session {
  readonly client: PoolClient;
  readonly run: RunQuery;
  readonly queryTimeoutMs: number | undefined;
}

/** By parameters, or by COPY: straight into the table, or by way of one of the transaction's own. */
export type Way = 'unnest' | 'copy' | 'staged';

/** Statements that are remembered: rows of many optional properties have many sets of them. */
const maxStatements = 1_000;

/** Writes rows to one table; remembers what the catalogue says of it, and the statement for each set of columns. */
export class TableWriter {
  readonly #table: string;
  readonly #rules: RowRules;
  readonly #types: Readonly<Record<string, string | undefined>>;
  #catalogue: Promise<Catalogue> | undefined;
  #statements = new LruMap<Statements>(maxStatements);
  /** Tables of transactions so far: names for the next. */
  #staged = 0;

  constructor(table: string, rules: RowRules, types: Readonly<Record<string, string | undefined>>) {
    this.#table = table;
    this.#rules = rules;
    this.#types = types;
  }

  /** Writes the groups one after the other. `'staged'` is for within a transaction. */
  async write(groups: readonly RowGroup[], way: Way, session: Session): Promise<void> {
    try {
      for (const group of groups) await this.#writeGroup(group, way, session);
    } catch (error) {
      // Whatever was wrong with the table may be mended: the next batch asks the catalogue again.
      if (classifyPostgresError(error) === 'fatal') this.#forget();
      throw error;
    }
  }

  async #writeGroup({ properties, rows, inOrder }: RowGroup, way: Way, session: Session): Promise<void> {
    const statements = await this.#statementsFor(properties, session.run);
    const columns = statements.columns.map((column, i) => rowColumn(properties[i]!, column, this.#rules));
    const values = (): unknown[][] => columns.map((column) => columnValues(rows, column));
    try {
      if (way === 'unnest') await session.run(statements.unnest, values());
      else if (way === 'copy') await copyInto(statements.copy, copyText(rows, columns, inOrder), session);
      else await this.#stage(statements, copyText(rows, columns, inOrder), session);
    } catch (error) {
      if (error instanceof RangeError) {
        // A parameter is one string, and strings have a greatest length.
        const fault = 'or all of a batch is too large for one statement';
        throw new PostgresRowError(this.#rules.table, undefined, fault, error);
      }
      throw withColumn(error, {
        table: this.#rules.table,
        columns: statements.columns,
        staged: way === 'staged',
        valuesOfOne: rows.length === 1 ? values : undefined,
      });
    }
  }

  async #stage(statements: Statements, rows: Iterable<Buffer>, session: Session): Promise<void> {
    const { create, copy, insert } = statements.staged(this.#staged++);
    await session.run(create, []);
    await copyInto(copy, rows, session);
    await session.run(insert, []);
  }

  async #statementsFor(properties: readonly string[], run: RunQuery): Promise<Statements> {
    const shape = JSON.stringify(properties);
    let statements = this.#statements.get(shape);
    if (statements === undefined) {
      statements = this.#compose(properties, await this.#readCatalogue(run));
    }
    this.#statements.set(shape, statements);
    return statements;
  }

  /** Concurrent first batches share one look; a look that fails is not remembered. */
  #readCatalogue(run: RunQuery): Promise<Catalogue> {
    const look = async (): Promise<Catalogue> => {
      const catalogue = await readCatalogue(run, this.#table);
      const key = this.#rules.key.map((property) => columnOf(catalogue, this.#rules.table, property));
      if (key.length > 0) await requireKey(run, this.#table, key);
      return catalogue;
    };
    if (this.#catalogue === undefined) {
      const looking = look();
      this.#catalogue = looking;
      looking.catch(() => {
        if (this.#catalogue === looking) this.#catalogue = undefined;
      });
    }
    return this.#catalogue;
  }

  #compose(properties: readonly string[], catalogue: Catalogue): Statements {
    const { table, key, onConflict } = this.#rules;
    const columns = properties.map((property) => this.#typed(property, columnOf(catalogue, table, property)));
    this.#requireOneEach(properties, columns);
    const keys = key.map((property) => columnOf(catalogue, table, property).name);
    return compose(this.#table, columns, { keys, action: onConflict });
  }

  /** Two properties can go to one column: `createdAt` and `created_at`. Which one is meant is not ours to say. */
  #requireOneEach(properties: readonly string[], columns: readonly Column[]): void {
    const { table, columns: chosen } = this.#rules;
    const byColumn = new Map<string, string>();
    for (const [i, { name }] of columns.entries()) {
      const [property, other] = [properties[i]!, byColumn.get(name)];
      byColumn.set(name, property);
      if (other === undefined) continue;
      const fault = `and '${other}' both go to column ${quote(name)}; give one of them`;
      if (chosen === undefined) throw new PostgresRowError(table, property, fault);
      throw new InvalidOptionError(`postgresTable: columns: '${property}' ${fault}`);
    }
  }

  #typed(property: string, column: Column): Column {
    const type = Object.hasOwn(this.#types, property) ? this.#types[property] : undefined;
    if (type === undefined) return column;
    return { ...column, type, isArray: type.endsWith(']'), isJson: /^jsonb?\b/i.test(type) };
  }

  #forget(): void {
    this.#catalogue = undefined;
    this.#statements = new LruMap(maxStatements);
  }
}
