import { callable, nonEmpty } from '../../options.ts';
import { cutChecks, deliveryChecks } from './delivery/checks.ts';
import type { DeliveryTrial, ObservedSink } from './delivery/DeliveryTrial.ts';
import { lawsOf, type Law } from './Law.ts';
import { itself } from './numbers.ts';
import type { Time } from './time.ts';

export interface DeliveryLawOptions<T> {
  /** The item of this number, from 1; of the same number always an equal one. @defaultValue the number itself */
  readonly input?: (number: number) => T;
  /** By what `stored` knows an item. @defaultValue the item itself */
  readonly key?: (item: T) => unknown;
  /** Storing an item again changes nothing: then none may be there twice. @defaultValue false */
  readonly keyed?: boolean;
  /** Cuts the connections of the sinks there are; new ones can be made. @defaultValue there is none to cut */
  readonly cut?: () => unknown;
  /** `'real'` where it does what a fake clock cannot hurry: sockets, files, threads. @defaultValue 'virtual' */
  readonly time?: Time;
}

/**
 * The rules of delivery for a sink, each a test: at the end of an acknowledged flow, while it or its connection fails.
 *
 *     const make = (): ObservedSink<number> => {
 *       const rows = new Set<number>();
 *       return { sink: { store: async (items) => items.forEach((n) => rows.add(n)) }, stored: () => [...rows] };
 *     };
 *     for (const { name, check } of deliveryLaws('rows', make, { keyed: true })) test(name, check);
 *
 * @param name Whose laws they are, in the names of the tests.
 * @param make Makes the sink, one that is empty, each time, and says what it has stored.
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function deliveryLaws<T = number>(
  name: string,
  make: () => ObservedSink<T> | Promise<ObservedSink<T>>,
  options: DeliveryLawOptions<T> = {},
): Law[] {
  const { input = itself, key = itself, keyed = false, cut, time = 'virtual' } = options;
  nonEmpty('deliveryLaws: name', name);
  callable('deliveryLaws: make', make);
  const trial = { make: async () => make(), input, key, keyed, cut } as unknown as DeliveryTrial;
  const checks = { ...deliveryChecks, ...(cut ? cutChecks : {}) };
  return lawsOf(name, checks, trial, time);
}
