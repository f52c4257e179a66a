import { defineConfig } from 'vitest/config';

// Angular hands vitest its bundles from memory, and vitest's cache on disk does not notice that one has changed.
export default defineConfig({ test: { fsModuleCache: false, testTimeout: 120_000 } });
