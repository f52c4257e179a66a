import { InvalidOptionError } from '../../errors.ts';
import { nonEmpty } from '../../options.ts';

/** Runs a statement; what `PostgresConnections` and the wrapper around a plain pool have in common. */
export type RunQuery = (text: string, values: unknown[]) => Promise<{ rows: unknown[] }>;

export interface Column {
  readonly name: string;
  /**
   * As SQL names it; of a domain, the type beneath it. Without length or precision: a cast with these would cut what does
   * not fit, in silence, where the assignment that follows complains.
   */
  readonly type: string;
  readonly isArray: boolean;
  /** `json` and `jsonb`, or an array of these. */
  readonly isJson: boolean;
  /** The type's own number for length or precision; negative without one. */
  readonly modifier: number;
  /** Names of the CHECK constraints that look at it. */
  readonly checks: readonly string[];
}

/** What the server's catalogue says of the columns of a table, by name. */
export type Catalogue = ReadonlyMap<string, Column>;

const columnsOf = `
  SELECT a.attname AS name,
         format_type(t.oid, -1) AS type,
         t.typcategory = 'A' AS "isArray",
         coalesce(nullif(t.typelem, 0), t.oid) IN ('json'::regtype, 'jsonb'::regtype) AS "isJson",
         a.atttypmod AS modifier,
         ARRAY(SELECT conname::text FROM pg_constraint
                WHERE conrelid = a.attrelid AND contype = 'c' AND a.attnum = ANY (conkey)) AS checks
    FROM pg_attribute a JOIN pg_type t ON t.oid = coalesce(nullif((
           SELECT typbasetype FROM pg_type WHERE oid = a.atttypid), 0), a.atttypid)
   WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped`;

/** The columns of each unique index that ON CONFLICT can use: whole, plain columns, valid, checked at once. */
const keysOf = `
  SELECT array_agg(a.attname::text ORDER BY a.attname) AS key
    FROM pg_index i
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
   WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indimmediate
     AND i.indpred IS NULL AND i.indexprs IS NULL
   GROUP BY i.indexrelid`;

export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/**
 * `orders`, `sales.orders`, or with quotes around a part that holds a dot. Each part is taken letter by letter, as if
 * quoted: `Orders` is not `orders`.
 *
 * @param key Names the option in messages.
 * @throws `InvalidOptionError` for anything else.
 */
export function quotedTable(key: string, table: string): string {
  nonEmpty(key, table);
  const part = '"(?:[^"]|"")+"|[^".]+';
  const match = new RegExp(`^(?:(${part})\\.)?(${part})$`).exec(table);
  if (match === null || table.includes('\0'))
    throw new InvalidOptionError(`${key} must be 'name' or 'schema.name'`);
  const bare = (name: string): string =>
    name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
  return match
    .slice(1)
    .flatMap((name) => (name === undefined ? [] : [quote(bare(name))]))
    .join('.');
}

/** `createdAt` becomes `created_at`, `orderID` `order_id`, `line2` stays. */
const snakeCase = (name: string): string =>
  name
    .replace(/([a-z\d])([A-Z])|([A-Z])(?=[A-Z][a-z])/g, (_all, low?: string, high?: string, head?: string) =>
      low === undefined ? `${head!}_` : `${low}_${high!}`,
    )
    .toLowerCase();

/** What is said of a table that is not there. */
export const noTable = 'there is no table';

/**
 * Reads the table's columns and unique indexes.
 *
 * @throws `InvalidOptionError` if there is no such table.
 */
export async function readCatalogue(run: RunQuery, table: string): Promise<Catalogue> {
  const { rows } = await run(columnsOf, [table]);
  if (rows.length === 0)
    throw new InvalidOptionError(
      `postgresTable: ${noTable} ${table}; create it first, or name its schema: 'schema.name'`,
    );
  return new Map((rows as Column[]).map((column) => [column.name, column]));
}

/** @throws `InvalidOptionError` if the table has no unique index, or primary key, on exactly these columns. */
export async function requireKey(run: RunQuery, table: string, columns: readonly Column[]): Promise<void> {
  const { rows } = await run(keysOf, [table]);
  const wanted = JSON.stringify(columns.map(({ name }) => name).sort());
  if ((rows as { key: string[] }[]).some(({ key }) => JSON.stringify([...key].sort()) === wanted)) return;
  const names = columns.map(({ name }) => quote(name)).join(', ');
  throw new InvalidOptionError(
    `postgresTable: ${table} has no unique index on (${names}), which ON CONFLICT needs; create one, or name another key`,
  );
}

/**
 * The column of a property: of exactly its name, else of its name in snake_case.
 *
 * @throws `InvalidOptionError` if there is none.
 */
export function columnOf(catalogue: Catalogue, table: string, property: string): Column {
  const column = catalogue.get(property) ?? catalogue.get(snakeCase(property));
  if (column !== undefined) return column;
  throw new InvalidOptionError(
    `postgresTable: ${table} has no column for property '${property}'; name the properties to store in 'columns'`,
  );
}
