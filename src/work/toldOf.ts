import { isPromiseLike } from './isPromiseLike.ts';

/** Tells the user of a value. A promise is not waited for, but that it rejects is not lost either. */
export function toldOf<T>(told: (value: T) => unknown, value: T, failed: (error: unknown) => void): void {
  const answer = told(value);
  if (isPromiseLike(answer)) Promise.resolve(answer).catch(failed);
}

/** The same where nobody stands behind it: what it throws is not lost either. */
export function toldOnly<T>(told: (value: T) => unknown, value: T, failed: (error: unknown) => void): void {
  try {
    toldOf(told, value, failed);
  } catch (error) {
    failed(error);
  }
}
