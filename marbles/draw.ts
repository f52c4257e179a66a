import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { filesOf } from './gallery.ts';
import { book } from './index.ts';

const here = (path: string): string => join(import.meta.dirname, path);

const files = filesOf(book, (path) => readFileSync(here(path), 'utf8'));
rmSync(here('pictures'), { recursive: true, force: true });
mkdirSync(here('pictures'));
for (const [path, text] of files) writeFileSync(here(path), text);
console.log(`marbles/README.md, and ${files.size - 1} pictures in marbles/pictures`);
