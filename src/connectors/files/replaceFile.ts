import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { companionOf } from './companion.ts';

/** Makes that there is a file at this path outlast a loss of power: which names there are is its folder's own data. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return; // it cannot open a folder
  const folder = await open(dirname(path));
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Replaces a file as a whole: after a crash it is the old one or the new one, and the new one is on the disk. */
export async function replaceFile(
  path: string,
  content: string,
  before?: () => Promise<void>,
): Promise<void> {
  const temporary = companionOf(path, '.new');
  try {
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await before?.();
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncFolder(path);
}
