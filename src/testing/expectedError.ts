import { shown } from './values.ts';

/** What the `#` of a row stands for. */
export interface ExpectedError {
  /** As messages name it. */
  readonly words: string;
  is(this: void, error: unknown): boolean;
}

/** The error that is named in `errors`: the same, of the class, or with the code (or name). */
export function namedError(expected: unknown): ExpectedError {
  const words =
    typeof expected === 'function'
      ? expected.name
      : typeof expected === 'string'
        ? expected
        : shown(expected);
  return { words, is: (error) => isNamed(expected, error) };
}

/** An error that a row of the picture has thrown. */
export function thrownError(thrown: ReadonlySet<unknown>): ExpectedError {
  const known = [...thrown].map(shown).join(' or ');
  return {
    words: known === '' ? 'thrown by a row (name any other in errors)' : known,
    is: (error) => thrown.has(error),
  };
}

function isNamed(expected: unknown, error: unknown): boolean {
  if (error === expected) return true;
  if (typeof expected === 'function') return error instanceof expected;
  const { code, name } = (error ?? {}) as { readonly code?: unknown; readonly name?: unknown };
  if (typeof expected === 'string') return code === expected || name === expected;
  if (!(expected instanceof Error)) return false;
  return (expected as { code?: unknown }).code === code && expected.name === name;
}
