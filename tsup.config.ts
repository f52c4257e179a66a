import { defineConfig, type Options } from 'tsup';

const entries = {
  index: 'operators/index.ts',
  files: 'src/connectors/files.ts',
  http: 'src/connectors/http.ts',
  postgres: 'src/connectors/postgres.ts',
  testing: 'src/testing/index.ts',
  workers: 'src/connectors/workers.ts',
};

/** `Disposable` is in the front door's types, and a program with `lib: ['es2022', 'dom']` does not know it. */
const dts = { entry: entries, banner: '/// <reference lib="esnext.disposable" />' };

const shared: Options = {
  target: 'es2022',
  // Shared chunks: an error class imported from `sluice` and from `sluice/http` must be one class.
  splitting: true,
  treeshake: true,
  metafile: true,
  removeNodeProtocol: false,
  // scripts/clean.mjs deletes dist before each build: declarations of a failed build must not survive it.
  clean: false,
};

/*
 * The command is a program, and its two libraries are nobody's business but its own: as `dependencies` every user of
 * the library would install them, so they are devDependencies, bundled into dist/cli.js on purpose. Only src/cli may
 * import them (eslint.config.js), scripts/check-package.mjs fails if they turn up in another bundle, and
 * scripts/third-party.mjs writes their licences next to the bundle. `rxjs`, `pg`, `undici`, `piscina`,
 * `@sinonjs/fake-timers` and `fast-check` are peers: external.
 *
 * - @marcbachmann/cel-js evaluates `--where 'value > 500'`. CEL is a specified language whose programs end and call
 *   nothing they were not given; this implementation has types and no dependencies, builds no code at run time, refuses
 *   the prototype (`value.constructor` is "no such key"), is maintained, and is MIT. expr-eval has CVE-2025-12735 (code
 *   execution), filtrex compiles to `new Function`, jsep only parses, cel-js brings a parser generator with it.
 * - ora draws the progress line, on stderr, and one plain line where there is no terminal. Maintained, typed, MIT;
 *   cli-progress has neither types nor a recent release, listr2 runs lists of tasks.
 */
const bundledIntoTheCommand = ['ora', '@marcbachmann/cel-js'];

export default defineConfig([
  {
    ...shared,
    format: 'esm',
    // What threads run is a program as well: a file of its own, beside the door that names it.
    entry: { ...entries, cli: 'src/cli/main.ts', 'workers/thread': 'src/connectors/workers/thread.ts' },
    dts,
    noExternal: bundledIntoTheCommand,
  },
  {
    ...shared,
    format: 'cjs',
    entry: entries,
    // What is loaded at need is required: jest's CommonJS has no `import()`.
    esbuildOptions(options) {
      options.supported = { ...options.supported, 'dynamic-import': false };
      options.logOverride = { 'empty-import-meta': 'silent' }; // src/connectors/workers.ts does without it there
    },
    dts,
  },
]);
