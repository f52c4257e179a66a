import { accessSync, constants, createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Observable } from 'rxjs';
import { fromPull, type FromPullOptions } from '../../demand/fromPull.ts';
import { DeadLetterError, InvalidOptionError } from '../../errors.ts';
import { nonEmpty } from '../../options.ts';
import type { DeadLetter } from '../../work/DeadLetter.ts';
import type { Sink } from '../../work/Sink.ts';
import {
  asItIs,
  letterOf,
  recordOf,
  type FromDeadLettersOptions,
  type StoredDeadLetter,
  type ToDeadLettersOptions,
} from '../LetterRecord.ts';
import { LetterFile, VOID } from './LetterFile.ts';

/**
 * Writes dead letters to a file, one line of JSON each: `at`, `stage`, `attempts`, `elapsedMs`, `error` and `value`.
 *
 *     poolMap(work, { concurrency: 8, onFailure: toDeadLetters('orders.dead.ndjson') })
 *
 * A letter counts as written once it is on the disk (fsync), and only then is its item acknowledged; letters that come
 * together share one. One that cannot be written ends the flow, and its item is handed back. The file is only appended
 * to, and several flows and processes may share it. An item that is handed back while its letter is being written may
 * have a letter all the same (at least once).
 *
 * The error is kept as plain data: name, message, code, stack, and the same of its causes. The value is kept as JSON:
 * what has `toJSON` (a `Date`) as the text that this gives, a property that is `undefined` not at all, an object of a
 * class as a plain one. What JSON would lose (a bigint, `NaN`, a function, a `Map`, a `Set`, binary data, a circle) is
 * refused, unless `encode` makes something else of it.
 *
 * @throws `InvalidOptionError`, at call time, where the folder is not there, or not to be written to.
 */
export function toDeadLetters<T = unknown>(
  path: string,
  { encode = (value) => value }: ToDeadLettersOptions<T> = {},
): Required<Omit<Sink<DeadLetter<T>>, 'classify'>> {
  nonEmpty('toDeadLetters: path', path);
  requireFolder(dirname(path));
  const file = new LetterFile(path);
  return {
    store: async (letters, { signal }) => {
      signal.throwIfAborted();
      await file.append(letters.map((letter) => lineOf(letter, encode)).join(''));
    },
    close: () => file.close(),
  };
}

/**
 * Reads the dead letters of a file, as `toDeadLetters` wrote them, to feed their values back:
 *
 *     fromDeadLetters<Order>('orders.dead.ndjson').pipe(map(({ value }) => value), poolMap(work, …), storeTo(…))
 *
 * - **Emits when** the stage below has room, one letter at a time, in the order in which they were written.
 * - **Waits when** the stage below is full.
 * - **Drops** a last line without its newline, and one that is void: a crash tore it off, and it never counted as written.
 * - **Completes when** it has read what the file held when it was opened: letters that this run itself writes to it are
 *   for the next one.
 * - **Errors when** there is no such file, or with a `DeadLetterError` that names the line that is no dead letter, or that
 *   `decode` refuses.
 * - **Unsubscribing** closes the file. It is never changed: move it away before, and delete it when nothing is left over.
 */
export function fromDeadLetters<T = unknown>(
  path: string,
  { decode = asItIs, ...options }: FromDeadLettersOptions<T> & LetterSourceOptions<T> = {},
): Observable<StoredDeadLetter<T>> {
  nonEmpty('fromDeadLetters: path', path);
  return fromPull(() => readLetters(path, decode), { name: 'fromDeadLetters', ...options });
}

/** What `fromPull` knows of a source, acknowledgement included. */
type LetterSourceOptions<T> = Pick<FromPullOptions<StoredDeadLetter<T>>, 'onSettled' | 'maxPending' | 'name'>;

function requireFolder(folder: string): void {
  try {
    accessSync(folder, constants.W_OK);
  } catch (cause) {
    throw new InvalidOptionError(
      `toDeadLetters: path must be in a folder that can be written to, got ${folder}`,
      { cause },
    );
  }
}

function lineOf<T>(letter: DeadLetter<T>, encode: (value: T) => unknown): string {
  const { error, value, ...rest } = recordOf(letter, encode);
  return `${JSON.stringify(rest).slice(0, -1)},"error":${error},"value":${value}}\n`;
}

async function* readLetters<T>(
  path: string,
  decode: (written: unknown) => T,
): AsyncGenerator<StoredDeadLetter<T>> {
  let number = 0;
  for await (const line of linesOf(path)) {
    number++;
    if (line.endsWith(VOID)) continue;
    let letter: StoredDeadLetter<T>;
    try {
      letter = letterOf(JSON.parse(line), decode);
    } catch (cause) {
      const message = `fromDeadLetters: ${path}: line ${number} is no dead letter, or its value was refused`;
      throw new DeadLetterError(message, { retryable: false, cause });
    }
    yield letter;
  }
}

/** The whole lines that are in a file now. */
async function* linesOf(path: string): AsyncGenerator<string> {
  const { size } = await stat(path);
  if (size === 0) return;
  let begun: string[] = [];
  for await (const chunk of createReadStream(path, { encoding: 'utf8', end: size - 1 })) {
    const pieces = (chunk as string).split('\n');
    begun.push(pieces.shift()!);
    for (const piece of pieces) {
      yield begun.join('');
      begun = [piece];
    }
  }
}
