/**
 * A file of 2,000,000 lines of NDJSON into a table of PostgreSQL. Prints the memory (RSS) at each tenth, which is flat when
 * it grows by less than 60 MB after the first, and lines a second beside a bare `readline` loop over the same file, which
 * stores nothing, and the source alone.
 *
 *     node ndjson.mjs [lines]
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { startEmbeddedPostgres } from '../examples/support/embeddedPostgres.ts';
import { fromNdjson } from '../dist/files.js';
import { runFlow, storeTo } from '../dist/index.js';
import { PostgresConnections, postgresTable } from '../dist/postgres.js';

const lines = Number(process.argv[2] ?? 2_000_000);
const mostGrowthMb = 60;

const folder = await mkdtemp(join(tmpdir(), 'sluice-ndjson-'));
const server = await startEmbeddedPostgres({ fsync: false });
try {
  const path = join(folder, 'orders.ndjson');
  await pipeline(orders(), createWriteStream(path));

  let read = 0;
  const bare = await rate('readline and JSON.parse, stored nowhere', async () => {
    for await (const line of createInterface({ input: createReadStream(path) })) {
      JSON.parse(line);
      read++;
    }
    return read;
  });
  await rate('fromNdjson, stored nowhere', async () => (await runFlow(fromNdjson(path))).delivered, bare);

  await using db = new PostgresConnections({ connectionString: server.connectionString, max: 4 });
  await db.query(
    'CREATE TABLE orders (id bigint PRIMARY KEY, value double precision, source text, note text)',
  );
  const memory = [];
  await rate(
    'fromNdjson into PostgreSQL',
    async () => {
      const table = postgresTable(db, 'orders', { key: ['id'] });
      const run = runFlow(fromNdjson(path).pipe(storeTo(table, { maxItems: 1_000, concurrency: 2 })));
      run.stats$.subscribe(({ stored }) => {
        while (memory.length < 10 && stored >= ((memory.length + 1) * lines) / 10) {
          memory.push(process.memoryUsage.rss() / 2 ** 20);
          console.log(`${stored.toString().padStart(9)} stored, RSS ${memory.at(-1).toFixed(0)} MB`);
        }
      });
      return (await run).stored;
    },
    bare,
  );
  const [{ count }] = (await db.query('SELECT count(*) FROM orders')).rows;
  const growth = Math.max(...memory) - memory[0];
  console.log(
    `${count} rows; most RSS after the first tenth: +${growth.toFixed(0)} MB (flat: < ${mostGrowthMb})`,
  );
  process.exitCode = Number(count) === lines && growth < mostGrowthMb ? 0 : 1;
} finally {
  await server.stop();
  await rm(folder, { recursive: true });
}

function* orders() {
  let part = '';
  for (let id = 1; id <= lines; id++) {
    part += `{"id":${id},"value":${(id * 7_919) % 1_000}.5,"source":"${'ABC'[id % 3]}","note":"order number ${id}"}\n`;
    if (id % 1_000 === 0 || id === lines) {
      yield part;
      part = '';
    }
  }
}

async function rate(what, contestant, bare) {
  const start = performance.now();
  const done = await contestant();
  const seconds = (performance.now() - start) / 1_000;
  if (done !== lines) throw new Error(`${what}: ${done} of ${lines}`);
  const share = bare === undefined ? '' : `, ${(lines / seconds / bare).toFixed(2)} of the bare loop`;
  console.log(`${what}: ${Math.round(lines / seconds)} lines/s${share}`);
  return lines / seconds;
}
