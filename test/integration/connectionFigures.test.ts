import { createServer, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { filter, firstValueFrom } from 'rxjs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  delays,
  fromPull,
  poolMap,
  runFlow,
  storeTo,
  withBreaker,
  withHedge,
  withRetry,
  withTimeout,
} from 'sluice';
import { HttpConnections, toHttp } from 'sluice/http';
import { postgresCheckpoint, PostgresConnections, postgresTable, postgresTransaction } from 'sluice/postgres';
import { openTestDatabase, type TestDatabase } from './servers/postgres.ts';

let database: TestDatabase;
let server: Server;
let answer: (response: ServerResponse) => void;
beforeAll(async () => {
  database = await openTestDatabase();
  await database.admin.query('CREATE TABLE items (id int)');
  server = createServer((request, response) => request.resume().on('end', () => answer(response)));
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
beforeEach(() => {
  answer = (response) => setTimeout(() => response.end('{"id":1}'), 10);
});
afterAll(async () => {
  server.close();
  await database.stop();
});

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one[Symbol.asyncDispose]();
});

const ids = Array.from({ length: 100 }, (_, id) => ({ id }));
const connect = (max: number): PostgresConnections => {
  const db = new PostgresConnections({ connectionString: database.connectionString, max });
  open.push(db);
  return db;
};
const http = (maxPerHost: number): HttpConnections => {
  const one = new HttpConnections({ maxPerHost });
  open.push(one);
  return one;
};
const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;

describe('the figures of a run tell who waits for a connection of PostgresConnections', () => {
  const slow = (db: PostgresConnections) =>
    storeTo(
      postgresTransaction<{ id: number }>(db, (client) => client.query('SELECT pg_sleep(0.02)')),
      { maxItems: 1, concurrency: 8, name: 'store' },
    );

  test('while it runs, and at its end; and explain names what limits the stage', async () => {
    const db = connect(2);
    const run = runFlow(fromPull(ids).pipe(slow(db)), { statsEveryMs: 20 });
    const during = await firstValueFrom(run.stats$.pipe(filter(({ delivered }) => delivered > 20)));
    expect(during.connections).toMatchObject([
      { name: 'PostgresConnections', stages: ['store'], total: 2, idle: 0, waiting: 6 },
    ]);
    expect(db.stats).toEqual({ total: 2, idle: 0, waiting: 6 });
    const report = await run;
    expect(report.connections).toMatchObject([{ total: 2, idle: 2, waiting: 0 }]);
    expect(report.connections[0]!.shortShare).toBeGreaterThan(0.8);
    expect(report.explain()).toMatch(
      /^store limits the run, at .* It waits for connections: PostgresConnections had none free \d+ % of the time, so more slots would not help\.$/,
    );
  });

  test('of which there are enough: nobody waits, and explain says nothing of them', async () => {
    const report = await runFlow(fromPull(ids).pipe(slow(connect(8))));
    expect(report.connections[0]!.shortShare).toBeLessThan(0.1);
    expect(report.explain()).not.toContain('connections');
  });

  test('what others do with them, before and after, is not in them', async () => {
    const db = connect(1);
    const others = async (): Promise<void> => {
      await Promise.all([1, 2, 3].map(() => db.query('SELECT pg_sleep(0.1)')));
    };
    await others();
    const run = runFlow(fromPull(ids).pipe(storeTo(postgresTable(db, 'items'))));
    const before = (await run).connections;
    expect(before[0]!.shortShare).toBeLessThan(0.5);
    await others();
    expect(run.report().connections).toEqual(before);
  });

  test('by way of a checkpoint, too; a plain pool tells nothing', async () => {
    const db = connect(4);
    await using checkpoint = await postgresCheckpoint(db, 'figures');
    const sink = checkpoint.sink(postgresTable<{ id: number }>(db, 'items'));
    const report = await runFlow(checkpoint.source(() => ids).pipe(storeTo(sink)));
    expect(report.connections).toMatchObject([{ name: 'PostgresConnections', stages: ['storeTo'] }]);
    expect((await runFlow(fromPull(ids).pipe(storeTo(async () => undefined)))).connections).toEqual([]);
  });
});

describe('the figures of a run tell who waits for a connection of HttpConnections', () => {
  test('through all that is wrapped around work, and for each stage that uses them', async () => {
    const api = http(2);
    const target = api.json<{ id: number }>(() => url());
    const work = withBreaker(
      withRetry(
        withTimeout(withHedge(target, { afterPercentile: 99, maxExtraShare: 0.01 }), { timeoutMs: 5_000 }),
        delays([1]),
      ),
      {
        maxFailures: 3,
        openMs: 10,
      },
    );
    const flow = fromPull(ids).pipe(
      poolMap(work, { concurrency: 8, name: 'fetch' }),
      storeTo(toHttp<{ id: number }>(api, url()), { name: 'store' }),
    );
    const report = await runFlow(flow);
    expect(report.connections).toMatchObject([
      { name: 'HttpConnections', stages: ['fetch', 'store'], idle: 2, waiting: 0 },
    ]);
    expect(report.connections[0]!.shortShare).toBeGreaterThan(0.8);
    expect(report.explain()).toContain('It waits for connections: HttpConnections had none free');
  });

  type Item = (typeof ids)[number];
  test.each([
    ['json', (api: HttpConnections) => api.json((_: Item) => url())],
    ['text', (api: HttpConnections) => api.text((_: Item) => url())],
    ['send', (api: HttpConnections) => api.send((_: Item) => url())],
    ['answer', (api: HttpConnections) => api.answer((_: Item) => url())],
  ])('%s tells what it uses', async (_, make) => {
    const work = make(http(8)) as (item: Item) => Promise<unknown>;
    const report = await runFlow(fromPull(ids).pipe(poolMap(work, { concurrency: 8 })));
    expect(report.connections).toMatchObject([{ stages: ['poolMap'] }]);
    expect(report.connections[0]!.shortShare).toBeLessThan(0.1);
  });

  test('but not that they wait for a host that asked for a pause', async () => {
    let asked = 0;
    answer = (response) => {
      if (++asked === 1) response.writeHead(429, { 'retry-after': '1' });
      response.end('{"id":1}');
    };
    const api = http(8);
    const work = withRetry(
      api.json<{ id: number }>(() => url()),
      delays([1]),
    );
    const run = runFlow(fromPull(ids).pipe(poolMap(work, { concurrency: 4 })), { statsEveryMs: 20 });
    await expect.poll(() => run.report().connections).toMatchObject([{ waiting: 3 }]); // one waits for its retry
    const report = await run;
    expect(report.elapsedMs).toBeGreaterThan(900);
    expect(report.connections[0]!.shortShare).toBeLessThan(0.1);
  });
});
