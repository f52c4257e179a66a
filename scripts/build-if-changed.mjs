// Builds the package unless what is in dist was built of the present sources: programs that run from there stay whole.
import { spawnSync } from 'node:child_process';
import { globSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const changedMs = (path) => statSync(`${root}/${path}`, { throwIfNoEntry: false })?.mtimeMs ?? 0;

// Folders, too: they tell of files that were removed.
const sources = globSync(
  ['operators', 'operators/**', 'src', 'src/**', 'package.json', 'tsconfig.json', 'tsup.config.ts'],
  { cwd: root },
);
// The last file that a build writes: without it the build has failed.
const builtMs = changedMs('dist/THIRD-PARTY.txt');

if (sources.some((path) => changedMs(path) >= builtMs)) {
  const windows = process.platform === 'win32';
  const { status } = spawnSync('npm', ['run', 'build', '--silent'], {
    cwd: root,
    stdio: 'inherit',
    shell: windows,
  });
  process.exitCode = status ?? 1;
}
