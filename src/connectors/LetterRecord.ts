import { DeadLetterError, InvalidOptionError } from '../errors.ts';
import type { DeadLetter } from '../work/DeadLetter.ts';
import { atOnce } from '../work/isPromiseLike.ts';

/** What is kept of an error: plain data, which survives the process. */
export interface ErrorRecord {
  readonly name: string;
  readonly message: string;
  readonly code?: string | number;
  readonly stack?: string;
  readonly cause?: ErrorRecord;
}

/** A dead letter that was written, and read again. */
export interface StoredDeadLetter<T> extends DeadLetter<T> {
  readonly error: ErrorRecord;
  /** When it was written. */
  readonly at: Date;
}

export interface ToDeadLettersOptions<T> {
  /** Makes of a value what JSON carries as it is. Where it throws, the letter is not written. @defaultValue the value itself */
  readonly encode?: (value: T) => unknown;
}

export interface FromDeadLettersOptions<T> {
  /** Makes a value of what was written, and may refuse it by throwing. @defaultValue what was written */
  readonly decode?: (written: unknown) => T;
}

/** A letter as it is written: the error and the value are JSON already. */
export interface LetterRecord {
  readonly at: string;
  readonly stage: string;
  readonly attempts: number;
  readonly elapsedMs: number;
  readonly error: string;
  readonly value: string;
}

/** @throws `DeadLetterError` for a value that JSON cannot carry. */
export function recordOf<T>(
  { value, error, attempts, stage, elapsedMs }: DeadLetter<T>,
  encode: (value: T) => unknown,
): LetterRecord {
  let text: string | undefined;
  try {
    const encoded = encode(value);
    if (encoded !== value) atOnce('toDeadLetters', 'encode', encoded);
    text = JSON.stringify(encoded, carried);
  } catch (cause) {
    if (cause instanceof InvalidOptionError) throw cause;
    throw unwritable(stage, cause);
  }
  if (text === undefined) throw unwritable(stage, new TypeError('the value itself is not carried by JSON'));
  const at = new Date().toISOString();
  return { at, stage, attempts, elapsedMs, error: JSON.stringify(errorRecord(error)), value: text };
}

/**
 * The letter that was written, with its error and its value parsed.
 *
 * @throws what `decode` throws, or a `TypeError` for what is no letter.
 */
export function letterOf<T>(record: unknown, decode: (written: unknown) => T): StoredDeadLetter<T> {
  const { at, stage, attempts, elapsedMs, error, value } = (record ?? {}) as Record<string, unknown>;
  const written = at instanceof Date ? at : new Date(typeof at === 'string' ? at : NaN);
  const isLetter =
    !Number.isNaN(written.getTime()) &&
    typeof stage === 'string' &&
    typeof attempts === 'number' &&
    typeof elapsedMs === 'number' &&
    typeof (error as Partial<ErrorRecord> | null | undefined)?.message === 'string' &&
    value !== undefined;
  if (!isLetter) throw new TypeError('it lacks what a dead letter has');
  return { value: decode(value), error: error as ErrorRecord, attempts, stage, elapsedMs, at: written };
}

export function asItIs(written: unknown): never {
  return written as never;
}

function unwritable(stage: string, cause: unknown): DeadLetterError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const fault = `the value of a dead letter of ${stage} cannot be written as JSON: ${why}; give encode and decode`;
  return new DeadLetterError(`toDeadLetters: ${fault}`, { retryable: false, cause });
}

/** Refuses what `JSON.stringify` would leave out, or turn into something else, without a word. */
function carried(this: unknown, key: string, value: unknown): unknown {
  const what = notCarried(value, (this as Readonly<Record<string, unknown>>)[key], Array.isArray(this));
  if (what === undefined) return value;
  throw new TypeError(`${key === '' ? 'the value itself' : `'${key}'`} is ${what}`);
}

const NOT_CARRIED = new Set([
  'Map',
  'Set',
  'WeakMap',
  'WeakSet',
  'RegExp',
  'Promise',
  'Error',
  'ArrayBuffer',
]);

/** `original` is what it was before its `toJSON`. */
function notCarried(value: unknown, original: unknown, inArray: boolean): string | undefined {
  if (value === null) return original instanceof Date ? 'an invalid Date' : undefined;
  if (value === undefined) return inArray ? 'undefined' : undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : String(value);
  if (typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value !== 'object') return `a ${typeof value}`;
  if (ArrayBuffer.isView(original)) return 'binary';
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  return NOT_CARRIED.has(kind) ? `of type ${kind}` : undefined;
}

/** Causes beyond this many are left out. */
const DEEPEST = 8;

function errorRecord(error: unknown, depth = 0): ErrorRecord {
  try {
    if (typeof error !== 'object' || error === null) return { name: typeof error, message: String(error) };
    const { name, message, code, stack, cause } = error as Readonly<Record<string, unknown>>;
    return {
      name: typeof name === 'string' ? name : 'object',
      message: typeof message === 'string' ? message : (JSON.stringify(error) ?? 'object'),
      ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
      ...(typeof stack === 'string' ? { stack } : {}),
      ...(cause === undefined || depth === DEEPEST ? {} : { cause: errorRecord(cause, depth + 1) }),
    };
  } catch {
    return { name: 'unknown', message: 'an error that cannot be read' };
  }
}
