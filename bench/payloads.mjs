/**
 * Memory while 1 GiB goes through four threads in payloads of 64 MiB, moved there and back: the most that the process ever
 * had, less what it had before, in payloads. Four are inside at once. `node payloads.mjs`
 */
import { execFileSync } from 'node:child_process';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { move, Piscina } from 'piscina';
import { tap } from 'rxjs';
import { fromPull, poolMap, runFlow } from '../dist/index.js';
import { transfer, WorkerThreads } from '../dist/workers.js';

const payload = 64 * 2 ** 20;
const count = 16;
const threads = 4;
const here = import.meta.url;

/** In a thread: for sluice, and for piscina alone. */
export const fill = async (bytes) => transfer(bytes.fill(7), [bytes.buffer]);
export const fillAlone = async (bytes) => move(bytes.fill(7));

async function grown(who, handling) {
  async function* payloads() {
    for (let i = 0; i < count; i++) {
      await turn();
      if (handling === 'collected') globalThis.gc();
      yield new Uint8Array(payload).fill(i);
    }
  }
  const done = (bytes) => {
    if (handling === 'freed') bytes.buffer.transfer(0);
  };
  const pool = who === 'sluice' ? new WorkerThreads(new URL(here), { threads }) : bare();
  const call = who === 'sluice' ? pool.run('fill', { transfer: ({ buffer }) => [buffer] }) : alone(pool);
  await Promise.all(Array.from({ length: threads }, () => call(new Uint8Array(1))));

  const ended = [];
  const together = async (bytes) => {
    const filled = await call(bytes);
    await new Promise((resolve) => {
      ended.push(resolve);
      if (ended.length === threads) for (const end of ended.splice(0)) end();
    });
    return filled;
  };
  globalThis.gc();
  const before = process.memoryUsage.rss();
  if (who === 'sluice') {
    await runFlow(fromPull(payloads).pipe(poolMap(together, { concurrency: threads }), tap(done)));
  } else {
    const input = payloads();
    const worker = async () => {
      for await (const bytes of { [Symbol.asyncIterator]: () => ({ next: () => input.next() }) }) {
        done(await together(bytes));
      }
    };
    await Promise.all(Array.from({ length: threads }, worker));
  }
  await pool.close();
  return (process.resourceUsage().maxRSS * 1024 - before) / payload;
}

function bare() {
  return new Piscina({
    filename: fileURLToPath(here),
    name: 'fillAlone',
    minThreads: threads,
    maxThreads: threads,
  });
}

const alone = (pool) => (bytes) => pool.run(bytes, { transferList: [bytes.buffer] });

if (isMainThread) {
  const [, , who, handling] = process.argv;
  if (who === undefined) {
    console.log('memory in payloads, 4 inside     sluice  loop by hand');
    const told = {
      freed: 'given back by buffer.transfer(0)',
      collected: 'collected before each',
      left: 'left to the collector',
    };
    for (const [kind, text] of Object.entries(told)) {
      const of = (one) =>
        execFileSync(process.execPath, ['--expose-gc', fileURLToPath(here), one, kind], { encoding: 'utf8' });
      console.log(
        `${text.padEnd(32)} ${of('sluice').trim().padStart(6)} ${of('by hand').trim().padStart(13)}`,
      );
    }
  } else console.log((await grown(who, handling)).toFixed(2));
}
