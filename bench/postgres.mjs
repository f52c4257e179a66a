/**
 * Rows of five columns into PostgreSQL through the whole pipeline, beside loops by hand with the same serialiser, batches
 * and connections. Contestants take turns; each ratio is of neighbours in time. `node postgres.mjs [rows] [rounds] [title]`:
 * with a title, only the comparisons whose titles have that text.
 *
 * Exit code 1 if the pipeline is slower than the share of the loop that is given with each comparison.
 */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { boundedQueue, fromPull, poolMap, runFlow, storeTo } from '../dist/index.js';
import { PostgresConnections, postgresTable } from '../dist/postgres.js';
import { openDatabase } from '../examples/support/embeddedPostgres.ts';
import { copyText } from '../src/connectors/postgres/copyText.ts';

const [rows, rounds, only] = [
  Number(process.argv[2] ?? 1_000_000),
  Number(process.argv[3] ?? 3),
  process.argv[4] ?? '',
];
const connections = 2;
const names = ['id', 'customer', 'amount', 'paid', 'note'];
const types = ['int', 'text', 'float8', 'boolean', 'text'];

function* source() {
  for (let id = 0; id < rows; id++) {
    yield {
      id,
      customer: `customer ${id % 5_000}`,
      amount: id / 7,
      paid: id % 3 === 0,
      note: `note of order ${id}`,
    };
  }
}
function* batches(size) {
  let batch = [];
  for (const row of source()) {
    batch.push(row);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
const columns = names.map((property) => ({ property, isJson: false, convert: (value) => value }));
const columnsOf = (batch) => names.map((name) => batch.map((row) => row[name]));

const database = await openDatabase();
const db = new PostgresConnections({ connectionString: database.connectionString, max: 3 });
const pool = new pg.Pool({ connectionString: database.connectionString, max: connections });
const definition = (key) =>
  names.map((name, i) => `${name} ${types[i]}${key && i === 0 ? ' PRIMARY KEY' : ''}`).join(', ');

/** Workers that each take the next batch, as many as there are connections. */
async function byHand(size, store) {
  const all = batches(size);
  const worker = async () => {
    for (const batch of all) {
      const client = await pool.connect();
      await store(client, batch);
      client.release();
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
}

async function throughSluice(size, options, concurrency = connections) {
  const flow = fromPull(source).pipe(
    boundedQueue({ capacity: 1_000 }),
    poolMap(async (row) => row, { concurrency: 8 }),
    storeTo(postgresTable(db, 'orders', options), { maxItems: size, concurrency }),
  );
  await runFlow(flow);
}

const upsert =
  'ON CONFLICT (id) DO UPDATE SET customer = EXCLUDED.customer, amount = EXCLUDED.amount, paid = EXCLUDED.paid, note = EXCLUDED.note';
const parameters = types.map((type, i) => `$${i + 1}::${type}[]`).join(', ');
const comparisons = [
  {
    title: 'COPY, without a key ÷ one bare COPY',
    least: 0.7,
    key: false,
    async hand() {
      function* text() {
        for (const batch of batches(5_000)) yield* copyText(batch, columns, true);
      }
      const client = await pool.connect();
      await pipeline(Readable.from(text()), client.query(copyFrom('COPY orders FROM STDIN')));
      client.release();
    },
    // Large batches: each COPY has its own price at the server, about 1.6 ms.
    sluice: () => throughSluice(30_000, { via: 'copy' }, 3),
  },
  {
    title: 'COPY, with a key ÷ staging COPY + one upsert',
    least: 0.8,
    key: true,
    hand: () =>
      byHand(5_000, async (client, batch) => {
        await client.query('BEGIN');
        await client.query('CREATE TEMPORARY TABLE stage (LIKE orders) ON COMMIT DROP');
        await pipeline(
          Readable.from(copyText(batch, columns, true)),
          client.query(copyFrom('COPY stage FROM STDIN')),
        );
        await client.query(`INSERT INTO orders SELECT * FROM stage ${upsert}`);
        await client.query('COMMIT');
      }),
    sluice: () => throughSluice(5_000, { key: ['id'], via: 'copy' }),
  },
  {
    title: 'unnest, with a key ÷ an unnest loop',
    least: 0.8,
    key: true,
    hand: () =>
      byHand(500, (client, batch) =>
        client.query(`INSERT INTO orders SELECT * FROM unnest(${parameters}) ${upsert}`, columnsOf(batch)),
      ),
    sluice: () => throughSluice(500, { key: ['id'], via: 'unnest' }),
  },
];

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
let tooSlow = false;
for (const { title, least, key, hand, sluice } of comparisons.filter((each) => each.title.includes(only))) {
  const measure = async (run) => {
    await db.query('DROP TABLE IF EXISTS orders');
    await db.query(`CREATE TABLE orders (${definition(key)})`);
    const start = performance.now();
    await run();
    const seconds = (performance.now() - start) / 1_000;
    const { rows: counted } = await db.query('SELECT count(*)::int AS stored FROM orders');
    if (counted[0].stored !== rows)
      throw new Error(`${title}: ${counted[0].stored} rows are there, not ${rows}`);
    return rows / seconds;
  };
  const [ours, theirs, ratios] = [[], [], []];
  for (let round = 0; round < rounds; round++) {
    const [hands, own] =
      round % 2 === 0
        ? [await measure(hand), await measure(sluice)]
        : [await measure(sluice), await measure(hand)].reverse();
    theirs.push(hands);
    ours.push(own);
    ratios.push(own / hands);
  }
  const ratio = median(ratios);
  tooSlow ||= ratio < least;
  const thousands = (values) => `${(median(values) / 1_000).toFixed(0)}k/s`;
  console.log(
    `${title}: by hand ${thousands(theirs)}, sluice ${thousands(ours)}, ratio ${ratio.toFixed(2)} (least ${least})`,
  );
}
await pool.end();
await db.close();
await database.stop();
process.exitCode = tooSlow ? 1 : 0;
