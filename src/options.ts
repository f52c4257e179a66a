import { counted } from './counted.ts';
import { InvalidOptionError } from './errors.ts';

/** The longest delay a timer of the host takes, 24.8 days; above it, it fires at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The value as an error message shows it: kind and size only, but for numbers, since an option may hold a secret. */
function shown(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean' || value == null) return String(value);
  if (typeof value === 'string' && /^-?[\d.]{1,9}$/.test(value)) return `the string '${value}'`; // of the environment
  if (typeof value === 'string') return `a string of ${counted(value.length, 'character')}`;
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

/** Throws of an option that is not what it must be. */
export function refuse(key: string, expected: string, value: unknown, got = shown(value)): never {
  throw new InvalidOptionError(`${key} must be ${expected}, got ${got}`);
}

/** The options of a call. Plain JavaScript may leave out what has keys that are required: then the first of them is told. */
export function given<Options extends object>(options: Options | undefined): Options {
  return options ?? ({} as Options);
}

/** Checks that `value` is a whole number of `least` or more. `key` reads `operator: option`. */
export function wholeNumber(key: string, value: unknown, least: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < least) {
    refuse(key, `a whole number of ${least} or more`, value);
  }
}

/** Checks that `value` is a number of `least` or more; `Infinity` is refused unless `endless`. */
export function atLeast(key: string, value: unknown, least: number, endless = false): void {
  const fits = typeof value === 'number' && value >= least && (endless || value !== Infinity);
  if (!fits) refuse(key, `${endless ? 'a' : 'a finite'} number of ${least} or more`, value);
}

/** Checks that `value` is a number above 0. */
export function positive(key: string, value: unknown): void {
  if (typeof value !== 'number' || !(value > 0) || value === Infinity)
    refuse(key, 'a finite number above 0', value);
}

/**
 * Checks that `value` is a number of milliseconds, of `least` or more, that a timer of the host can wait: for times that do
 * not go by `after`, which chains longer ones. `more` is what is added to it.
 */
export function timerMs(key: string, value: unknown, least: number, more = 0): void {
  const most = LONGEST_TIMER_MS - more;
  if (typeof value === 'number' && value >= least && value <= most) return;
  refuse(key, `a number from ${least} to ${most}`, value);
}

/** Checks that `value` is a function. */
export function callable(key: string, value: unknown): void {
  if (typeof value !== 'function') refuse(key, 'a function', value);
}

/** Checks that `value` is one of `choices`. */
export function oneOf(key: string, value: unknown, choices: readonly string[]): void {
  if (choices.includes(value as string)) return;
  const isWord = typeof value === 'string' && value.length <= 20;
  refuse(key, `one of '${choices.join("', '")}'`, value, isWord ? `'${value}'` : undefined);
}

/** Checks that `value` is a string with at least one character. */
export function nonEmpty(key: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') refuse(key, 'a string that is not empty', value);
}
