import { firstValueFrom, toArray } from 'rxjs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { boundedQueue, poolMap, runFlow, storeTo } from 'sluice';
import {
  fromQuery,
  fromTable,
  postgresCheckpoint,
  PostgresConnections,
  postgresTable,
} from 'sluice/postgres';
import { openTestDatabase, type TestDatabase } from './servers/postgres.ts';

let database: TestDatabase;
let db: PostgresConnections;
beforeAll(async () => {
  database = await openTestDatabase();
  db = new PostgresConnections({ connectionString: database.connectionString, max: 4 });
  await database.admin.query(`
    CREATE TABLE source (shop int, at timestamptz, note text, PRIMARY KEY (shop, at));
    INSERT INTO source SELECT n % 3, timestamptz '2026-01-01' + n * interval '1 microsecond', 'row ' || n
      FROM generate_series(0, 2999) AS n;
    CREATE TABLE target (note text)`);
});
afterAll(async () => {
  await db.close();
  await database.stop();
});

interface Row {
  readonly shop: number;
  readonly at: Date;
  readonly note: string;
}
const busy = (): number => db.stats.total - db.stats.idle;
const inOrder = async (): Promise<string[]> =>
  (await database.admin.query<{ note: string }>('SELECT note FROM source ORDER BY shop, at')).rows.map(
    ({ note }) => note,
  );

test('fromQuery gives all rows, and its connection back', async () => {
  const text = 'SELECT note FROM source WHERE shop = $1 ORDER BY at';
  const rows = await firstValueFrom(
    fromQuery<{ note: string }>(db, text, { values: [1], batchSize: 10 }).pipe(toArray()),
  );
  expect(rows).toHaveLength(1_000);
  expect(rows[999]).toEqual({ note: 'row 2998' });
  await expect.poll(busy).toBe(0);
  await expect(firstValueFrom(fromQuery(db, 'SELECT nothing FROM source'))).rejects.toMatchObject({
    code: '42703',
  });
  await expect.poll(busy).toBe(0);
});

test('fromQuery fetches when there is room, and ends its query at once when it is left', async () => {
  // Each row that the server makes is counted.
  await database.admin.query('CREATE SEQUENCE made');
  const release: (() => void)[] = [];
  const flow = fromQuery<{ n: string }>(db, `SELECT nextval('made') AS n FROM source`, {
    batchSize: 10,
  }).pipe(
    boundedQueue({ capacity: 5 }),
    poolMap(() => new Promise<void>((resolve) => release.push(resolve)), { concurrency: 2 }),
  );
  const run = runFlow(flow);
  await expect.poll(() => release.length).toBe(2);
  const { rows } = await database.admin.query<{ last: number }>('SELECT last_value::int AS last FROM made');
  expect(rows[0]?.last).toBeLessThanOrEqual(20);
  expect(busy()).toBe(1);
  await run.abort();
  await expect.poll(busy).toBe(0);
});

test('fromQuery keeps what the server said when it ended the connection', async () => {
  const killed = new Set<number>();
  const flow = fromQuery<{ pid: number }>(db, 'SELECT pg_backend_pid() AS pid FROM source', {
    batchSize: 10,
  }).pipe(
    poolMap(
      async ({ pid }) => {
        if (killed.has(pid)) return;
        killed.add(pid);
        await database.admin.query('SELECT pg_terminate_backend($1)', [pid]);
        await database.admin.query('SELECT pg_sleep(0.2)'); // it says so meanwhile
      },
      { concurrency: 1 },
    ),
  );
  await expect(runFlow(flow)).rejects.toMatchObject({
    message: expect.stringContaining('connection error'),
    cause: { code: '57P01' },
  });
  await expect.poll(busy).toBe(0);
});

test('fromTable gives all rows in order, by keys that JavaScript cannot hold, and holds no connection', async () => {
  const seen: string[] = [];
  const flow = fromTable<Row>(db, 'source', { key: ['shop', 'at'], pageSize: 70 }).pipe(
    poolMap(
      async (row) => {
        expect(Object.keys(row)).toEqual(['shop', 'at', 'note']);
        seen.push(row.note);
        if (seen.length === 100) expect(busy()).toBeLessThanOrEqual(1);
      },
      { concurrency: 1 },
    ),
  );
  await runFlow(flow);
  expect(seen).toEqual(await inOrder());
  const some = fromTable<Row>(db, 'source', {
    key: ['shop', 'at'],
    where: 'shop = 2 OR shop = 5 -- a comment',
    pageSize: 400,
  });
  expect(await firstValueFrom(some.pipe(toArray()))).toHaveLength(1_000);
});

test('fromTable errors at a row whose key is NULL, instead of passing over it', async () => {
  await database.admin.query('CREATE TABLE unkeyed AS SELECT 1 AS a, NULL::int AS b UNION ALL SELECT 2, 3');
  await expect(firstValueFrom(fromTable(db, 'unkeyed', { key: ['a', 'b'] }).pipe(toArray()))).rejects.toThrow(
    "fromTable: key: 'b' is NULL in a row, which has no place in the order",
  );
});

test('fromTable goes on after its checkpoint: all of it, once, in a table without a key', async () => {
  let runs = 0;
  for (let end = ''; end !== 'completed'; runs++) {
    const checkpoint = await postgresCheckpoint(db, 'copying', { ifHeld: 'takeOver' });
    const flow = fromTable<Row>(db, 'source', { key: ['shop', 'at'], pageSize: 100, checkpoint }).pipe(
      poolMap(
        async ({ note }, { index }) => {
          await new Promise((resolve) => setTimeout(resolve, index % 5 === 0 ? 6 : 0));
          return { note };
        },
        { concurrency: 8 },
      ),
      storeTo(checkpoint.sink(postgresTable<{ note: string }>(db, 'target')), {
        maxItems: 40,
        concurrency: 2,
      }),
    );
    const run = runFlow(flow);
    const timer = setTimeout(() => void run.abort(), 80 + 20 * runs);
    ({ end } = await run);
    clearTimeout(timer);
    if (end === 'completed') await checkpoint.close();
  }
  expect(runs).toBeGreaterThan(1);
  const { rows } = await database.admin.query<{ note: string }>('SELECT note FROM target');
  expect(rows.map(({ note }) => note).sort()).toEqual((await inOrder()).sort());
});

test('an input that is not the same again is an error, where a row would be lost', async () => {
  await database.admin.query(`
    UPDATE sluice_checkpoints SET position = 1, done = '[[3, 4, ["x"], ["y"]]]', cursor = '["a"]' WHERE name = 'copying'`);
  await using checkpoint = await postgresCheckpoint(db, 'copying', { ifHeld: 'takeOver' });
  const flow = checkpoint
    .source(() => ['b', 'c', 'd', 'y'], { cursor: (item) => [item] })
    .pipe(storeTo(async () => undefined));
  await expect(Promise.resolve(runFlow(flow))).rejects.toMatchObject({
    code: 'CHECKPOINT_MISMATCH',
    position: 3,
  });
});
