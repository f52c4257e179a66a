// Deletes what the last build left: a stale declaration in dist hides the failure of the next build.
import { rmSync } from 'node:fs';

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
