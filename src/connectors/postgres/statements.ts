import { quote, type Column } from './catalogue.ts';

/** How rows with the same properties are written: with one statement, or by way of COPY. */
export interface Statements {
  readonly columns: readonly Column[];
  /** One parameter a column. */
  readonly unnest: string;
  /** Straight into the table, where nothing is to be done about rows that are there. */
  readonly copy: string;
  /** Into a table of the transaction's own, and from there in one statement. */
  readonly staged: (number: number) => { create: string; copy: string; insert: string };
}

export interface Conflict {
  /** Names of the key's columns; none: rows are only inserted. */
  readonly keys: readonly string[];
  readonly action: 'update' | 'ignore';
}

export function compose(table: string, columns: readonly Column[], { keys, action }: Conflict): Statements {
  const names = columns.map(({ name }) => quote(name)).join(', ');
  const aliases = columns.map((_, i) => `c${i}`).join(', ');
  const chosen = columns.map(({ isArray, type }, i) => (isArray ? `c${i}::${type}` : `c${i}`)).join(', ');
  const parameters = columns
    .map(({ isArray, type }, i) => `$${i + 1}::${isArray ? 'text' : type}[]`)
    .join(', ');
  const set = columns
    .filter(({ name }) => !keys.includes(name))
    .map(({ name }) => `${quote(name)} = EXCLUDED.${quote(name)}`)
    .join(', ');
  const does = action === 'ignore' || set === '' ? 'DO NOTHING' : `DO UPDATE SET ${set}`;
  const conflict = keys.length === 0 ? '' : ` ON CONFLICT (${keys.map(quote).join(', ')}) ${does}`;
  const insert = `INSERT INTO ${table} (${names})`;
  return {
    columns,
    unnest: `${insert} SELECT ${chosen} FROM unnest(${parameters}) AS rows (${aliases})${conflict}`,
    copy: `COPY ${table} (${names}) FROM STDIN`,
    staged(number) {
      const stage = `sluice_rows_${number}`;
      const definition = columns.map(({ type }, i) => `c${i} ${type}`).join(', ');
      return {
        create: `CREATE TEMPORARY TABLE ${stage} (${definition}) ON COMMIT DROP`,
        copy: `COPY pg_temp.${stage} (${aliases}) FROM STDIN`,
        insert: `${insert} SELECT ${aliases} FROM pg_temp.${stage}${conflict}`,
      };
    },
  };
}
