import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readlink, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { codeOf, FileBrokenError } from '../../errors.ts';
import { shortened } from './companion.ts';
import { syncFolder } from './replaceFile.ts';

/** A new file beside another one, whose place it takes, and whose permissions it has. */
export class Replacement {
  readonly #target: string;
  readonly #path: string;
  /** Absent: there is no file to replace. */
  readonly #mode: number | undefined;

  private constructor(target: string, mode: number | undefined) {
    this.#target = target;
    this.#path = join(dirname(target), `.${shortened(basename(target))}.${randomUUID()}.new`);
    this.#mode = mode;
  }

  /** Of a symbolic link, what it leads to is replaced. */
  static async of(path: string): Promise<Replacement> {
    const target = await targetOf(path);
    const replaced = await orAbsent(stat(target));
    if (replaced && !replaced.isFile())
      throw new FileBrokenError(path, 'it is not a file that can be replaced');
    return new Replacement(target, replaced && replaced.mode & 0o777);
  }

  async open(): Promise<FileHandle> {
    const file = await open(this.#path, constants.O_RDWR | constants.O_CREAT, this.#mode ?? 0o666);
    if (this.#mode !== undefined) await file.chmod(this.#mode); // whatever the umask is
    return file;
  }

  /** Takes the place of the other one, on the disk. */
  async publish(): Promise<void> {
    try {
      await rename(this.#path, this.#target);
    } catch (error) {
      await this.remove();
      throw error;
    }
    await syncFolder(this.#target);
  }

  async remove(): Promise<void> {
    await rm(this.#path, { force: true });
  }
}

/** What a path leads to, be it there or not. */
async function targetOf(path: string): Promise<string> {
  const found = await orAbsent(realpath(path));
  if (found !== undefined) return found;
  const link = await readlink(path).catch(() => undefined);
  return link === undefined ? path : targetOf(resolve(await realpath(dirname(path)), link));
}

async function orAbsent<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
