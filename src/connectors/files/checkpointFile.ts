import { createHash } from 'node:crypto';
import { readFile, rename } from 'node:fs/promises';
import type { ProgressState } from '../../checkpoint/Progress.ts';
import { CheckpointError, codeOf } from '../../errors.ts';
import { companionOf } from './companion.ts';
import type { FilePosition } from './LineReader.ts';
import { replaceFile } from './replaceFile.ts';

/** How far a source has come, counted in records: a line, or a record of a CSV file. */
export interface CheckpointState extends ProgressState<FilePosition> {
  /** Of which source: its file, as it was given. */
  readonly source: string;
  readonly output?: OutputLength;
}

/** The length of the file that a sink appends to, when it held what has its outcome, and nothing else. */
export interface OutputLength {
  readonly path: string;
  readonly bytes: number;
}

const format = 'sluice-checkpoint/1';

/** The copy that the current one replaced. */
const previousOf = (path: string): string => companionOf(path, '.previous');

/** Writes it, safe from crashes; the one before stays as a second copy. */
export async function writeCheckpoint(path: string, state: CheckpointState): Promise<void> {
  const content = JSON.stringify(state);
  await replaceFile(path, `${format} ${digest(content)}\n${content}\n`, () =>
    rename(path, previousOf(path)).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error;
    }),
  );
}

/**
 * Reads it; undefined where there is none. From the copy before where the current one is missing or damaged.
 *
 * @throws `CheckpointError` where neither can be used: never a start from the beginning without a word.
 */
export async function readCheckpoint(
  path: string,
  warn: (message: string) => void,
): Promise<CheckpointState | undefined> {
  const [current, previous] = await Promise.all([readCopy(path), readCopy(previousOf(path))]);
  if (current === 'missing' && previous === 'missing') return undefined;
  if (typeof current === 'object') return current;
  if (typeof previous === 'object') {
    warn(`${path}: the checkpoint is ${current}; the copy before it is used, so some items are given again`);
    return previous;
  }
  const copies = `it is ${current}, and the copy before it is ${previous}`;
  throw new CheckpointError(
    path,
    `the checkpoint cannot be used: ${copies}; remove both to start from the beginning`,
  );
}

type Copy = CheckpointState | 'missing' | 'damaged' | 'of another version';

async function readCopy(path: string): Promise<Copy> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'missing';
    throw error;
  }
  const [, kind, sum, content] = /^(\S+) (\S+)\n(.*)\n$/.exec(text) ?? [];
  if (kind === undefined || content === undefined) return 'damaged';
  if (kind !== format) return kind.startsWith('sluice-checkpoint/') ? 'of another version' : 'damaged';
  return sum === digest(content) ? (JSON.parse(content) as CheckpointState) : 'damaged';
}

function digest(content: string): string {
  return createHash('sha256').update(content).digest('hex');
}
