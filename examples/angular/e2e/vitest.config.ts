import { defineConfig } from 'vitest/config';

// Real servers and a real browser: one file at a time, or they measure each other.
export default defineConfig({
  test: {
    include: ['e2e/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default', '../../scripts/closing-line.mjs'],
  },
});
