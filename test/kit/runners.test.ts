import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

test('the laws run in node:test, and fail there', () => {
  const file = fileURLToPath(new URL('runners/nodeTest.ts', import.meta.url));
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_OPTIONS: undefined };
  const { status, stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=tap', file], {
    encoding: 'utf8',
    env,
  });
  const failed = [...stdout.matchAll(/^ *not ok \d+ - (.*: .*)$/gm)].map(([, name]) => name);
  expect(failed, stdout).toEqual(['sorts: leaves the batch as it was']);
  expect(stdout.match(/^ *ok \d+ - /gm)?.length).toBeGreaterThan(45);
  expect(status).toBe(1);
});
