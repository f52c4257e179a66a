import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';

/** One change that breaks a rule: `find`, which must stand exactly once in `file`, becomes `replace`. */
export interface Sabotage {
  /** From the root of the repository. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The RxJS that the tests run on (vitest.config.ts): a mutant with another copy would have another clock. */
const RXJS = process.env['SLUICE_RXJS'] ?? 'rxjs';
/** Inside node_modules, so that a mutant finds it. */
const FOLDER = join(ROOT, 'node_modules/.cache/sluice-mutants', String(process.pid));
let mutants = 0;

function saboteur(sabotage: Sabotage, done: () => void): Plugin {
  const target = resolve(ROOT, sabotage.file);
  return {
    name: 'sabotage',
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        if (path !== target) return undefined;
        done();
        return { contents: await sabotaged(sabotage), loader: 'ts' };
      });
    },
  };
}

/** The text of a file with its one change. Throws where `find` does not stand exactly once: the twin has gone stale. */
export async function sabotaged({ file, find, replace }: Sabotage): Promise<string> {
  const parts = (await readFile(resolve(ROOT, file), 'utf8')).split(find);
  if (parts.length !== 2) {
    throw new Error(`${file}: expected this exactly once, found it ${parts.length - 1} times: ${find}`);
  }
  return parts.join(replace);
}

/** Bundles `entry` with one change and imports it. RxJS stays outside: there is one copy of it. */
export async function mutant<M>(entry: string, sabotage: Sabotage): Promise<M> {
  return (await import(/* @vite-ignore */ pathToFileURL(await mutantFile(entry, sabotage)).href)) as M;
}

/** The file of a mutant, for a program of its own. */
export async function mutantFile(entry: string, sabotage: Sabotage): Promise<string> {
  await sabotaged(sabotage);
  let done = false;
  const plugin = saboteur(sabotage, () => {
    done = true;
  });
  const { outputFiles } = await build({
    entryPoints: [resolve(ROOT, entry)],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    alias: { rxjs: RXJS },
    external: [RXJS, 'undici', 'eventsource-parser'],
    logLevel: 'silent',
    plugins: [plugin],
  });
  if (!done) throw new Error(`${entry} does not contain ${sabotage.file}`);
  await mkdir(FOLDER, { recursive: true });
  const file = join(FOLDER, `mutant-${++mutants}.mjs`);
  await writeFile(file, outputFiles[0]?.text ?? '');
  return file;
}

/** Deletes what `mutant` wrote. */
export async function removeMutants(): Promise<void> {
  await rm(FOLDER, { recursive: true, force: true });
}
