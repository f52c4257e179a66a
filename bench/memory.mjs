/**
 * Heap while 1,000,000 items go through a sink that takes one turn of the event loop per 100 items. Prints the heap at
 * each tenth; it is flat when it grows by less than 20 MB after the first. `node --expose-gc memory.mjs [items]`
 */
import { setImmediate as turn } from 'node:timers/promises';
import { boundedQueue, fromPull, poolMap, runFlow, storeTo } from '../dist/index.js';

const items = Number(process.argv[2] ?? 1_000_000);
const heaps = [];
let alive = 0;
let most = 0;
let stored = 0;

function* source() {
  for (let id = 0; id < items; id++) {
    alive++;
    most = Math.max(most, alive);
    yield { id, text: `item ${id}`.padEnd(100, '.') };
  }
}

const flow = fromPull(source).pipe(
  boundedQueue({ capacity: 100, name: 'raw' }),
  poolMap(async (item) => item, { concurrency: 3 }),
  boundedQueue({ capacity: 100, name: 'processed' }),
  storeTo(
    async (batch) => {
      await turn();
      alive -= batch.length;
      stored += batch.length;
      if (Math.floor(stored / (items / 10)) > heaps.length) {
        globalThis.gc?.();
        heaps.push(process.memoryUsage().heapUsed / 2 ** 20);
        console.log(`${stored.toString().padStart(9)} stored, heap ${heaps.at(-1).toFixed(1)} MB`);
      }
    },
    { maxItems: 100 },
  ),
);
const report = await runFlow(flow);
const growth = heaps.at(-1) - heaps[0];
console.log(
  `\n${report.stored} stored in ${(report.elapsedMs / 1_000).toFixed(1)} s (${report.itemsPerSecond.toFixed(0)}/s)`,
);
console.log(
  `most alive at once: ${most}; heap growth after the first tenth: ${growth.toFixed(1)} MB (flat: < 20)`,
);
process.exitCode = growth < 20 ? 0 : 1;
