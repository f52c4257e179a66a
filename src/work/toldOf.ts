import type { Run } from '../flow/Run.ts';
import { isPromiseLike } from './isPromiseLike.ts';

/** Tells the user of a value. A promise is not waited for, but by the end of the run; that it rejects is not lost either. */
export function toldOf<T>(
  told: (value: T) => unknown,
  value: T,
  failed: (error: unknown) => void,
  run?: Run,
): void {
  const answer = told(value);
  if (!isPromiseLike(answer)) return;
  const heard: Promise<unknown> = Promise.resolve(answer)
    .catch(failed)
    .finally(() => run?.closing.delete(heard));
  run?.closing.add(heard);
}

/** The same where nobody stands behind it: what it throws is not lost either. */
export function toldOnly<T>(
  told: (value: T) => unknown,
  value: T,
  failed: (error: unknown) => void,
  run?: Run,
): void {
  try {
    toldOf(told, value, failed, run);
  } catch (error) {
    failed(error);
  }
}
