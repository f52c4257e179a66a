import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// Tests import what users import, and get the sources. Whole names only: `sluice/http` is not `sluice` + `/http`.
const alias = [
  { find: /^sluice$/, replacement: file('operators/index.ts') },
  { find: /^sluice\/files$/, replacement: file('src/connectors/files.ts') },
  { find: /^sluice\/http$/, replacement: file('src/connectors/http.ts') },
  { find: /^sluice\/postgres$/, replacement: file('src/connectors/postgres.ts') },
  { find: /^sluice\/testing$/, replacement: file('src/testing/index.ts') },
  { find: /^sluice\/workers$/, replacement: file('src/connectors/workers.ts') },
];

const unit = {
  include: ['test/**/*.test.ts', 'marbles/**/*.test.ts'],
  exclude: [
    '**/node_modules/**',
    'test/integration/**',
    'test/faults/**',
    'test/browser/**',
    'test/types/**',
  ],
};

/** Fault tests that may run beside one another, since they assert no time, rate or memory that a busy machine could change. */
const untimed = [
  'test/faults/death/*.test.ts',
  'test/faults/postgres/{backends,server}.test.ts',
  'test/faults/{files,httpCheckpoint,httpPages,postgresRows,workersItems}.test.ts',
];

/** How long `expect.poll` waits where nothing is said: for servers and processes, on a machine that has other work too. */
const patient = { poll: { timeout: 20_000 } };

const projects: TestProjectInlineConfiguration[] = [
  { extends: true, test: { name: 'unit', ...unit } },
  {
    // The same tests on the oldest RxJS of the peer range.
    extends: true,
    resolve: { alias: [...alias, { find: /^rxjs(?=\/|$)/, replacement: 'rxjs780' }] },
    test: { name: 'rxjs-7.8.0', env: { SLUICE_RXJS: 'rxjs780' }, ...unit },
  },
  {
    // Real servers on free ports: one file at a time, or they measure each other.
    extends: true,
    test: {
      name: 'integration',
      include: ['test/integration/**/*.test.ts'],
      testTimeout: 60_000,
      hookTimeout: 60_000,
      expect: patient,
      fileParallelism: false,
    },
  },
  {
    // Real servers that are cut off, and real processes that are killed: they wait more than they work.
    extends: true,
    test: {
      name: 'faults',
      include: untimed,
      testTimeout: 120_000,
      hookTimeout: 60_000,
      expect: patient,
      maxWorkers: 3,
      sequence: { groupOrder: 1 },
    },
  },
  {
    // The same, where what is asserted is a time, a rate or the memory of this process: nothing else may run beside it.
    extends: true,
    test: {
      name: 'faults-timed',
      include: ['test/faults/**/*.test.ts'],
      exclude: ['**/node_modules/**', ...untimed],
      testTimeout: 120_000,
      hookTimeout: 60_000,
      expect: patient,
      fileParallelism: false,
    },
  },
  {
    extends: true,
    test: {
      name: 'types',
      include: [],
      typecheck: {
        enabled: true,
        only: true,
        include: ['test/types/**/*.test-d.ts'],
        tsconfig: 'test/types/tsconfig.json',
      },
    },
  },
];

const chromium = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';

if (existsSync(chromium)) {
  projects.push({
    extends: true,
    // The laws are written for Node, and run here too: test/browser/host.ts has the rest of what they need of it.
    resolve: {
      alias: [...alias, { find: 'node:assert/strict', replacement: file('test/browser/assert.ts') }],
    },
    optimizeDeps: { exclude: ['rxjs'], include: ['@sinonjs/fake-timers', 'fast-check'] },
    test: {
      name: 'browser',
      include: ['test/browser/**/*.test.ts'],
      browser: {
        enabled: true,
        headless: true,
        screenshotFailures: false,
        connectTimeout: 180_000,
        instances: [{ browser: 'chromium' }],
        provider: playwright({
          launchOptions: {
            executablePath: chromium,
            timeout: 180_000,
            args: [
              '--no-sandbox',
              '--disable-gpu',
              '--disable-quic',
              '--no-first-run',
              '--disable-background-networking',
              '--disable-component-update',
              '--disable-sync',
            ],
          },
        }),
      },
    },
  });
} else if (process.env['CI']) {
  throw new Error(`The browser tests need Chromium at ${chromium}: install it, or set CHROMIUM_PATH.`);
} else {
  console.warn(`Browser tests left out: no Chromium at ${chromium} (install it, or set CHROMIUM_PATH).`);
}

export default defineConfig({
  resolve: { alias },
  test: {
    projects,
    // No promise of ours: that is what a machine may take that has more to do.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default', './scripts/closing-line.mjs'],
    coverage: { provider: 'v8', include: ['operators/**/*.ts', 'src/**/*.ts'] },
  },
});
