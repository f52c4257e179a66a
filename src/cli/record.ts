import { BadRecordError } from './failures.ts';
import type { Line } from './lines.ts';

export type JsonRecord = Readonly<Record<string, unknown>>;

/** Digits that a number of JavaScript may round, or an exponent that may be too large for it. */
const manyDigits = /\d[\d.]{15}|\d[eE]\+?\d{3}/;

/** A number as it was written, for the database to read: as a number of JavaScript it would be rounded. */
export interface ExactNumber {
  readonly rawJSON: string;
}

/** Parts of ECMAScript that TypeScript does not know yet. */
const { rawJSON, isRawJSON } = JSON as unknown as {
  readonly rawJSON: (text: string) => ExactNumber;
  readonly isRawJSON: (value: unknown) => value is ExactNumber;
};
type Reviver = (key: string, value: unknown, context: { readonly source: string }) => unknown;

export const isExactNumber = isRawJSON;

const exact: Reviver = (_key, value, { source }) =>
  typeof value === 'number' && manyDigits.test(source) ? rawJSON(source) : value;

/**
 * The record of a line, on no prototype.
 *
 * @throws `BadRecordError` for what is not JSON, or not an object.
 */
export function parseRecord({ number, text, fault, field, record }: Line): JsonRecord {
  if (fault !== undefined) throw new BadRecordError(fault, field);
  if (record !== undefined) return record;
  let value: unknown;
  try {
    const revive = manyDigits.test(text) ? exact : undefined;
    value = JSON.parse(text, revive as Parameters<typeof JSON.parse>[1]);
  } catch (error) {
    const csv = number === 1 && /^[^{[]*[,;\t]/.test(text) ? '; if it is CSV, say --format csv' : '';
    throw new BadRecordError(`it is not JSON: ${(error as Error).message}${csv}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawJSON(value)) {
    // On no prototype: a field that is called `constructor` is there if the record has it, and only then.
    return { __proto__: null, ...value };
  }
  const kind = value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;
  throw new BadRecordError(`it is ${kind}, and a record is a JSON object: {"field": value, …}`);
}
