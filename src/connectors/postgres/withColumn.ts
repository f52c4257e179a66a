import type { Column } from './catalogue.ts';
import { toldBy } from './toldBy.ts';

/** Of pg's `DatabaseError`, what is of use here. */
interface Told {
  readonly code?: string | undefined;
  column?: string | undefined;
  readonly constraint?: string | undefined;
  readonly where?: string | undefined;
  readonly detail?: string | undefined;
}

/** What was being written. */
interface Writing {
  readonly table: string;
  readonly columns: readonly Column[];
  /** By way of a table whose columns are `c0`, `c1` and so on. */
  readonly staged: boolean;
  /** The values of each column, where the row is alone. */
  readonly valuesOfOne: (() => readonly (readonly unknown[])[]) | undefined;
}

/**
 * The same error, which names the table, and the column at fault where the server says that in other words: the parameter
 * that it could not read, the line and column of a COPY, the key, the constraint; of a row that is alone, what does not fit.
 */
export function withColumn(error: unknown, writing: Writing): unknown {
  if (!(error instanceof Error) || !('severity' in error)) return error;
  const told = error as Told;
  const { table, columns, valuesOfOne } = writing;
  const name =
    told.column ??
    said(told, writing) ??
    (valuesOfOne === undefined ? undefined : misfit(told, columns, valuesOfOne()));
  if (name !== undefined) told.column = name;
  return toldBy(`postgresTable: ${table}${name === undefined ? '' : `: column '${name}'`}`, error);
}

function said(
  { where = '', detail = '', constraint }: Told,
  { columns, staged }: Writing,
): string | undefined {
  const parameter = /portal parameter \$(\d+)/.exec(where)?.[1];
  if (parameter !== undefined) return columns[Number(parameter) - 1]?.name;
  const copied = /^COPY .*, column ([^:\n]+)/m.exec(where)?.[1];
  if (copied !== undefined) return staged ? columns[Number(copied.slice(1))]?.name : copied;
  const key = /^Key \((.+)\)=/.exec(detail)?.[1];
  if (key !== undefined) return key;
  const checked = columns.filter(({ checks }) => constraint !== undefined && checks.includes(constraint));
  return checked.length > 0 ? checked.map((column) => column.name).join(', ') : undefined;
}

/** The column whose value the type does not take, as far as that can be seen from here. */
function misfit(
  { code }: Told,
  columns: readonly Column[],
  values: readonly (readonly unknown[])[],
): string | undefined {
  const fits = code === undefined ? undefined : tests[code];
  return fits && columns.find((column, i) => !fits(values[i]![0], column))?.name;
}

const tests: Readonly<Record<string, (value: unknown, column: Column) => boolean>> = {
  // A byte that no text may have.
  '22021': (value) =>
    !(typeof value === 'string' ? value : JSON.stringify(raw(value) ?? null)).match(/\0|\\u0000/),
  // Too long. The number is four more than the length.
  '22001': (value, { modifier }) =>
    typeof value !== 'string' || modifier < 0 || Array.from(value).length <= modifier - 4,
  // Too large. The number holds the digits in all, and those behind the point.
  '22003': (value, { modifier, type }) => {
    if (type !== 'numeric' || modifier < 0) return true;
    const digits = (((modifier - 4) >> 16) & 0xffff) - ((modifier - 4) & 0x7ff);
    return Math.abs(Number(value)) < 10 ** digits;
  },
};

/** What is inside a value that waits for pg's own conversion. */
const raw = (value: unknown): unknown => {
  const convertible = value as { toPostgres?: (convert: (inner: unknown) => unknown) => unknown } | null;
  return typeof convertible?.toPostgres === 'function' ? convertible.toPostgres((inner) => inner) : value;
};
