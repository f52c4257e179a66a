/**
 * Collects 100 orders from an HTTP API that answers late and sometimes not at all, and stores the large ones in
 * PostgreSQL. Nothing needs to be installed: it starts both itself.
 *
 *     npm start                                        the orders of a random seed
 *     npm start -- --seed 42 --retry-scale 1           the same orders each time, with waits of 1, 3 and 5 seconds
 *     npm start -- collect --input orders.ndjson …     your own input instead: the `sluice` command (--help)
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { runFlow, type FlowReport, type FlowStats } from 'sluice';
import { HttpConnections } from 'sluice/http';
import { PostgresConnections, postgresTable } from 'sluice/postgres';
import { openDatabase } from '../support/embeddedPostgres.ts';
import { startOrdersApi, type Order } from './api.ts';
import { collectOrders, orderIds, type ProcessedOrder } from './pipeline.ts';
import { startProgress } from './progress.ts';

async function collectDemoOrders(args: string[]): Promise<number> {
  const { seed, retryScale } = options(args);
  using progress = startProgress();

  // Ctrl-C takes in no more, and finishes what is inside.
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());

  progress.say(`seed ${seed} (--seed ${seed} gives the same orders, delays and failures)`);
  await using api = await startOrdersApi();
  await using http = new HttpConnections();
  const shop = `${api.origin}/${seed}`;
  progress.say(`orders API at ${shop}/orders`);

  await using database = await startDatabase();
  await using db = new PostgresConnections({ connectionString: database.connectionString });
  await using table = await createTable(db, seed);
  progress.say(`PostgreSQL is ready: table ${table.name}`);

  const orders = collectOrders({
    orderIds: () => orderIds(http, shop),
    fetchOrder: http.json<Order, number>((id) => `${shop}/orders/${id}`),
    table: postgresTable<ProcessedOrder>(db, table.name, { key: ['id'] }),
    retryScale,
    onDead: ({ value, attempts }) => progress.say(`order ${value}: no answer in ${attempts} attempts`),
  });
  const run = runFlow(orders, { drainSignal: stop.signal, drainTimeoutMs: 5_000, statsEveryMs: 100 });
  const watching = run.stats$.subscribe((stats) => progress.show(inWords(stats)));
  const report = await run.finally(() => watching.unsubscribe());
  progress.done();

  const { rows } = await db.query<{ count: string }>(`SELECT count(*) FROM ${table.name}`);
  return conclude(report, Number(rows[0]?.count));
}

function options(args: string[]): { seed: number; retryScale: number } {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: 'string', default: String(randomInt(1_000_000)) },
      'retry-scale': { type: 'string', default: '0.01' },
    },
  });
  const seed = Number(values.seed);
  const retryScale = Number(values['retry-scale']);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Error('--seed must be a whole number of 0 or more');
  if (!(retryScale >= 0)) throw new Error('--retry-scale must be a number of 0 or more, such as 0.01');
  return { seed, retryScale };
}

async function startDatabase() {
  const database = await openDatabase();
  return { ...database, [Symbol.asyncDispose]: () => database.stop() };
}

/** A table of this run's own, which goes when the run is over. */
async function createTable(db: PostgresConnections, seed: number) {
  const name = `sluice_orders_${seed}`;
  await db.query(`
    CREATE TABLE ${name} (
      id int PRIMARY KEY,
      timestamp timestamptz NOT NULL,
      value int NOT NULL,
      source text NOT NULL,
      transformed_value numeric NOT NULL,
      processed_at timestamptz NOT NULL,
      worker_id int NOT NULL
    )`);
  return { name, [Symbol.asyncDispose]: () => db.query(`DROP TABLE ${name}`).then(() => undefined) };
}

const inWords = ({ itemsIn, stored, rejected, retried }: FlowStats): string =>
  `read ${itemsIn} · stored ${stored} · rejected ${rejected} · retried ${retried}`;

/** Prints what came of it; exit code 0 if every order that went in is accounted for, and the table agrees. */
function conclude(report: FlowReport, rows: number): number {
  const { itemsIn, stored, rejected, dead, retried, elapsedMs, itemsPerSecond } = report;
  const agrees = itemsIn === stored + rejected + dead && rows === stored;
  const figures = {
    processed: itemsIn,
    stored,
    rejected,
    'given up': dead,
    retried,
    elapsed: `${(elapsedMs / 1_000).toFixed(2)} s`,
    'items per second': itemsPerSecond.toFixed(0),
    check: agrees
      ? `${itemsIn} = ${stored} stored + ${rejected} rejected + ${dead} given up, and the table has ${rows} rows`
      : `FAILED: ${itemsIn} in, ${stored} stored, ${rejected} rejected, ${dead} given up; the table has ${rows} rows`,
  };
  for (const [name, figure] of Object.entries(figures)) console.log(`${name.padEnd(18)}${figure}`);
  console.log(report.explain());
  if (report.end !== 'completed') console.log('Stopped before the last order; what was read is finished.');
  if (!agrees) return 1;
  return report.end === 'completed' ? 0 : 130;
}

const args = process.argv.slice(2);
if (args.some((arg) => /^(collect|--input|--help|--version)\b/.test(arg))) {
  await import(new URL('../../dist/cli.js', import.meta.url).href);
} else {
  process.exitCode = await collectDemoOrders(args).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  });
}
