// 100,000 items, of which one hangs; drains on SIGTERM. argv: the library's file, drainTimeoutMs.
import { writeSync } from 'node:fs';

const [, , library, drainTimeoutMs] = process.argv;
const { fromPull, poolMap, runFlow, storeTo } = await import(library);

const ITEMS = 100_000;
const HANGS = 12_345;
const stop = new AbortController();
process.once('SIGTERM', () => {
  signalledAt = performance.now();
  stop.abort();
});
let signalledAt = NaN;
let stored = 0;

function* upTo(count) {
  for (let n = 1; n <= count; n++) yield n;
}
const work = (n) => (n === HANGS ? new Promise(() => undefined) : Promise.resolve(n));
const tick = () => new Promise((resolve) => setTimeout(resolve, 5));
const store = async (items) => {
  await tick();
  const before = stored;
  stored += items.length;
  if (before < ITEMS / 2 && stored >= ITEMS / 2) {
    writeSync(1, 'half\n');
    while (!stop.signal.aborted) await tick(); // the signal may be late
  }
};

const report = await runFlow(
  fromPull(upTo(ITEMS)).pipe(
    poolMap(work, { concurrency: 8, name: 'work' }),
    storeTo(store, { maxItems: 500 }),
  ),
  { drainSignal: stop.signal, drainTimeoutMs: Number(drainTimeoutMs) },
);
const { end, left, leftOver, itemsIn, delivered } = report;
const afterMs = performance.now() - signalledAt;
writeSync(1, `${JSON.stringify({ end, left, leftOver, itemsIn, delivered, stored, afterMs })}\n`);
