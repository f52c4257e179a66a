import { shown } from './Law.ts';

/** So many values stand in a message. */
const IN_WORDS = 5;

/** What is in one of two collections and not in the other, whatever the order; undefined: they have the same values. */
export function unlike(expected: readonly unknown[], found: readonly unknown[]): string | undefined {
  const missing = lacking(expected, found);
  const besides = lacking(found, expected);
  if (missing.length === 0 && besides.length === 0) return undefined;
  return `${few(missing)} missing, ${few(besides)} besides`;
}

/** The values that are in the first more often than in the second, as messages show them. */
export function lacking(first: readonly unknown[], second: readonly unknown[]): string[] {
  const there = new Map<string, number>();
  for (const value of second.map(shown)) there.set(value, (there.get(value) ?? 0) + 1);
  return first.map(shown).filter((value) => {
    const count = there.get(value) ?? 0;
    there.set(value, count - 1);
    return count <= 0;
  });
}

/** Values as messages show them, but not all of many. */
export function few(values: readonly string[]): string {
  const more = values.length - IN_WORDS;
  return more > 0 ? `${values.slice(0, IN_WORDS).join(', ')} and ${more} more` : values.join(', ') || 'none';
}
