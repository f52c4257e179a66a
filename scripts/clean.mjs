// Begins a build, and says so, since nothing else does for a minute. Deletes what the last one left: a stale declaration
// in dist hides the failure of the next build.
import { rmSync } from 'node:fs';

console.error('building …');
rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
