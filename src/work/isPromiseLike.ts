import { causedBy, InvalidOptionError } from '../errors.ts';

export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return value != null && typeof (value as { then?: unknown }).then === 'function';
}

/** Whether an answer that is needed at once is a promise. Whoever asks refuses it; what it rejects with is not heard. */
export function isLateAnswer(answer: unknown): boolean {
  if (!isPromiseLike(answer)) return false;
  Promise.resolve(answer).catch(() => undefined);
  return true;
}

/**
 * Gives the answer of a hook back, and throws where it is a promise: as a key that is unlike any other, as a condition
 * always true. `about`: the error that was asked about.
 */
export function atOnce<A>(who: string, hook: string, answer: A, about?: unknown): A {
  if (typeof answer !== 'object' || !isLateAnswer(answer)) return answer;
  const message = `${who}: ${hook} must answer at once, and gave a promise`;
  throw new InvalidOptionError(message, causedBy(about));
}
