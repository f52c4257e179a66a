import { warnOf } from '../flow/Run.ts';
import type { ItemHook } from './toldOf.ts';

/**
 * For a hook that is not waited for: the first time that it fails ends the stream, or, where that is over, is a warning.
 * What it fails with after that is not heard.
 */
export function hookFailure(
  { run, stage, name }: ItemHook,
  isOver: () => boolean,
  fail: (error: unknown) => void,
): (error: unknown) => void {
  let failed = false;
  return (error) => {
    if (failed) return;
    failed = true;
    if (isOver()) warnOf(run, stage.name, name, error);
    else fail(error);
  };
}
