import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import * as sluice from 'sluice';
import { usage } from '../src/cli/arguments.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const pages = ['README.md', 'operators/README.md', 'src/README.md', 'bench/README.md', 'CHANGELOG.md'];

interface Snippet {
  readonly line: number;
  readonly code: string;
  /** What it needs and the page does not show. */
  readonly given: string;
  readonly runnable: boolean;
  /** What it prints; `…` stands for anything on its line. */
  readonly output: string | undefined;
}

/** The `ts` blocks of a page. Those marked `runnable` are run; the `text` block that follows one is its output. */
function snippetsOf(page: string): Snippet[] {
  const text = read(page);
  const blocks = /(?:<!-- given\n([^]*?)-->\n)?```ts( runnable)?\n([^]*?)```\n(?:\n```text\n([^]*?)```\n)?/g;
  return [...text.matchAll(blocks)].map(([all, given = '', runnable, code = '', output]) => ({
    line: text.slice(0, text.indexOf(all)).split('\n').length,
    code,
    given,
    runnable: runnable !== undefined,
    output: runnable === undefined ? undefined : (output ?? ''),
  }));
}

const snippets = snippetsOf('README.md');

describe('the snippets of the README', () => {
  test('are as many as its ts blocks', () => {
    expect(snippets).toHaveLength(read('README.md').match(/^```ts/gm)?.length ?? 0);
  });

  test('are correct for the compiler, as a user writes them', () => {
    const files = new Map(
      snippets.map((s) => [join(root, `readme-line-${s.line}.mts`), `${s.given}${s.code}`]),
    );
    expect(complaints(files)).toEqual([]);
  });

  const folder = makeFolder();
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const runnable = snippets.filter((snippet) => snippet.runnable);
  test.each(runnable)('print what it says: line $line', async ({ line, code, output = '' }) => {
    const printed: string[] = [];
    vi.spyOn(console, 'log').mockImplementation(
      (...args: unknown[]) => void printed.push(...args.map(shown).join(' ').split('\n')),
    );
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const file = join(folder, `line-${line}.ts`);
    writeFileSync(file, code);
    await import(/* @vite-ignore */ file);
    const expected = output.split('\n').slice(0, -1);
    // A snippet may subscribe and go on, as a user's program does.
    await vi.waitFor(
      () => {
        expect(printed.map((text, i) => sameBut(text, expected[i] ?? ''))).toEqual(expected);
      },
      { timeout: 30_000 },
    );
    expect(warned).not.toHaveBeenCalled();
  });
});

describe('the pages', () => {
  test.each(pages)('%s links to files that are there', (page) => {
    const links = [...read(page).matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(([, link = '']) => link);
    expect(links.filter((link) => !existsSync(join(root, dirname(page), link)))).toEqual([]);
  });

  test('name only options that `sluice collect` has', () => {
    const section = /### The command\n([^]*?)\n### /.exec(read('README.md'))?.[1] ?? '';
    const optionsIn = (text: string): string[] => text.match(/--[a-z-]+/g) ?? [];
    expect(optionsIn(section)).not.toEqual([]);
    expect(optionsIn(usage)).toEqual(expect.arrayContaining(optionsIn(section)));
  });

  test('operators/README.md has a row for every export, with the first sentence of its comment', () => {
    const table = read('operators/README.md').matchAll(/^\| `(\w+)` \| (.*?) \|$/gm);
    const rows = new Map([...table].map(([, name = '', says = '']) => [name, says]));
    expect(Object.fromEntries(rows)).toEqual(
      Object.fromEntries(Object.keys(sluice).map((name) => [name, rowOf(name)])),
    );
  });

  test('src/README.md has a row for every folder and file of src', () => {
    const listed = [...read('src/README.md').matchAll(/^\| `([\w.]+)\/?` +\|/gm)].map(([, name]) => name);
    expect(listed.sort()).toEqual(
      readdirSync(join(root, 'src'))
        .filter((name) => name !== 'README.md')
        .sort(),
    );
  });
});

function makeFolder(): string {
  mkdirSync(join(root, '.vitest'), { recursive: true });
  return mkdtempSync(join(root, '.vitest/readme-'));
}

function shown(value: unknown): string {
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? `[ ${value.map((item) => `'${String(item)}'`).join(', ')} ]` : String(value);
}

/** `expected`, if `text` is that but for its `…`; else `text`. */
function sameBut(text: string, expected: string): string {
  const pattern = expected.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${pattern.join('.*')}$`).test(text) ? expected : text;
}

/** What the compiler says of these files, which need not exist, with the settings of the repository. */
function complaints(files: ReadonlyMap<string, string>): string[] {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => readFileSync(path, 'utf8')) as {
    config: unknown;
  };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.readFile = (path) => files.get(path) ?? readFile(path);
  host.getSourceFile = (path, target, ...rest) => {
    const text = files.get(path);
    return text === undefined
      ? getSourceFile(path, target, ...rest)
      : ts.createSourceFile(path, text, target);
  };
  // What a snippet shows need not be used in it.
  const lenient = { ...options, noUnusedLocals: false, noUnusedParameters: false };
  const program = ts.createProgram([...files.keys()], lenient, host);
  return [...files.keys()].flatMap((path) =>
    ts.getPreEmitDiagnostics(program, program.getSourceFile(path)).map(({ messageText, start = 0, file }) => {
      const line = file ? file.getLineAndCharacterOfPosition(start).line + 1 : 0;
      return `${path.slice(root.length)}:${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    }),
  );
}

/** The first sentence of the comment of an export. */
function rowOf(name: string): string {
  const text = (declarations().get(name) ?? 'nowhere')
    .split('\n')
    .map((line) => line.replace(/^\s*\/?\*+\/?\s?/, '').replace(/\s*\*\/$/, ''))
    .join('\n')
    .split(/\n\s*\n|\n\s*[-@]/)[0]!
    .replaceAll(/\s+/g, ' ')
    .trim();
  return /^.*?[.](?=\s+[A-Z]|$)/.exec(text)?.[0] ?? text;
}

let known: Map<string, string> | undefined;

/** Every exported function and class of the library, with its doc comment. */
function declarations() {
  if (known) return known;
  known = new Map();
  for (const path of filesOf('operators').concat(filesOf('src'))) {
    const exported = /\/\*\*((?:(?!\*\/)[^])*)\*\/\nexport (?:abstract )?(?:function|class|const) (\w+)/g;
    for (const [, comment = '', name = ''] of read(path).matchAll(exported)) {
      if (!known.has(name)) known.set(name, comment);
    }
  }
  return known;
}

function filesOf(folder: string): string[] {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = `${folder}/${name}`;
    if (statSync(join(root, path)).isDirectory()) return /^(cli|connectors)$/.test(name) ? [] : filesOf(path);
    return name.endsWith('.ts') ? [path] : [];
  });
}
