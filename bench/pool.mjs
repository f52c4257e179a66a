/**
 * Overhead of the pool, against the hand-written loop and RxJS's mergeMap: each contestant in its own process, rounds
 * interleaved, ratios within a round. Prints the medians. `node pool.mjs [rounds]`
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const [, script, name, count, concurrency] = process.argv;
if (name !== undefined && !/^\d+$/.test(name)) await measure();
else compare(Number(name ?? 5));

/** One contestant, in this process: nanoseconds an item, the median of five runs after a warm-up. */
async function measure() {
  const { contestants } = await import('./contestants.mjs');
  const run = contestants[name];
  const [items, workers] = [Number(count), Number(concurrency)];
  const slow = name === 'rxjs mergeMap' && items > 50_000;
  for (let i = 0; i < 3; i++) await run(Math.min(items, 20_000), workers);
  const times = [];
  for (let i = 0; i < (slow ? 1 : 5); i++) {
    const start = process.hrtime.bigint();
    await run(items, workers);
    times.push(Number(process.hrtime.bigint() - start) / items);
  }
  console.log(median(times));
}

function compare(rounds) {
  const cost = (...args) =>
    Number(execFileSync(process.execPath, [fileURLToPath(new URL(script, 'file:')), ...args.map(String)]));
  const row = (label, ...cells) =>
    console.log(label.padEnd(26), ...cells.map((cell) => String(cell).padStart(14)));

  console.log(
    '200,000 resolved promises through a pool; ns an item, and ÷ the hand-written loop of the same round\n',
  );
  row('', 'concurrency', 'ns/item', '÷ limit');
  for (const concurrency of [3, 64]) {
    const rows = { limit: [], sluice: [], 'sluice, by runFlow': [] };
    for (let round = 0; round < rounds; round++) {
      const limit = cost('limit', 200_000, concurrency);
      for (const name of Object.keys(rows)) {
        const ns = name === 'limit' ? limit : cost(name, 200_000, concurrency);
        rows[name].push({ ns, ratio: ns / limit });
      }
    }
    for (const [name, results] of Object.entries(rows)) {
      const ns = median(results.map((result) => result.ns));
      row(name, concurrency, ns.toFixed(0), median(results.map((result) => result.ratio)).toFixed(2));
    }
    const ours = median(rows.sluice.map((result) => result.ns));
    const stock = cost('rxjs mergeMap', 200_000, concurrency);
    row(
      'rxjs mergeMap',
      concurrency,
      stock.toFixed(0),
      (stock / median(rows.limit.map((r) => r.ns))).toFixed(0),
    );
    console.log(`sluice is ${(stock / ours).toFixed(0)}× faster than mergeMap here\n`);
  }

  console.log('growth: ns an item at 10,000 and at 1,000,000 items, concurrency 3');
  for (const name of ['limit', 'sluice']) {
    const few = median(Array.from({ length: rounds }, () => cost(name, 10_000, 3)));
    const many = median(Array.from({ length: rounds }, () => cost(name, 1_000_000, 3)));
    row(name, few.toFixed(0), many.toFixed(0), (many / few).toFixed(2));
  }
}

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
