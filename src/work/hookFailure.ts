import { warnOf, type Run } from '../flow/Run.ts';

/**
 * For a hook that is not waited for: the first time that it fails ends the stream, or, where that is over, is a warning.
 * What it fails with after that is not heard.
 */
export function hookFailure(
  run: Run | undefined,
  stage: { readonly name: string },
  hook: string,
  isOver: () => boolean,
  fail: (error: unknown) => void,
): (error: unknown) => void {
  let failed = false;
  return (error) => {
    if (failed) return;
    failed = true;
    if (isOver()) warnOf(run, stage.name, hook, error);
    else fail(error);
  };
}
