import { isPromiseLike } from './isPromiseLike.ts';

/** Tells the user of a value. A promise is not waited for; that it rejects is not lost. Gives back when that is known. */
export function toldOf<T>(
  told: (value: T) => unknown,
  value: T,
  failed: (error: unknown) => void,
): Promise<unknown> | undefined {
  const answer = told(value);
  return isPromiseLike(answer) ? Promise.resolve(answer).catch(failed) : undefined;
}

/** The same where nobody stands behind it: what it throws is not lost either. */
export function toldOnly<T>(told: (value: T) => unknown, value: T, failed: (error: unknown) => void): void {
  try {
    void toldOf(told, value, failed);
  } catch (error) {
    failed(error);
  }
}
