// Draws the picture book: marbles/pictures and marbles/README.md. The book says `sluice`, and gets the sources, as tests do.
import { fileURLToPath } from 'node:url';
import { loadConfigFromFile, runnerImport } from 'vite';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

const { config } = await loadConfigFromFile({ command: 'serve', mode: 'test' }, at('vitest.config.ts'));
await runnerImport(at('marbles/draw.ts'), { resolve: config.resolve, logLevel: 'warn' });
