import { callable, nonEmpty } from '../../options.ts';
import type { Sink } from '../../work/Sink.ts';
import { lawsOf, type Law } from './Law.ts';
import { itself } from './numbers.ts';
import { badChecks, keyedChecks, sinkChecks, storedChecks } from './sink/checks.ts';
import type { SinkTrial, Stored } from './sink/SinkTrial.ts';
import type { Time } from './time.ts';

export interface SinkLawOptions<T> {
  /** The item of this number, from 1; of the same number always an equal one. @defaultValue the number itself */
  readonly input?: (number: number) => T;
  /**
   * The key of each item that the sink made last has stored, as often as it is stored; or only how many.
   * @defaultValue nobody can tell
   */
  readonly stored?: () => Stored | Promise<Stored>;
  /** By what `stored` knows an item. @defaultValue the item itself */
  readonly key?: (item: T) => unknown;
  /** Makes an item that the sink can never store. @defaultValue there is none */
  readonly bad?: () => T;
  /** It knows items by a key: storing one again changes nothing. @defaultValue false */
  readonly keyed?: boolean;
  /** `'real'` where it does what a fake clock cannot hurry: sockets, files, threads. @defaultValue 'virtual' */
  readonly time?: Time;
}

/**
 * The rules for a sink, each a test: what `storeTo` relies on.
 *
 *     let rows: number[];
 *     const make = () => ((rows = []), async (items: readonly number[]) => void rows.push(...items));
 *     const laws = sinkLaws('rows', make, { stored: () => rows });
 *     for (const { name, check } of laws) test(name, check);
 *
 * @param name Whose laws they are, in the names of the tests.
 * @param make Makes the sink, or its `store` function: one that is empty, each time.
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function sinkLaws<T = number>(
  name: string,
  make: () => SinkOrStore<T> | Promise<SinkOrStore<T>>,
  options: SinkLawOptions<T> = {},
): Law[] {
  const { input = itself, stored, key = itself, bad, keyed = false, time = 'virtual' } = options;
  nonEmpty('sinkLaws: name', name);
  callable('sinkLaws: make', make);
  const trial = {
    make: async () => {
      const sink = await make();
      return typeof sink === 'function' ? { store: sink } : sink;
    },
    input,
    stored: stored ?? unknown,
    key,
    bad: bad ?? unknown,
  } as unknown as SinkTrial;
  return [
    ...lawsOf(name, sinkChecks, trial, time),
    ...(stored ? lawsOf(name, storedChecks, trial, time) : []),
    ...(bad ? lawsOf(name, badChecks, trial, time) : []),
    ...(stored && keyed ? lawsOf(name, keyedChecks, trial, time) : []),
  ];
}

export type SinkOrStore<T> = Sink<T> | Sink<T>['store'];

/** In the place of what was not given; the laws that ask it are left out. */
function unknown(): undefined {
  return undefined;
}
