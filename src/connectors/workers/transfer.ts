import type { Transferable } from 'node:worker_threads';

const MOVED = Symbol.for('sluice.transfer/1');

/** A result whose parts are moved out of the thread instead of copied. */
interface Moved {
  readonly [MOVED]: true;
  readonly value: unknown;
  readonly parts: readonly Transferable[];
}

/**
 * Says in a worker's module that parts of its result are moved, not copied: `return transfer(image, [image.buffer])`. What
 * was moved is of no more use in the thread.
 */
export function transfer<R>(result: R, parts: readonly Transferable[]): R {
  const moved: Moved = { [MOVED]: true, value: result, parts };
  return moved as R;
}

/** What was given to `transfer`, or `undefined`. */
export function movedOf(result: unknown): Moved | undefined {
  return typeof result === 'object' && result !== null && MOVED in result ? (result as Moved) : undefined;
}
