import { Environment, EvaluationError, type ASTNode } from '@marcbachmann/cel-js';
import { BadRecordError, UsageError } from './failures.ts';
import { isExactNumber, type ExactNumber } from './record.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Says whether a record is kept, be it of a CSV file. Throws `BadRecordError` where it cannot say. */
export type Where = (record: Fields, csv: boolean) => boolean;

/**
 * A number of JSON is a number of CEL, `double`, and a literal such as `500` or `2` is an `int`. CEL compares the two and
 * does no arithmetic with them; here `id % 2` and `value * 2` are what anyone would think.
 */
const arithmetic: Readonly<Record<string, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
};

function environment(): Environment {
  const cel = new Environment({ unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false });
  for (const [operator, compute] of Object.entries(arithmetic)) {
    const handler = (a: number | bigint, b: number | bigint): number => compute(Number(a), Number(b));
    cel.registerOperator(`double ${operator} int: double`, handler);
    cel.registerOperator(`int ${operator} double: double`, handler);
  }
  cel.registerOperator('double % double: double', (a: number, b: number) => a % b);
  return cel;
}

/**
 * Makes a predicate of an expression in CEL, which can read the record and compute, and nothing else.
 *
 * @throws `UsageError` for an expression that can never say true or false.
 */
export function compileWhere(expression: string): Where {
  const cel = environment();
  const text = withFieldsFirst(cel, expression);
  const evaluate = compiled(cel, text, expression);
  const asksForRecord = /\brecord\b/.test(text);
  return (record, csv) => {
    const fields = visible(record, asksForRecord);
    let kept: unknown;
    try {
      kept = evaluate(fields);
    } catch (error) {
      throw explained(error, expression, fields, csv);
    }
    if (typeof kept === 'boolean') return kept;
    throw new BadRecordError(`--where ${quoted(expression)} gives ${kindOf(kept)}, not true or false`);
  };
}

function compiled(cel: Environment, text: string, expression: string): (fields: Fields) => unknown {
  try {
    const program = cel.parse(text);
    const { valid, type, error } = program.check();
    if (!valid) throw error ?? new Error('not valid');
    if (type !== 'bool' && type !== 'dyn') {
      throw new UsageError(
        `--where ${quoted(expression)} gives a ${type ?? 'value'}, and must give true or false`,
      );
    }
    return (fields) => program(fields) as unknown;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const { summary, range } = error as { summary?: string; range?: { readonly start: number } };
    const at = range === undefined ? '' : ` (character ${range.start + 1})`;
    throw new UsageError(
      `--where ${quoted(expression, range?.start)} cannot be read: ${summary ?? (error as Error).message}${at}`,
    );
  }
}

/** Names of types stand for themselves in CEL: a field that is called `type` or `list` is said as `record.type`. */
function withFieldsFirst(cel: Environment, expression: string): string {
  let root: ASTNode;
  try {
    root = cel.parse(expression).ast;
  } catch {
    return expression; // `compiled` says what is wrong with it
  }
  const nodes = everyNode(root);
  if (nodes.some(({ op, args }) => op === 'call' && args[0] === 'type')) return expression;
  const fields = nodes.filter(({ op, args }) => op === 'id' && cel.hasVariable(args));
  return fields
    .sort((a, b) => b.range.start - a.range.start)
    .reduce(
      (text, { range }) => `${text.slice(0, range.start)}record.${text.slice(range.start)}`,
      expression,
    );
}

function everyNode(node: ASTNode): ASTNode[] {
  const children = (args: unknown): ASTNode[] => {
    if (Array.isArray(args)) return args.flatMap(children);
    return typeof args === 'object' && args !== null && 'op' in args ? everyNode(args as ASTNode) : [];
  };
  return [node, ...children(node.args)];
}

/** What the expression sees: the fields, and all of them as `record` if it asks. */
function visible(record: Fields, asksForRecord: boolean): Fields {
  const exact = Object.entries(record).filter(([, value]) => isExactNumber(value)) as [string, ExactNumber][];
  if (exact.length === 0 && !asksForRecord) return record;
  const fields: Record<string, unknown> = { __proto__: null, ...record };
  for (const [name, { rawJSON }] of exact) {
    fields[name] = /^-?\d+$/.test(rawJSON) ? BigInt(rawJSON) : Number(rawJSON);
  }
  if (asksForRecord) fields['record'] ??= { ...fields };
  return fields;
}

function explained(error: unknown, expression: string, fields: Fields, csv: boolean): BadRecordError {
  if (!(error instanceof EvaluationError)) {
    return new BadRecordError(`--where ${quoted(expression)} fails: ${(error as Error).message}`);
  }
  const { node, summary, code } = error;
  if (code === 'unknown_variable' && node?.op === 'id') {
    return new BadRecordError(`is not there, and --where ${quoted(expression)} asks for it`, node.args);
  }
  if (code === 'no_such_key' && node?.op === '.') {
    return new BadRecordError(`is not there, and --where ${quoted(expression)} asks for it`, node.args[1]);
  }
  const field = node && everyNode(node).flatMap(({ op, args }) => (op === 'id' ? [args] : []))[0];
  if (field === undefined) return new BadRecordError(`--where ${quoted(expression)} fails: ${summary}`);
  const what = `is ${kindOf(fields[field])}, which --where ${quoted(expression)} cannot use (${summary.replaceAll(/dyn<(\w+)>/g, '$1')})`;
  const typed =
    csv && typeof fields[field] === 'string' ? `; say what it is, as in --types ${field}:number` : '';
  return new BadRecordError(what + typed, field);
}

/** Characters of an expression that a message shows. */
const maxShown = 80;

/** The expression; of a long one, the part around `at`. */
function quoted(expression: string, at = 0): string {
  if (expression.length <= maxShown) return `'${expression}'`;
  const start = Math.max(0, Math.min(at - maxShown / 2, expression.length - maxShown));
  const end = start + maxShown;
  const dots = [start > 0 ? '…' : '', end < expression.length ? '…' : ''];
  return `'${dots[0]}${expression.slice(start, end)}${dots[1]}'`;
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'bigint') return 'a number';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
