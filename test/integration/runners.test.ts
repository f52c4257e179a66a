import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { freshBuild } from './programs.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = fileURLToPath(new URL('runners', import.meta.url));
const config = JSON.stringify({ testMatch: ['**/*.jest.cjs'], transform: {} });

/** How each runner is started, on what was built. */
const runners = {
  vitest: [
    `${ROOT}node_modules/vitest/vitest.mjs`,
    'run',
    '--root',
    FOLDER,
    '--config',
    `${FOLDER}/vitest.config.mjs`,
  ],
  jest: [`${ROOT}node_modules/jest/bin/jest.js`, '--rootDir', FOLDER, '--config', config, '--ci'],
  'node:test': ['--test', `${FOLDER}/first.node.mjs`],
};

describe.each(Object.entries(runners))('a marble test in %s', (_name, args) => {
  beforeAll(freshBuild, 120_000);

  const run = (wrong: boolean): { readonly status: number | null; readonly output: string } => {
    const { NODE_OPTIONS: _options, VITEST: _vitest, ...rest } = process.env;
    const env = { ...rest, NO_COLOR: '1', ...(wrong ? { WRONG: '1' } : {}) };
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      env,
      encoding: 'utf8',
      cwd: FOLDER,
    });
    return { status, output: stdout + stderr };
  };

  test('passes without real waiting, and fails where it should', () => {
    const right = run(false);
    expect(right.output).toContain('two at a time');
    expect(right.status).toBe(0);
    const wrong = run(true);
    expect(wrong.output).toContain('the flow did not do what its picture says');
    expect(wrong.status).not.toBe(0);
  });
});
