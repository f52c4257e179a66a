import { LawBrokenError } from '../../errors.ts';
import { supervised, type Time } from './time.ts';

/** One rule, to be checked of what was given. `for (const { name, check } of operatorLaws(…)) test(name, check);` */
export interface Law {
  /** Whose law it is, and what it says: the name of a test. */
  readonly name: string;
  /** What it says, in the present tense; the same for everybody. */
  readonly says: string;
  /** Rejects with a `LawBrokenError` where it does not hold. */
  readonly check: () => Promise<void>;
}

/** Thrown by a check; `lawsOf` says whose. */
class Violation extends Error {
  readonly expected: string;
  readonly actual: string;

  constructor(expected: string, actual: string) {
    super(`expected ${expected}, came ${actual}`);
    this.expected = expected;
    this.actual = actual;
  }
}

/** Throws where it does not hold. */
export function must(holds: boolean, expected: string, came: string): void {
  if (!holds) throw new Violation(expected, came);
}

/** What each law says, and its check. */
export type Checks<S> = Readonly<Record<string, (subject: S) => void | Promise<void>>>;

/** Makes laws of checks: under supervision, and with the name of what is checked. */
export function lawsOf<S>(name: string, checks: Checks<S>, subject: S, time: Time): Law[] {
  return Object.entries(checks).map(([says, check]) => {
    const law = `${name}: ${says}`;
    return {
      name: law,
      says,
      check: async () => {
        try {
          await supervised(() => check(subject), time);
        } catch (error) {
          if (error instanceof Violation) throw new LawBrokenError(law, error.expected, error.actual);
          throw new LawBrokenError(law, 'nothing else to go wrong', reason(error), error);
        }
      },
    };
  });
}

/** An error as messages show it. */
export function reason(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${reasons(error)}` : shown(error);
}

function reasons(error: Error): string {
  const { cause } = error;
  return cause instanceof Error ? `${error.message}: ${reasons(cause)}` : error.message;
}

/** A value as messages show it, and by which values are compared. */
export function shown(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number') return String(value);
  try {
    const text: string | undefined = JSON.stringify(value);
    return text ?? typeof value;
  } catch {
    return `a value of type ${typeof value} that is no JSON`;
  }
}
