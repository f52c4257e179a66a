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
 *
 * What is moved is in one place at a time, so no more of it is alive than items are inside. Memory that is done with is
 * there until the garbage collector of the thread that had it last comes to it, which may be several payloads later:
 * `buffer.transfer(0)` gives it back at once.
 */
export function transfer<R>(result: R, parts: readonly Transferable[]): R {
  const moved: Moved = { [MOVED]: true, value: result, parts };
  return moved as R;
}

/** What was given to `transfer`, or `undefined`. */
export function movedOf(result: unknown): Moved | undefined {
  return typeof result === 'object' && result !== null && MOVED in result ? (result as Moved) : undefined;
}
