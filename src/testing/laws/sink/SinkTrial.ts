import { counted } from '../../../counted.ts';
import type { Sink } from '../../../work/Sink.ts';
import { unlike } from '../contents.ts';
import { must } from '../Law.ts';
import { numbers } from '../numbers.ts';

/** What a sink has stored: keys, or only how many. */
export type Stored = number | readonly unknown[];

/** The sink that is checked, and what was said of it. */
export interface SinkTrial {
  readonly make: () => Promise<Sink<unknown>>;
  readonly input: (number: number) => unknown;
  readonly stored: () => Stored | Promise<Stored>;
  readonly key: (item: unknown) => unknown;
  readonly bad: () => unknown;
}

/** How many items are stored. */
export function countOf(stored: Stored): number {
  return typeof stored === 'number' ? stored : stored.length;
}

/** These items are stored, and no others, each once; as far as can be seen. */
export function mustHold(
  { key }: SinkTrial,
  stored: Stored,
  items: readonly unknown[],
  what = `${counted(items.length, 'item')} to be stored`,
): void {
  const count = countOf(stored);
  must(count === items.length, what, String(count));
  const other = typeof stored === 'number' ? undefined : unlike(items.map(key), stored);
  must(other === undefined, `${what}, each once`, String(other));
}

/** Items by their numbers. */
export function batchOf({ input }: SinkTrial, count: number, first = 1): unknown[] {
  return numbers(count).map((number) => input(number + first - 1));
}
