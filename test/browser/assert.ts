import { expect } from 'vitest';

/** Of `node:assert/strict`, what the laws use: they run in a browser too. */
class AssertionError extends Error {
  constructor({ message }: { readonly message: string }) {
    super(message);
    this.name = 'AssertionError';
  }
}

export default {
  AssertionError,
  ok: (value: unknown, message?: string) => {
    expect(Boolean(value), message).toBe(true);
  },
  equal: (actual: unknown, expected: unknown, message?: string) => {
    expect(actual, message).toBe(expected);
  },
  deepEqual: (actual: unknown, expected: unknown, message?: string) => {
    expect(actual, message).toStrictEqual(expected);
  },
  match: (actual: string, pattern: RegExp, message?: string) => {
    expect(actual, message).toMatch(pattern);
  },
  throws: (run: () => unknown, wanted: object, message?: string) => {
    expect(run, message).toThrow(expect.objectContaining(wanted));
  },
};
