// Takes longer to load than a call may take, and longer than a thread may be away.
import { setTimeout as sleep } from 'node:timers/promises';
import { trouble } from './tasks.ts';

await sleep(2_000);

export default trouble;
