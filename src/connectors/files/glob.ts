import type { Dirent } from 'node:fs';
import { glob, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
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
      // Not an empty list: with one, Node keeps the facts of every entry, which costs memory and time.
      const without = exclude.length > 0 ? { exclude: [...exclude] } : {};
      const entries = glob([pattern].flat(), { cwd, withFileTypes: true, ...without });
      return order === 'found' ? inOrderFound(entries) : inOrderOfNames(entries, signal);
    },
    { name: 'fromGlob' },
  );
}

/** Gives the path of an entry that is a file or a link to one; a promise for links only, since each costs a turn. */
function pathOfFiles(): (entry: Dirent) => string | undefined | Promise<string | undefined> {
  // Of the entry before, mostly that of the next as well: joining takes longer than looking.
  let [parent, folder] = ['', ''];
  return (entry) => {
    if (entry.parentPath !== parent) {
      parent = entry.parentPath;
      folder = join(parent, sep);
    }
    const path = folder + entry.name;
    if (entry.isFile()) return path;
    return entry.isSymbolicLink() ? linkToFile(path) : undefined;
  };
}

/** A link to a file counts as one, a link to nothing does not. */
async function linkToFile(path: string): Promise<string | undefined> {
  const target = await stat(path).catch(() => undefined);
  return target?.isFile() ? path : undefined;
}

async function* inOrderFound(entries: AsyncIterable<Dirent>): AsyncGenerator<string> {
  const pathOf = pathOfFiles();
  for await (const entry of entries) {
    const path = await pathOf(entry);
    if (path !== undefined) yield path;
  }
}

/** Looks until it has all of them, or until the signal. */
async function inOrderOfNames(entries: AsyncIterable<Dirent>, signal: AbortSignal): Promise<string[]> {
  const pathOf = pathOfFiles();
  const paths: string[] = [];
  for await (const entry of entries) {
    if (signal.aborted) return [];
    const found = pathOf(entry);
    const path = typeof found === 'object' ? await found : found;
    if (path !== undefined) paths.push(path);
  }
  return paths.sort();
}
