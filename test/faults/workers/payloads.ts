// A program of its own, so that the greatest memory it ever had is its own: 1 GiB in 16 payloads through four threads.
// Says how many payloads were inside at once, and by how many its memory grew.
import { setImmediate as turn } from 'node:timers/promises';
import { tap } from 'rxjs';
import { fromPull, poolMap, runFlow, type Work } from '../../../operators/index.ts';
import { WorkerThreads } from '../../../src/connectors/workers.ts';
import type * as TaskModule from './tasks.ts';

export type Handling = 'freed' | 'collected' | 'copied' | 'kept';

export interface Growth {
  readonly inside: number;
  readonly payloads: number;
}

/** Newer than the library that the rest is compiled with. */
type Buffer = ArrayBuffer & { transfer(length: number): ArrayBuffer };
type Bytes = Uint8Array<Buffer>;

const handling = process.argv[2] as Handling;
const payload = 64 * 2 ** 20;
const count = 16;
const concurrency = 4;

let pulled = 0;
let delivered = 0;
let inside = 0;
const kept: Bytes[] = [];

async function* payloads(): AsyncGenerator<Bytes> {
  for (; pulled < count; pulled++) {
    await turn(); // as of a payload that is read: it comes when the call stack of the one before is gone
    if (handling !== 'freed') globalThis.gc?.(); // what is referenced counts, not what the collector has not come to
    inside = Math.max(inside, pulled + 1 - delivered);
    yield new Uint8Array(new ArrayBuffer(payload) as Buffer).fill(pulled);
  }
}

function deliver(bytes: Bytes): void {
  delivered++;
  if (bytes[payload - 1] !== 7) throw new Error('not filled');
  if (handling === 'freed') bytes.buffer.transfer(0);
  if (handling === 'kept') kept.push(bytes);
  if (kept.length > 2) kept.shift();
}

await using threads = new WorkerThreads<typeof TaskModule>(new URL('./tasks.ts', import.meta.url), {
  threads: concurrency,
});
const moved = { transfer: ({ buffer }: Uint8Array<ArrayBuffer>) => [buffer] };
const fill = threads.run('fill', handling === 'copied' ? {} : moved);
await Promise.all(Array.from({ length: concurrency }, () => fill(new Uint8Array(16))));

/** Ends when as many others have ended as may be at work, so that they are all inside at once. */
const ended: (() => void)[] = [];
const fillTogether: Work<Bytes, Promise<Bytes>> = async (bytes) => {
  const filled = await fill(bytes);
  await new Promise<void>((resolve) => {
    ended.push(resolve);
    if (ended.length === concurrency) for (const end of ended.splice(0)) end();
  });
  return filled as Bytes;
};

globalThis.gc?.();
const before = process.memoryUsage.rss();
await runFlow(fromPull(payloads).pipe(poolMap(fillTogether, { concurrency }), tap(deliver)));
const most = process.resourceUsage().maxRSS * 1024;
const growth: Growth = { inside, payloads: (most - before) / payload };
console.log(JSON.stringify(growth));
