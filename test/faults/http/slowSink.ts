/**
 * A program that stores a large body, slowly. It says when it has stored a tenth, and then waits for a word; at the end it
 * says by how much its memory has grown since. With the argument `eager` it reads the body as fast as it comes.
 */
import { fromPull, runFlow, storeTo } from '../../../operators/index.ts';
import { HttpConnections } from '../../../src/connectors/http.ts';

const [url = '', bytes = '', mode] = process.argv.slice(2);
const tenth = Number(bytes) / 10;
await using http = new HttpConnections();

async function* eager(): AsyncGenerator<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of http.bytes(url)) chunks.push(chunk);
  yield* chunks;
}

const rss = (): number => {
  globalThis.gc?.();
  return process.memoryUsage.rss();
};
let [stored, batches, start, most] = [0, 0, 0, 0];
const told = new Promise((resolve) => process.once('message', resolve));
const source = fromPull<Uint8Array>((signal) => (mode === 'eager' ? eager() : http.bytes(url, { signal })));
const sink = async (chunks: readonly Uint8Array[]): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, 20));
  const before = stored;
  for (const { length } of chunks) stored += length;
  if (before < tenth && stored >= tenth) {
    start = rss();
    process.send!({ stored });
    await told;
  }
  if (++batches % 20 === 0 && start > 0) most = Math.max(most, rss() - start);
};
const { end } = await runFlow(source.pipe(storeTo(sink, { maxItems: 16 })));
process.send!({ end, stored, grownBy: most });
process.disconnect();
