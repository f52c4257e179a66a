import type { Run } from '../flow/Run.ts';
import { isPromiseLike } from './isPromiseLike.ts';

/** A hook of a stage that is told of items. */
export interface ItemHook {
  readonly run: Run | undefined;
  readonly stage: { readonly name: string };
  readonly name: string;
}

/** Tells the user of a value. A promise is not waited for, but by the end of the run; that it rejects is not lost either. */
export function toldOf<T>(
  told: (value: T) => unknown,
  value: T,
  failed: (error: unknown) => void,
  hook?: ItemHook,
): void {
  const answer = told(value);
  if (!isPromiseLike(answer)) return;
  const heard = Promise.resolve(answer).catch(failed);
  void hook?.run?.waitFor(heard, `${hook.stage.name}: a promise of ${hook.name} is still pending`);
}

/** The same where nobody stands behind it: what it throws is not lost either. */
export function toldOnly<T>(
  told: (value: T) => unknown,
  value: T,
  failed: (error: unknown) => void,
  hook?: ItemHook,
): void {
  try {
    toldOf(told, value, failed, hook);
  } catch (error) {
    failed(error);
  }
}
