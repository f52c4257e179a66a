import { glob, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Observable } from 'rxjs';
import { fromPull } from '../../demand/fromPull.ts';
import { nonEmpty, oneOf } from '../../options.ts';

export interface FromGlobOptions {
  /** The folder that a relative pattern starts from. @defaultValue the current one */
  readonly cwd?: string;
  /** Patterns of what to leave out. @defaultValue nothing */
  readonly exclude?: readonly string[];
  /**
   * `'byName'`: in the order of their paths, for which all of them are found before the first is given; `'found'`: as the
   * file system has them, while it looks. @defaultValue 'byName'
   */
  readonly order?: 'byName' | 'found';
}

/**
 * Emits the absolute path of each file that a pattern matches; folders are left out.
 *
 *     fromGlob('in/*.ndjson.gz').pipe(poolMap((path) => fromNdjson<Order>(path), { concurrency: 4 }))
 *
 * - **Emits when** the stage below has room.
 * - **Waits when** the stage below is full.
 * - **Drops** nothing.
 * - **Completes when** all are given; at once where nothing matches.
 * - **Errors when** Node's `fs.glob` does; a folder that cannot be read counts as empty there.
 * - **Unsubscribing** stops looking.
 *
 * @param pattern As Node's `fs.glob` has them: `*`, `**`, `?`, `{a,b}`, `[a-z]`; several mean any of them.
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function fromGlob(
  pattern: string | readonly string[],
  options: FromGlobOptions = {},
): Observable<string> {
  const { cwd = process.cwd(), exclude = [], order = 'byName' } = options;
  for (const each of [pattern].flat()) nonEmpty('fromGlob: pattern', each);
  oneOf('fromGlob: order', order, ['byName', 'found']);
  return fromPull(
    (signal) => {
      const found = filesOf([pattern].flat(), cwd, exclude);
      return order === 'found' ? found : sorted(found, signal);
    },
    { name: 'fromGlob' },
  );
}

async function* filesOf(
  patterns: readonly string[],
  cwd: string,
  exclude: readonly string[],
): AsyncGenerator<string> {
  for await (const entry of glob([...patterns], { cwd, exclude: [...exclude], withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink() ? await linksToFile(path) : entry.isFile()) yield path;
  }
}

/** A link to a file counts as one, a link to nothing does not. */
async function linksToFile(path: string): Promise<boolean> {
  const target = await stat(path).catch(() => undefined);
  return target?.isFile() ?? false;
}

/** Looks for all of them at the first pull, or until the signal; not a generator, which would cost each pull several turns. */
function sorted(paths: AsyncIterable<string>, signal: AbortSignal): AsyncIterable<string> {
  let sorted: Iterator<string> | undefined;
  const look = async (): Promise<IteratorResult<string, undefined>> => {
    const all: string[] = [];
    for await (const path of paths) {
      if (signal.aborted) return { done: true, value: undefined };
      all.push(path);
    }
    sorted = all.sort().values();
    return sorted.next();
  };
  const next = () => (sorted === undefined ? look() : Promise.resolve(sorted.next()));
  return { [Symbol.asyncIterator]: () => ({ next }) };
}
