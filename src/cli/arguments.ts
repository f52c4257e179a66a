import { parseArgs } from 'node:util';
import { UsageError, withoutPassword } from './failures.ts';

export type FieldType = 'text' | 'number' | 'bigint' | 'boolean' | 'json';

const fieldTypes: readonly FieldType[] = ['text', 'number', 'bigint', 'boolean', 'json'];

/** What `sluice collect` is to do. */
export interface CollectSettings {
  /** A file, a pattern of files, an http or https address, or `-` for standard input. */
  readonly input: string;
  /** What the input is; undefined: by name. */
  readonly format: 'ndjson' | 'csv' | undefined;
  /** What fields of a CSV file are read as. */
  readonly types: Readonly<Record<string, FieldType>>;
  readonly where: string | undefined;
  readonly database: string;
  readonly table: string;
  readonly key: readonly string[];
  readonly columns: readonly string[] | undefined;
  readonly workers: number;
  readonly batch: number;
  /** `'fail'`, `'skip'`, or the name of a file. */
  readonly onBadRecord: string;
  readonly verbose: boolean;
  readonly drainTimeoutMs: number;
}

/** What `sluice run` is to do. */
export interface RunSettings {
  readonly module: string;
  /** For the module's function. */
  readonly args: readonly string[];
  readonly verbose: boolean;
  readonly drainTimeoutMs: number;
}

export const usage = `Usage: sluice collect --input FILE|URL|- --database URL --table NAME --key FIELD [options]
       sluice run MODULE [options] [-- ARGUMENTS]

Reads newline-delimited JSON or CSV, keeps the records you want, and stores them in a PostgreSQL table.

  --input FILE|URL|-      where the records come from: a file, a pattern in quotes such as 'in/*.ndjson.gz' (its files in
                          the order of their names), an http(s) address, or - for standard input. What ends in .gz or .zst
                          is decompressed, .csv and .tsv (.csv.gz …) are read as CSV, all else as newline-delimited JSON
  --database URL          postgres://user:password@host:port/database; without it, the variable DATABASE_URL
  --table NAME            the table, or schema.table
  --key FIELD[,FIELD]     what identifies a record; the table needs a primary key or unique index on it. A record whose
                          key is there already replaces the old one, so a second run does no harm

  --where EXPRESSION      which records to keep (CEL), such as 'value > 500' or 'source == "A" && id % 2 == 0';
                          any field as record.name, and has(record.name) asks if it is there
  --columns FIELD[,…]     which fields to store; without it all, and a field that has no column is an error
  --format ndjson|csv     what the input is, where its name does not say it
  --types FIELD:TYPE[,…]  what fields of a CSV file are read as for --where: number, bigint, boolean or json; else text.
                          An empty field is null, and "" is an empty text
  --workers N             records parsed and judged at once (8)
  --batch N               records in one statement (500)
  --on-bad-record WHAT    fail: finish what was read before it and stop (the default); skip: count it and go on;
                          or a file name: add it to that file, with its line and what is wrong, and go on
  --drain-timeout MS      how long a stopped run may take to finish what it has read (30000)
  --verbose               tell the life of each record, and all that is known of an error
  --help, --version

sluice run starts a module of yours, in JavaScript or TypeScript (whose types are left out, not checked): its default
export, or 'flow', is an Observable, or a function of { signal, args } that gives one. It takes --drain-timeout and
--verbose too.

Ctrl-C finishes what was read and stops; a second Ctrl-C stops at once.
What cannot be told, as where the disk under standard output is full, stops nothing; but what a module of yours writes to
standard output is data, and if it cannot be written, the run fails.
Exit codes: 0 done; 1 failed (database, network, or waiting for what will never come); 2 wrong usage or input; 130 stopped
by a signal.
`;

const options = {
  input: { type: 'string' },
  format: { type: 'string' },
  types: { type: 'string' },
  where: { type: 'string' },
  database: { type: 'string' },
  table: { type: 'string' },
  key: { type: 'string' },
  columns: { type: 'string' },
  workers: { type: 'string', default: '8' },
  batch: { type: 'string', default: '500' },
  'on-bad-record': { type: 'string', default: 'fail' },
  'drain-timeout': { type: 'string', default: '30000' },
  verbose: { type: 'boolean', default: false },
} as const;

/**
 * Reads the arguments after the command's name.
 *
 * @throws `UsageError` for what is missing, unknown or out of range.
 */
export function collectSettings(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): CollectSettings {
  const values = parsed(args);
  const { input, table } = values;
  const database = values.database ?? environment['DATABASE_URL'];
  if (!input) throw missing('--input', 'a file, an http(s) address, or - for standard input');
  if (!database)
    throw missing('--database', 'postgres://user:password@host:port/database (or set DATABASE_URL)');
  if (!table) throw missing('--table', 'the name of a table');
  if (!values.key) throw missing('--key', 'the field that identifies a record');
  if (!/^postgres(ql)?:$/.test(URL.parse(database)?.protocol ?? '')) {
    throw new UsageError('--database must be an address such as postgres://user:password@host:port/database');
  }
  if (/^[a-z]+:\/\//i.test(input) && !/^https?:$/.test(URL.parse(input)?.protocol ?? '')) {
    throw new UsageError(
      `--input must be a file, an http or https address, or -, got '${withoutPassword(input)}'`,
    );
  }
  const where = values.where?.trim() === '' ? undefined : values.where;
  const onBadRecord = values['on-bad-record'];
  if (onBadRecord === '') throw new UsageError('--on-bad-record must be fail, skip, or the name of a file');
  return {
    input,
    format: formatOf(values.format),
    types: typesOf(values.types),
    where,
    database,
    table,
    key: names('--key', values.key),
    columns: values.columns === undefined ? undefined : names('--columns', values.columns),
    workers: whole('--workers', values.workers, 1, 1_000),
    batch: whole('--batch', values.batch, 1, 100_000),
    onBadRecord,
    verbose: values.verbose,
    drainTimeoutMs: whole('--drain-timeout', values['drain-timeout'], 0, 86_400_000),
  };
}

/**
 * Reads the arguments of `sluice run`.
 *
 * @throws `UsageError` for what is missing, unknown or out of range.
 */
export function runSettings(args: readonly string[]): RunSettings {
  const end = args.indexOf('--');
  const own = end < 0 ? args : args.slice(0, end);
  const { 'drain-timeout': drainTimeout, verbose } = options;
  let parsed;
  try {
    const known = { 'drain-timeout': drainTimeout, verbose };
    parsed = parseArgs({ args: [...own], options: known, strict: true, allowPositionals: true });
  } catch (error) {
    throw misused(error);
  }
  const { values, positionals } = parsed;
  const [module, ...more] = positionals;
  if (module === undefined) throw new UsageError('say what to run: sluice run pipeline.ts');
  if (more.length > 0)
    throw new UsageError(`only one module is run, got '${more[0] ?? ''}' too; its arguments stand behind --`);
  return {
    module,
    args: end < 0 ? [] : args.slice(end + 1),
    verbose: values.verbose,
    drainTimeoutMs: whole('--drain-timeout', values['drain-timeout'], 0, 86_400_000),
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw misused(error);
  }
}

/** The second sentence of `parseArgs` explains how to pass what we do not take. */
function misused(error: unknown): UsageError {
  const [what = ''] = (error as Error).message.split('. ', 1);
  const [, stray] = /^Unexpected argument '(.*)'$/.exec(what) ?? [];
  return new UsageError(withoutPassword(stray === undefined ? what : `${what}: try --input ${stray}`));
}

function missing(option: string, what: string): UsageError {
  return new UsageError(`${option} is missing: ${what}`);
}

function names(option: string, list: string): string[] {
  const all = list.split(',').map((name) => name.trim());
  if (all.includes(''))
    throw new UsageError(`${option} must be names with commas between them, got '${list}'`);
  return [...new Set(all)];
}

function formatOf(text: string | undefined): 'ndjson' | 'csv' | undefined {
  if (text === undefined || text === 'ndjson' || text === 'csv') return text;
  throw new UsageError(`--format must be ndjson or csv, got '${text}'`);
}

function typesOf(list: string | undefined): Record<string, FieldType> {
  const pairs = list === undefined ? [] : names('--types', list);
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, field, name] = /^(.+):(\w+)$/.exec(pair) ?? [];
      const type = fieldTypes.find((each) => each === name);
      if (field !== undefined && type !== undefined) return [field, type];
      throw new UsageError(
        `--types must be FIELD:TYPE with a type of ${fieldTypes.join(', ')}, got '${pair}'`,
      );
    }),
  );
}

function whole(option: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`${option} must be a whole number from ${least} to ${most}, got '${text}'`);
}
