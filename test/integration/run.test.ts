import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cli, figure, freshBuild, root, run, start, type Program } from './programs.ts';

let folder: string;
beforeAll(async () => {
  freshBuild();
  folder = await mkdtemp(join(root, 'dist', 'run-test-')); // so that `sluice` is found by its name
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

async function module(name: string, code: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, code);
  return path;
}

/** Resolves when the program has said this. */
function said(program: Program, text: string): Promise<void> {
  let all = '';
  return new Promise((resolve) => {
    program.child.stderr?.on('data', (part: Buffer) => {
      all += part.toString();
      if (all.includes(text)) resolve();
    });
  });
}

const endless = `
  import { fromPull, poolMap } from 'sluice';
  const work = (n: number) => new Promise<number>((resolve) => setTimeout(resolve, n === 40 ? HANG : 5, n));
  function* numbers() { for (let n = 0; ; n++) { if (n === 50) console.error('under way'); yield n; } }
  export default fromPull(numbers).pipe(poolMap(work, { concurrency: 2, name: 'work' }));
`;

test('a module in TypeScript whose function gets its arguments: files in, file out, exit code 0', async () => {
  const input = join(folder, 'in.csv');
  const output = join(folder, 'out.ndjson');
  await writeFile(input, `id,value\n${Array.from({ length: 100 }, (_, i) => `${i},${i * 10}`).join('\n')}\n`);
  const path = await module(
    'pipeline.ts',
    `import { filterOr, storeTo } from 'sluice';
     import { fromCsv, toNdjson } from 'sluice/files';
     interface Row { readonly id: number; readonly value: number }
     export default ({ args: [from, to], signal }: { args: string[]; signal: AbortSignal }) => {
       if (signal.aborted) throw new Error('stopped');
       return fromCsv<Row>(from!, { types: { id: 'number', value: 'number' } }).pipe(
         filterOr(({ value }) => value >= 500),
         storeTo(toNdjson(to!)),
       );
     };`,
  );
  const ended = await run(cli, ['run', path, '--', input, output]);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect([figure(ended, 'processed'), figure(ended, 'stored'), figure(ended, 'rejected')]).toEqual([
    100, 50, 50,
  ]);
  expect(ended.stdout).toMatch(/limits the run|was busy|took/);
  expect((await readFile(output, 'utf8')).split('\n')[0]).toBe('{"id":50,"value":500}');
});

test('the figures of a module that stores in its own way are those of the report', async () => {
  const input = join(folder, 'own.ndjson');
  await writeFile(input, '1\noops\n3\n4\n');
  const path = await module(
    'own.ts',
    `import { poolMap } from 'sluice';
     import { fromNdjson } from 'sluice/files';
     const save = async (n: number) => { if (n === 4) throw new Error('no'); return n; };
     export default fromNdjson<number>('${input}', { onBadRecord: 'drop' }).pipe(
       poolMap(save, { concurrency: 1, onFailure: () => undefined }),
     );`,
  );
  const ended = await run(cli, ['run', path]);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  const figures = ended.stdout.split('\n').map((line) => line.split(/ {2,}/));
  expect(figures.slice(0, 6)).toEqual([
    ['processed', '3'],
    ['delivered', '2'],
    ['rejected', '0'],
    ['set aside', '1'],
    ['dead', '1'],
    ['retried', '0'],
  ]);
});

test("an Observable called 'flow' will do", async () => {
  const path = await module('flow.mjs', "import { of } from 'rxjs'; export const flow = of(1, 2, 3);");
  const ended = await run(cli, ['run', path]);
  expect(ended.code).toBe(0);
  expect(figure(ended, 'delivered')).toBe(3);
});

test('a flow that fails: exit code 1, and what went wrong', async () => {
  const path = await module(
    'fails.ts',
    `import { fromPull, poolMap } from 'sluice';
     export default fromPull([1, 2]).pipe(poolMap(async (n: number) => { throw new Error('boom ' + n); }, { concurrency: 1 }));`,
  );
  const ended = await run(cli, ['run', path]);
  expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining('sluice: boom 1') });
});

test.each([
  ['nothing to run', [], 'say what to run'],
  ['no such file', ['run-nowhere.ts'], 'there is no such file'],
  ['an unknown option', ['--workers', '3', 'a.ts'], '--workers'],
])('%s: exit code 2', async (_, args, what) => {
  const ended = await run(cli, ['run', ...args]);
  expect(ended.code).toBe(2);
  expect(ended.stderr).toContain(what);
  expect(ended.stderr).toContain('nothing was run');
});

test.each([
  ['no-flow.ts', 'export const other = 1;', "its default export, or 'flow', must be an Observable"],
  [
    'broken.ts',
    '\nexport default (;',
    /broken\.ts cannot be loaded: Expression expected \(\/.*broken\.ts:2\)\n/,
  ],
  ['early.ts', '\n\nnull.f();', /early\.ts cannot be loaded: TypeError: Cannot .* \(\/.*early\.ts:3\)\n/],
  ['unset.ts', 'export default () => undefined.f;', /its function failed: TypeError: Cannot read/],
  [
    'throws.ts',
    "export default () => { throw new Error('no config'); };",
    'its function failed: no config\n',
  ],
])('%s: exit code 2', async (name, code, what) => {
  const ended = await run(cli, ['run', await module(name, code)]);
  expect(ended.code).toBe(2);
  expect(ended.stderr).toMatch(what);
});

test('--verbose shows the stack of an error and its causes', async () => {
  const failing = "throw new TypeError('boo', { cause: new Error('deep') });";
  const late = await module(
    'late.ts',
    `import { fromPull, poolMap } from 'sluice';
     const fails = async () => { ${failing} };
     export default fromPull([1]).pipe(poolMap(fails, { concurrency: 1 }));`,
  );
  const atOnce = await module('at-once.ts', `export default () => { ${failing} };`);
  expect((await run(cli, ['run', late])).stderr).toMatch(/^sluice: TypeError: boo$/m);
  for (const path of [late, atOnce]) {
    const { stderr } = await run(cli, ['run', path, '--verbose']);
    expect(stderr).toMatch(/TypeError: boo\n +at [^]*\[cause\]: Error: deep\n +at /);
  }
});

test.each([
  ['import.ts', "import { of } from 'rxjs'; export default of(1);"],
  ['export.js', 'export default 1;'],
])('%s in a package of CommonJS: what to do about it', async (name, code) => {
  await mkdir(join(folder, 'commonjs'), { recursive: true });
  await writeFile(join(folder, 'commonjs', 'package.json'), '{ "type": "commonjs" }');
  const ended = await run(cli, ['run', await module(join('commonjs', name), code)]);
  expect(ended.code).toBe(2);
  const ending = name.endsWith('.ts') ? 'mts' : 'mjs';
  expect(ended.stderr).toContain(`; call it ….${ending}, or say "type": "module" in package.json\n`);
});

test.runIf(existsSync('/dev/full'))(
  'data that a module cannot write to standard output is a failure; the words of the command are not',
  async () => {
    const path = await module(
      'prints.ts',
      `import { fromPull, poolMap } from 'sluice';
       const numbers = Array.from({ length: 1_000 }, (_, i) => i);
       const print = async (n: number) => { if (process.env['PRINT']) process.stdout.write(n + '\\n'); };
       export default fromPull(numbers).pipe(poolMap(print, { concurrency: 1 }));`,
    );
    const ended = await run(cli, ['run', path], { full: 'stdout', env: { PRINT: '1' } });
    expect(ended).toMatchObject({
      code: 1,
      stderr: 'sluice: standard output: ENOSPC: no space left on device, write\n',
    });
    expect(await run(cli, ['run', path], { full: 'stdout' })).toMatchObject({ code: 0, stderr: '' });
    expect(await run(cli, ['run', path], { full: 'stderr', env: { PRINT: '1' } })).toMatchObject({ code: 0 });
  },
);

test.each([
  [
    'a sink that never closes',
    `import { fromPull, storeTo } from 'sluice';
     const never = () => new Promise<void>(() => undefined);
     export default fromPull([1, 2]).pipe(storeTo({ store: async () => undefined, close: never }));`,
    /^sluice: storeTo: its sink is still closing\nsluice: it waits for something that will never come\n$/,
    2,
  ],
  [
    'a module',
    'await new Promise(() => undefined); export default 1;',
    /never come\nsluice: nothing was run\n$/,
    NaN,
  ],
  [
    'a function',
    'export default () => new Promise(() => undefined);',
    /never come\nsluice: nothing was run\n$/,
    NaN,
  ],
])('what waits for nothing is a failure, and told: %s', async (name, code, what, stored) => {
  const ended = await run(cli, ['run', await module(`${name.replaceAll(' ', '-')}.ts`, code)]);
  expect(ended).toMatchObject({ code: 1, stderr: expect.stringMatching(what) });
  expect(figure(ended, 'stored')).toBe(stored);
});

test('Ctrl-C finishes what is inside: exit code 130, nothing left over', async () => {
  const program = start(cli, ['run', await module('drained.ts', endless.replace('HANG', '5'))]);
  await said(program, 'under way');
  program.child.kill('SIGINT');
  const ended = await program.ended;
  expect(ended.code).toBe(130);
  expect(ended.stderr).not.toContain('left over');
  expect(figure(ended, 'processed')).toBe(figure(ended, 'delivered'));
});

test('a second one stops at once, and says what is left over', async () => {
  const program = start(cli, ['run', await module('hangs.ts', endless.replace('HANG', '1e9'))]);
  await said(program, 'under way');
  program.child.kill('SIGINT');
  await said(program, 'once more stops at once');
  await new Promise((resolve) => setTimeout(resolve, 500));
  program.child.kill('SIGINT');
  const ended = await program.ended;
  expect(ended.code).toBe(130);
  expect(ended.stderr).toMatch(/left over: 1 item without an outcome, in work/);
});
