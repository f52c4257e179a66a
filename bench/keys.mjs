/**
 * `poolMap` by key with as many keys as items: what an item costs with few keys and with 1,000,000, and the heap after
 * all of them. Flat: the cost grows by less than a half, the heap by less than 20 MB. `node --expose-gc keys.mjs [keys]`
 */
import { fromPull, poolMap, runFlow } from '../dist/index.js';

const most = Number(process.argv[2] ?? 1_000_000);
const heapMb = () => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
};

async function nanosecondsAnItem(keys) {
  function* items() {
    for (let id = 0; id < keys; id++) yield id;
  }
  const pool = poolMap(async (id) => id, { concurrency: 4, maxWaiting: 100, by: (id) => `key ${id}` });
  const { elapsedMs, delivered } = await runFlow(fromPull(items).pipe(pool));
  if (delivered !== keys) throw new Error(`${delivered} of ${keys} items came out`);
  return (elapsedMs * 1e6) / keys;
}

await nanosecondsAnItem(20_000); // warm-up
const before = heapMb();
const costs = [];
for (let keys = most / 100; keys <= most; keys *= 10) {
  costs.push(await nanosecondsAnItem(keys));
  console.log(
    `${String(keys).padStart(9)} keys: ${costs.at(-1).toFixed(0)} ns an item, heap ${heapMb().toFixed(1)} MB`,
  );
}
const growth = costs.at(-1) / costs[0];
const left = heapMb() - before;
console.log(
  `\ncost × ${growth.toFixed(2)} (flat: < 1.5); heap ${left.toFixed(1)} MB above the baseline (flat: < 20)`,
);
process.exitCode = growth < 1.5 && left < 20 ? 0 : 1;
