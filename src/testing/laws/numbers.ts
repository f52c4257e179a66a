/** Whole numbers from 1. */
export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

/** What is made of a number, or of an item, where nothing else is said. */
export function itself(value: unknown): never {
  return value as never;
}

/** The same values, none of them at once. */
export async function* oneByOne<T>(values: readonly T[]): AsyncGenerator<T, void> {
  for (const value of values) {
    await Promise.resolve();
    yield value;
  }
}
