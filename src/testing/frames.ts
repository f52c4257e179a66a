import { MarblesError, PictureError } from '../errors.ts';

/** Lines of a stack that say nothing of who set a timer. */
const OWN =
  /node:|[\\/]node_modules[\\/](?:rxjs|@sinonjs)[\\/]|[\\/]rxjs780?[\\/]|[\\/]src[\\/]testing[\\/]|[\\/](?:VirtualClock|testing)[^\\/]*\.c?js/;

/** Who called, as ` at name (file:line)`: the first line that is neither Node's, RxJS's, nor the player's own. */
export function caller(at: Error): string {
  const lines = (at.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const line = lines.find((candidate) => !OWN.test(candidate) && /:\d+/.test(candidate));
  return line === undefined ? '' : ` ${line.trim()}`;
}

/** Runs `body`. An error of the player shows who called `entry`: one that hands its promise on is in no `await`'s stack. */
export async function asCalled<R>(entry: (...args: never[]) => unknown, body: () => Promise<R>): Promise<R> {
  const call: { stack?: string } = {};
  (Error as Partial<ErrorConstructor>).captureStackTrace?.(call, entry);
  try {
    return await body();
  } catch (error) {
    const frames = call.stack?.split('\n').filter((line) => /^\s+at /.test(line));
    if (frames && (error instanceof MarblesError || error instanceof PictureError)) {
      error.stack = [`${error.name}: ${error.message}`, ...frames].join('\n');
    }
    throw error;
  }
}
