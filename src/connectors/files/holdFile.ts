import { readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { CheckpointError, codeOf } from '../../errors.ts';
import { companionOf } from './companion.ts';

/** What is held by this process, until it ends. */
const held = new Set<string>();

/**
 * Takes `path` for this process alone, until it ends, with a file `<path>.lock` that names it. One that was left behind by
 * a process that is gone, or by another machine, is taken over: a program that was killed can be started again at once.
 * Where there is `/proc`, that is so too if the process has not been reaped yet, or if another one has its number by now.
 *
 * @throws `CheckpointError` where another process of this machine has it.
 */
export function holdFile(path: string): void {
  const lock = companionOf(resolve(path), '.lock');
  if (held.has(lock)) return;
  const born = inProc(process.pid)?.born;
  const mine = `${process.pid} ${hostname()}${born === undefined ? '' : ` ${born}`}\n`;
  for (;;) {
    try {
      writeFileSync(lock, mine, { flag: 'wx' });
      break;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    const theirs = contentOf(lock);
    const [pid, host, theirBirth] = theirs.trim().split(' ');
    if (host === hostname() && pid !== String(process.pid) && isAlive(Number(pid), theirBirth)) {
      throw new CheckpointError(
        path,
        `process ${pid} has it, and two at once would lose items; wait for it to end, or give this one a checkpoint ` +
          `of its own; if process ${pid} is another program, remove ${lock}`,
      );
    }
    removeIf(lock, theirs);
  }
  if (held.size === 0) process.once('exit', () => held.forEach((file) => removeIf(file, mine)));
  held.add(lock);
}

/** Another process may be taking it over as well: what is removed is what was read, or it is put back. */
function removeIf(lock: string, content: string): void {
  const aside = companionOf(lock, `.${process.pid}`);
  try {
    renameSync(lock, aside);
    if (contentOf(aside) !== content) renameSync(aside, lock);
    else unlinkSync(aside);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return '';
    throw error;
  }
}

/** @param born Of the process that is meant; one that was born at another time has only got its number. */
function isAlive(pid: number, born: string | undefined): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  const found = inProc(pid);
  if (found !== undefined && (found.isZombie || (born !== undefined && born !== found.born))) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM'; // somebody else's
  }
}

/** What Linux tells of a process; nothing elsewhere, or where it is gone or hidden. */
function inProc(pid: number): { readonly isZombie: boolean; readonly born: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // from the third on: the second is any name in parentheses
    return { isZombie: fields[0] === 'Z', born: `${fields[19]}@${boot}` };
  } catch {
    return undefined;
  }
}
