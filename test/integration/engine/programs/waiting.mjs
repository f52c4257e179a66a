// An item that fails twice, and a policy of 300 ms, 300 ms and 3 s in all. argv: the library's file. Says how long it
// took on the clock that never goes back, and how far the wall clock was set meanwhile.
import { writeFileSync, writeSync } from 'node:fs';

const [, , library] = process.argv;
const { delays, fromPull, poolMap, runFlow, withRetry } = await import(library);

const wallAt = Date.now();
const startedAt = performance.now();
const attemptsAt = [];
const work = withRetry(
  async (n, { attempt }) => {
    attemptsAt.push(performance.now() - startedAt);
    if (attempt === 1) writeFileSync(process.env.FAKETIME_TIMESTAMP_FILE, process.env.SET_TO); // while the wait runs
    if (attempt < 3) throw new Error('busy');
    return n;
  },
  delays([300, 300], { maxElapsedMs: 3_000 }),
);
let outcome = 'delivered';
await runFlow(fromPull([1]).pipe(poolMap(work, { concurrency: 1 }))).catch((error) => {
  outcome = String(error);
});
writeSync(1, JSON.stringify({ outcome, attemptsAt, wallMs: Date.now() - wallAt }));
