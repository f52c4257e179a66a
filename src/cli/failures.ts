import { inspect } from 'node:util';
import { codeOf, PackageMissingError } from '../errors.ts';

/** The user asked for what cannot be, or gave an input that cannot be read: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What was asked for is right, and could not be done: exit code 1. */
export class RunError extends Error {
  override readonly name = 'RunError';
}

/** Stopped by a signal before the run began: exit code 130. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** One record is of no use. `field` is the one at fault, where one is. */
export class BadRecordError extends Error {
  override readonly name = 'BadRecordError';
  readonly retryable = false;
  readonly field: string | undefined;
  constructor(what: string, field?: string) {
    super(field === undefined ? what : `field '${field}' ${what}`);
    this.field = field;
  }
}

/** What went wrong, in one line, for people. Errors of connections may come without a message, but with a code. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return withoutPassword(String(error));
  if (error instanceof UsageError || error instanceof RunError) return error.message; // our own words
  const text = error.message === '' ? (codeOf(error) ?? error.name) : error.message;
  return withoutPassword(text.split('\n', 1)[0] ?? '');
}

/**
 * The same, of an error that may be the user's own: with its class, where neither a code nor we say what it is; `verbose`:
 * with its stack and its causes.
 */
export function account(error: unknown, verbose: boolean): string {
  const ours = error instanceof UsageError || error instanceof RunError;
  if (verbose && !(ours && error.cause === undefined)) return withoutPassword(inspect(error));
  const classed = error instanceof Error && error.name !== 'Error' && codeOf(error) === undefined && !ours;
  return classed ? `${error.name}: ${reason(error)}` : reason(error);
}

/** Packages that are optional, and those that are peers. */
const peers =
  /'(pg|pg-copy-streams|undici|eventsource-parser|csv-parse|piscina|rxjs|fast-check|@sinonjs\/fake-timers)'/;

/** What is said where a package is not installed that may be left out; undefined: that is not what went wrong. */
export function withoutPackage(error: unknown): UsageError | undefined {
  const name =
    error instanceof PackageMissingError
      ? error.packageName
      : codeOf(error) === 'ERR_MODULE_NOT_FOUND' && peers.exec(reason(error))?.[1];
  if (!name) return undefined;
  return new UsageError(`the package ${name} is not installed: npm install ${name}`, { cause: error });
}

/** Takes the user and password out of the addresses in a text. */
export function withoutPassword(text: string): string {
  return text.replace(/(\b[a-z][a-z\d+.-]*:\/\/)[^\s/]*@/gi, '$1');
}
