import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { statSync, utimesSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runFlow } from 'sluice';
import { HttpConnections } from 'sluice/http';
import { PostgresConnections, postgresTable } from 'sluice/postgres';
import { startOrdersApi, type Order } from '../../examples/orders/api.ts';
import { collectOrders, orderIds, type ProcessedOrder } from '../../examples/orders/pipeline.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../examples/support/embeddedPostgres.ts';
import { cli, example, figure, freshBuild, root, run, start } from './programs.ts';

let database: EmbeddedPostgres;
beforeAll(async () => {
  freshBuild();
  database = await startEmbeddedPostgres({ fsync: false });
}, 120_000);
afterAll(() => database.stop());

/** As on a machine without a server. */
const env = { DATABASE_URL: '' };

test('npm start runs the main job, and table and counts agree', async () => {
  const ended = await run(example, ['--seed', '7'], { env });
  expect(ended.stderr).toBe('');
  expect(ended.code).toBe(0);
  expect(ended.stdout).toContain('seed 7');
  expect(figure(ended, 'processed')).toBe(100);
  expect(figure(ended, 'stored') + figure(ended, 'rejected')).toBe(100);
  expect(figure(ended, 'retried')).toBeGreaterThan(0);
  expect(ended.stdout).toMatch(/and the table has \d+ rows/);
  expect(ended.stdout).toMatch(/limits the run|was busy half of the time/);
});

test('the same seed gives the same orders', async () => {
  const both = await Promise.all([
    run(example, ['--seed', '7'], { env }),
    run(example, ['--seed', '7'], { env }),
  ]);
  const [first, second] = both.map((ended) =>
    ['stored', 'rejected', 'retried'].map((name) => figure(ended, name)),
  );
  expect(first).toEqual(second);
});

test('Ctrl-C finishes what is inside, and the counts agree', async () => {
  // The waits of 1, 3 and 5 seconds keep it busy until the signal, and end with it.
  const { child, ended } = start(example, ['--seed', '7', '--retry-scale', '1'], { env });
  let seen = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    seen += chunk.toString();
    if (/stored [1-9]/.test(seen) && !child.killed) child.kill('SIGINT');
  });
  const end = await ended;
  expect(end.code).toBe(130);
  expect(end.stdout).toContain('check             ');
  expect(end.stdout).not.toContain('FAILED');
});

test('output that nobody reads is no reason to stop', async () => {
  const { child, ended } = start(example, ['--seed', '7'], { env });
  child.stdout?.destroy();
  expect(await ended).toMatchObject({ code: 0, stderr: '' });
});

test('npm start passes arguments for the command on to it', async () => {
  expect((await run(example, ['collect', '--help'])).stdout).toContain('Usage: sluice collect');
  const missing = await run(example, ['--input', 'orders.ndjson'], { env });
  expect(missing.code).toBe(2);
  expect(missing.stderr).toContain('--database is missing');
});

test('npm start builds what has changed, and leaves alone what has not', () => {
  const prestart = (): void => {
    const shell = process.platform === 'win32';
    expect(spawnSync('npm', ['run', 'prestart', '--silent'], { cwd: root, shell })).toMatchObject({
      status: 0,
    });
  };
  const built = statSync(cli);
  prestart();
  expect(statSync(cli).ino).toBe(built.ino);
  expect(statSync(cli).mtimeMs).toBe(built.mtimeMs);
  const now = new Date();
  utimesSync(`${root}src/cli/main.ts`, now, now);
  prestart();
  expect(statSync(cli).mtimeMs).toBeGreaterThan(built.mtimeMs);
  expect(statSync(`${root}dist/THIRD-PARTY.txt`).mtimeMs).toBeGreaterThan(now.getTime());
}, 120_000);

test('50 runs on one server, with random delays and failures: every count is exact', async () => {
  const firstSeed = Number(process.env['SLUICE_SEED'] ?? randomInt(1_000_000));
  const seeds = Array.from({ length: 50 }, (_, i) => firstSeed + i);
  console.log(`seeds ${firstSeed} to ${firstSeed + 49} (SLUICE_SEED=${firstSeed} runs them again)`);
  const startedAt = performance.now();

  await using api = await startOrdersApi({ refusing: 0.3, maxRefusals: 99, delayMs: [1, 12] });
  await using http = new HttpConnections();
  await using db = new PostgresConnections({ connectionString: database.connectionString });
  const totals = { stored: 0, rejected: 0, dead: 0, retried: 0 };

  const oneRun = async (seed: number): Promise<void> => {
    const shop = `${api.origin}/${seed}`;
    const table = `orders_${seed}`;
    await db.query(`CREATE TABLE ${table} (id int PRIMARY KEY, timestamp timestamptz, value int, source text,
      transformed_value numeric, processed_at timestamptz, worker_id int)`);
    const dead: number[] = [];
    const report = await runFlow(
      collectOrders({
        orderIds: () => orderIds(http, shop),
        fetchOrder: http.json<Order, number>((id) => `${shop}/orders/${id}`),
        table: postgresTable<ProcessedOrder>(db, table, { key: ['id'] }),
        retryScale: 0.002,
        onDead: ({ value, attempts }) => {
          expect(attempts).toBe(4);
          dead.push(value);
        },
      }),
      { strict: true },
    );
    const where = `seed ${seed}`;
    const { rows } = await db.query<{ id: number; value: number; right: boolean }>(
      `SELECT id, value, transformed_value = value * 1.5 AND worker_id BETWEEN 1 AND 3 AND processed_at IS NOT NULL
       AS right FROM ${table}`,
    );
    expect(report.itemsIn, where).toBe(100);
    expect(report.stored + report.rejected + report.dead, where).toBe(100);
    expect(report.dead, where).toBe(dead.length);
    expect(report.leftOver, where).toBe(0);
    expect(rows, where).toHaveLength(report.stored);
    expect(
      rows.every(({ value, right }) => right && value > 500),
      where,
    ).toBe(true);
    expect(
      rows.filter(({ id }) => dead.includes(id)),
      where,
    ).toEqual([]);
    for (const stage of report.stages) {
      expect(stage.in, `${where}, ${stage.name}`).toBe(
        stage.out + stage.rejected + stage.dropped + stage.dead + stage.held,
      );
    }
    for (const key of ['stored', 'rejected', 'dead', 'retried'] as const) totals[key] += report[key];
  };

  // Five at a time, so that they also disturb each other.
  for (let i = 0; i < seeds.length; i += 5) await Promise.all(seeds.slice(i, i + 5).map(oneRun));

  console.log(`${JSON.stringify(totals)} in ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
  expect(totals.stored + totals.rejected + totals.dead).toBe(5_000);
  expect(totals.dead).toBeGreaterThan(0);
  expect(totals.retried).toBeGreaterThan(500);
}, 60_000);
