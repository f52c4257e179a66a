// A source that never waits, through one kind of work. argv: the library's file, the kind, how many items. Says how long
// the event loop had to wait for its turn: by the clock, as Node measures it, and in processor time of this thread
// between two ticks of a timer of 10 ms, which is ours alone, however busy the machine is.
import { writeSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { of } from 'rxjs';

const [, , library, kind, count] = process.argv;
const { boundedQueue, filterOr, fromPull, poolMap, runFlow, storeTo } = await import(library);
const items = Number(count);

function* upTo(n) {
  for (let i = 1; i <= n; i++) yield i;
}
async function* soon(n) {
  for (let i = 1; i <= n; i++) yield i;
}
const noted = () => Promise.resolve();
const flows = {
  array: () => fromPull(upTo(items)).pipe(poolMap((n) => [n], { concurrency: 4 })),
  observable: () => fromPull(upTo(items)).pipe(poolMap((n) => of(n), { concurrency: 4 })),
  promise: () => fromPull(upTo(items)).pipe(poolMap((n) => Promise.resolve(n), { concurrency: 4 })),
  'one item of many results': () => fromPull([1]).pipe(poolMap(() => upTo(items), { concurrency: 1 })),
  'asynchronous source': () =>
    fromPull(soon(items)).pipe(poolMap((n) => Promise.resolve(n), { concurrency: 4 })),
  failure: () =>
    fromPull(upTo(items)).pipe(
      poolMap(() => Promise.reject(new RangeError()), { concurrency: 4, onFailure: noted }),
    ),
  chain: () =>
    fromPull(upTo(items)).pipe(
      boundedQueue({ capacity: 100 }),
      filterOr((n) => n > 0),
      poolMap((n) => Promise.resolve(n), { concurrency: 4, by: (n) => n % 10, maxWaiting: 16 }),
      storeTo(noted, { maxItems: 100 }),
    ),
};

const busy = [];
let last = process.threadCpuUsage();
const tick = () => {
  const { user, system } = process.threadCpuUsage(last);
  last = process.threadCpuUsage();
  busy.push((user + system) / 1_000);
};
const timer = setInterval(tick, 10);
const waited = monitorEventLoopDelay({ resolution: 10 });
waited.enable();
const startedAt = performance.now();
const { end, delivered, dead } = await runFlow(flows[kind]());
const elapsedMs = performance.now() - startedAt;
waited.disable();
clearInterval(timer);
tick();

const busyMs = busy.reduce((sum, ms) => sum + ms, 0);
busy.sort((a, b) => a - b);
const of99 = Math.max(0, Math.ceil(busy.length * 0.99) - 1);
const said = {
  end,
  done: delivered + dead,
  elapsedMs,
  busyMs,
  ticks: busy.length,
  busy99Ms: busy[of99],
  busyMostMs: busy.at(-1),
  delay99Ms: waited.percentile(99) / 1e6,
};
writeSync(1, `${JSON.stringify(said)}\n`);
