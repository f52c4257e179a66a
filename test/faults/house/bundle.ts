import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Inside node_modules, where packages are found. */
const folder = fileURLToPath(new URL('../../../node_modules/.cache/sluice-faults', import.meta.url));

/** A program as one file, which starts twice as fast: those that are killed start often. */
export async function bundled(program: string): Promise<string> {
  const outfile = join(folder, String(process.pid), `${program.split('/').at(-1)!.replace(/\.ts$/, '')}.mjs`);
  await build({
    entryPoints: [program],
    outfile,
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node22',
    logLevel: 'silent',
  });
  return outfile;
}
