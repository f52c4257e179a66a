import { refuse } from '../options.ts';

/** Checks that `value` is a list of names, with `least` of them or more: in plain JavaScript it may be one name. */
export function listOfNames(key: string, value: unknown, least: number): void {
  const isList = Array.isArray(value) && value.every((name) => typeof name === 'string');
  if (!isList || value.length < least)
    refuse(key, `an array of ${least === 0 ? '' : 'one or more '}names`, value);
}
