import { InvalidOptionError, PostgresRowError } from '../../errors.ts';
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
import { columnValues, type RowGroup, type RowRules } from './rows.ts';

interface Statement {
  readonly text: string;
  readonly columns: readonly Column[];
}

/** Writes rows to one table; remembers what the catalogue says of it, and the statement for each set of columns. */
export class TableWriter {
  readonly #table: string;
  readonly #rules: RowRules;
  readonly #types: Readonly<Record<string, string | undefined>>;
  #catalogue: Promise<Catalogue> | undefined;
  readonly #statements = new Map<string, Statement>();

  constructor(table: string, rules: RowRules, types: Readonly<Record<string, string | undefined>>) {
    this.#table = table;
    this.#rules = rules;
    this.#types = types;
  }

  /** Writes the groups one after the other. */
  async write(groups: readonly RowGroup[], run: RunQuery): Promise<void> {
    try {
      for (const { properties, rows } of groups) {
        const { text, columns } = await this.#statement(properties, run);
        const values = columns.map((column, i) =>
          columnValues(rows, properties[i]!, column, this.#rules.table),
        );
        await run(text, values);
      }
    } catch (error) {
      // Whatever was wrong with the table may be mended: the next batch asks the catalogue again.
      if (classifyPostgresError(error) === 'fatal') this.#forget();
      throw error;
    }
  }

  async #statement(properties: readonly string[], run: RunQuery): Promise<Statement> {
    const shape = JSON.stringify(properties);
    let statement = this.#statements.get(shape);
    if (statement === undefined) {
      const catalogue = await this.#readCatalogue(run);
      statement = this.#compose(properties, catalogue);
      this.#statements.set(shape, statement);
    }
    return statement;
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

  #compose(properties: readonly string[], catalogue: Catalogue): Statement {
    const { table, key, onConflict } = this.#rules;
    const columns = properties.map((property) => this.#typed(property, columnOf(catalogue, table, property)));
    this.#requireOneEach(properties, columns);
    const keys = key.map((property) => columnOf(catalogue, table, property).name);
    const others = columns.filter(({ name }) => !keys.includes(name));

    const names = columns.map(({ name }) => quote(name)).join(', ');
    const aliases = columns.map((_, i) => `c${i}`).join(', ');
    const chosen = columns.map(({ isArray, type }, i) => (isArray ? `c${i}::${type}` : `c${i}`)).join(', ');
    const parameters = columns
      .map(({ isArray, type }, i) => `$${i + 1}::${isArray ? 'text' : type}[]`)
      .join(', ');
    const set = others.map(({ name }) => `${quote(name)} = EXCLUDED.${quote(name)}`).join(', ');
    const action = onConflict === 'ignore' || set === '' ? 'DO NOTHING' : `DO UPDATE SET ${set}`;
    const conflict = keys.length === 0 ? '' : ` ON CONFLICT (${keys.map(quote).join(', ')}) ${action}`;
    const text =
      `INSERT INTO ${this.#table} (${names}) SELECT ${chosen} FROM unnest(${parameters}) AS rows (${aliases})` +
      conflict;
    return { text, columns };
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
    const type = this.#types[property];
    if (type === undefined) return column;
    return { ...column, type, isArray: type.endsWith(']'), isJson: /^jsonb?\b/i.test(type) };
  }

  #forget(): void {
    this.#catalogue = undefined;
    this.#statements.clear();
  }
}
