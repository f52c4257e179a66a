import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';

/** Bytes of a file name that file systems allow. */
const LONGEST_NAME = 255;
/** Of a name that is too long to have something added to it, so many bytes are left. */
const LEFT = 200;

/** A name of which as much is left as can stand beside what makes it another one. */
export function shortened(name: string): string {
  return new TextDecoder().decode(Buffer.from(name).subarray(0, LEFT), { stream: true }); // but for half a character
}

/**
 * The file that goes with another one, always the same: `<path><ending>`. Where that name would be too long, it is cut, and
 * told apart from others that begin alike by a digest of what it was.
 */
export function companionOf(path: string, ending: string): string {
  const name = basename(path);
  if (Buffer.byteLength(name) + ending.length <= LONGEST_NAME) return `${path}${ending}`;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 32);
  return join(dirname(path), `${shortened(name)}.${digest}${ending}`);
}
