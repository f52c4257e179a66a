import type { Sink } from '../../../work/Sink.ts';
import { numbers } from '../numbers.ts';

/** The sink that is checked, and what was said of it. */
export interface SinkTrial {
  readonly make: () => Promise<Sink<unknown>>;
  readonly input: (number: number) => unknown;
  readonly stored: () => number | Promise<number>;
  readonly bad: () => unknown;
}

/** Items by their numbers. */
export function batchOf({ input }: SinkTrial, count: number, first = 1): unknown[] {
  return numbers(count).map((number) => input(number + first - 1));
}
