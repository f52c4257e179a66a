import type { Observable } from 'rxjs';
import { callable, nonEmpty, wholeNumber } from '../../options.ts';
import { lawsOf, type Law } from './Law.ts';
import { demandChecks } from './source/demand.ts';
import { observedChecks, waitingObservedChecks } from './source/observed.ts';
import { failingChecks, streamChecks } from './source/stream.ts';
import type { Time } from './time.ts';

/** A source, and what is known of the thing it reads. */
export interface ObservedSource<T> {
  readonly source: Observable<T>;
  /** Items that were read so far. */
  readonly pulled: () => number;
  /** How many times the thing that is read was closed before its end. */
  readonly closed: () => number;
}

export interface SourceLawOptions<T> {
  /** The same source over something whose reading is watched; it is closed before its end where it is left. */
  readonly observed?: (count: number) => ObservedSource<T>;
  /** The same source, where reading fails after the second item. */
  readonly failing?: () => Observable<T>;
  /** The items of a source of `count`, in order. @defaultValue only that no two are the same is known */
  readonly items?: (count: number) => readonly T[];
  /** Items that `make` can be asked for at most. Whole number, 20 or more. @defaultValue 100_000 */
  readonly maxItems?: number;
  /** False: it cannot wait, as `fromPush`, and ignores demand. @defaultValue true */
  readonly waits?: boolean;
  /** `'real'` where it does what a fake clock cannot hurry: sockets, files, threads. @defaultValue 'virtual' */
  readonly time?: Time;
}

/**
 * The rules for a source, each a test: of RxJS, of demand, and of draining.
 *
 *     const laws = sourceLaws('fromPull', (count) => fromPull(Array.from({ length: count }, (_, i) => i)));
 *     for (const { name, check } of laws) test(name, check);
 *
 * @param name Whose laws they are, in the names of the tests.
 * @param make Makes the source, a fresh one each time, which gives `count` items, no two the same, and completes.
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function sourceLaws<T>(
  name: string,
  make: (count: number) => Observable<T>,
  options: SourceLawOptions<T> = {},
): Law[] {
  const { items, observed, failing, maxItems = 100_000, waits = true, time = 'virtual' } = options;
  nonEmpty('sourceLaws: name', name);
  callable('sourceLaws: make', make);
  wholeNumber('sourceLaws: maxItems', maxItems, 20);
  const trial = { make, items, maxItems };
  return [
    ...lawsOf(name, streamChecks, trial, time),
    ...(failing ? lawsOf(name, failingChecks, failing, time) : []),
    ...(observed ? lawsOf(name, observedChecks, observed, time) : []),
    ...(waits ? lawsOf(name, demandChecks, trial, time) : []),
    ...(waits && observed ? lawsOf(name, waitingObservedChecks, observed, time) : []),
  ];
}
