import { mkdir, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Inside node_modules, where packages are found. */
const folder = fileURLToPath(new URL('../../../node_modules/.cache/sluice-faults', import.meta.url));

/** A program as one file, which starts twice as fast: those that are killed start often. */
export async function bundled(program: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [program],
    bundle: true,
    write: false,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node22',
    logLevel: 'silent',
  });
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${basename(program, '.ts')}.mjs`);
  // Another test run may be starting the one that is there.
  const made = `${file}.${process.pid}`;
  await writeFile(made, outputFiles[0]!.contents);
  await rename(made, file);
  return file;
}
