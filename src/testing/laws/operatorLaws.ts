import type { OperatorFunction } from 'rxjs';
import { callable, nonEmpty, wholeNumber } from '../../options.ts';
import { lawsOf, type Law } from './Law.ts';
import { itself } from './numbers.ts';
import { demandChecks } from './operator/demand.ts';
import { manyChecks } from './operator/many.ts';
import type { OperatorTrial } from './operator/OperatorTrial.ts';
import { throwingChecks, timerChecks } from './operator/leaving.ts';
import { streamChecks } from './operator/stream.ts';
import { ticketChecks } from './operator/tickets.ts';
import type { Time } from './time.ts';

export interface OperatorLawOptions<T> {
  /** Items that it holds at most while those below have no room. Whole number, 0 or more. @defaultValue 0 */
  readonly limit?: number;
  /** The item of this number, from 1; of the same number always the same. @defaultValue the number itself */
  readonly input?: (number: number) => T;
  /**
   * The values that it gives for these items and the end of the source, in any order; or only how many.
   * @defaultValue one each, made of that item alone
   */
  readonly outputs?: (items: readonly T[]) => number | readonly unknown[];
  /** The same operator with a callback that throws, at the third item say. @defaultValue it takes no callback */
  readonly throwing?: () => OperatorFunction<T, unknown>;
  /** It stores items, as `storeTo` does: what it emits is safe, and may be acknowledged. @defaultValue false */
  readonly stores?: boolean;
  /** `'real'` where it does what a fake clock cannot hurry: sockets, files, threads. @defaultValue 'virtual' */
  readonly time?: Time;
}

/**
 * The rules for an operator, each a test: of RxJS, of demand, of tickets and the ledger.
 *
 *     for (const { name, check } of operatorLaws('double', () => map((n: number) => n * 2))) test(name, check);
 *
 * They run one at a time, in virtual time unless told otherwise, in every test runner; none waits for real.
 *
 * @param name Whose laws they are, in the names of the tests.
 * @param make Makes the operator, a fresh one each time. It takes numbers, or what `input` gives.
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function operatorLaws<T = number>(
  name: string,
  make: () => OperatorFunction<T, unknown>,
  options: OperatorLawOptions<T> = {},
): Law[] {
  const { limit = 0, input = itself, outputs, throwing, stores = false, time = 'virtual' } = options;
  nonEmpty('operatorLaws: name', name);
  callable('operatorLaws: make', make);
  wholeNumber('operatorLaws: limit', limit, 0);
  const trial = {
    make,
    throwing,
    limit,
    stores,
    input,
    said: outputs,
    outputs: (items) => {
      const said = outputs?.(items as readonly T[]) ?? items.length;
      return typeof said === 'number' ? said : said.length;
    },
  } as OperatorTrial;
  const checks = {
    ...streamChecks,
    ...manyChecks,
    ...(time === 'virtual' ? timerChecks : {}),
    ...(throwing ? throwingChecks : {}),
    ...demandChecks,
    ...ticketChecks,
  };
  return lawsOf(name, checks, trial, time);
}
