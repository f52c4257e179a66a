import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { poolMap, runFlow, type FlowRun } from 'sluice';
import { fromNotifications, fromTable, PostgresConnections, type CatchUp } from 'sluice/postgres';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../../examples/support/embeddedPostgres.ts';
import { FaultProxy, type Faults } from '../house/faultProxy.ts';

let server: EmbeddedPostgres;
beforeAll(async () => {
  server = await startEmbeddedPostgres({ fsync: false });
});
afterAll(async () => {
  await server.stop();
});

interface Row {
  readonly id: number;
}

/** When the table is read: once a connection listens, before it does (sabotaged), or never (sabotaged). */
type Catching = 'afterListen' | 'beforeListen' | 'never';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Somebody writes rows all the time, and a flow is told of each; between it and the server is a proxy. */
class Told {
  static #count = 0;
  readonly name: string;
  readonly proxy: FaultProxy;
  readonly db: PostgresConnections;
  readonly seen = new Set<number>();
  readonly losses: unknown[] = [];
  readonly run: FlowRun;
  #admin: pg.Client;
  #writing = true;
  readonly #writer: Promise<void>;

  static async start(catching: Catching, keepAliveMs = 250): Promise<Told> {
    const { hostname, port } = new URL(server.connectionString);
    const proxy = await FaultProxy.start({ host: hostname, port: Number(port) });
    const admin = await connect();
    const name = `told_${++Told.#count}`;
    await admin.query(
      `CREATE TABLE ${name} (id int PRIMARY KEY);
       CREATE OR REPLACE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql
         AS 'BEGIN PERFORM pg_notify(TG_TABLE_NAME, NEW.id::text); RETURN NULL; END';
       CREATE TRIGGER told AFTER INSERT ON ${name} FOR EACH ROW EXECUTE FUNCTION tell()`,
    );
    const told = new Told(name, proxy, admin, catching, keepAliveMs);
    await told.#prepare();
    return told;
  }

  private constructor(
    name: string,
    proxy: FaultProxy,
    admin: pg.Client,
    catching: Catching,
    keepAliveMs: number,
  ) {
    this.name = name;
    this.proxy = proxy;
    this.#admin = admin;
    this.db = new PostgresConnections({
      connectionString: proxy.through(server.connectionString),
      connectTimeoutMs: 1_000,
      statementTimeoutMs: 1_000,
      pool: { application_name: this.name },
    });
    /** What the table held when the connection was lost for the first time. */
    let before: readonly Row[] | undefined;
    const catchUp: CatchUp<Row> = () =>
      catching === 'afterListen'
        ? fromTable<Row>(this.db, this.name, { key: ['id'], pageSize: 500 })
        : (before ?? []);
    const flow = fromNotifications(this.db, this.name, {
      decode: (payload) => ({ id: Number(payload) }),
      keepAliveMs,
      onLost: ({ error }) => {
        this.losses.push(error);
        before ??= [...this.written].map((id) => ({ id }));
      },
      ...(catching === 'never' ? { overflow: 'dropOldest' as const } : { catchUp }),
    });
    this.run = runFlow(flow.pipe(poolMap(async ({ id }) => void this.seen.add(id), { concurrency: 1 })));
    this.run.then(undefined, () => undefined);
    this.#writer = this.#write();
  }

  /** Rows that were committed. */
  readonly written = new Set<number>();

  async #prepare(): Promise<void> {
    await expect.poll(() => this.seen.size, { timeout: 20_000 }).toBeGreaterThan(20);
  }

  /** Writes one row after the other, and goes on after an error; a row without an answer is not counted. */
  async #write(): Promise<void> {
    for (let id = 1; this.#writing; id++) {
      try {
        await this.#admin.query(`INSERT INTO ${this.name} VALUES ($1)`, [id]);
        this.written.add(id);
        await pause(1);
      } catch {
        await pause(20);
        this.#admin = await connect().catch(() => this.#admin);
      }
    }
  }

  /** Process ids of the connections that listen. */
  async listeners(): Promise<number[]> {
    const { rows } = await this.#admin.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity
        WHERE application_name = $1 AND (query LIKE 'LISTEN%' OR query LIKE '%pg_listening_channels%')`,
      [this.name],
    );
    return rows.map(({ pid }) => pid);
  }

  async terminate(): Promise<void> {
    const [pid] = await this.listeners();
    await this.#admin.query('SELECT pg_terminate_backend($1)', [pid]);
  }

  /** Nobody can listen from `fault` on, until its loss was told of and rows have been written that nobody heard. */
  async unheard(fault: () => unknown, faults: Faults = { atConnect: 'reset' }): Promise<void> {
    const losses = this.losses.length;
    this.proxy.set(faults);
    await fault();
    await expect.poll(() => this.losses.length).toBeGreaterThan(losses);
    const written = this.written.size; // one more may have been written before the loss
    await expect.poll(() => this.written.size).toBeGreaterThan(written + 1);
    this.proxy.heal();
  }

  /** Writes on for a while, and stops. How many rows have not come by then, and in that time more. */
  async lost(withinMs = 2_000): Promise<number> {
    await pause(300);
    this.#writing = false;
    await this.#writer;
    const missing = (): number => [...this.written].filter((id) => !this.seen.has(id)).length;
    for (let ms = 0; ms < withinMs && missing() > 0; ms += 50) await pause(50);
    return missing();
  }

  async close(): Promise<void> {
    this.#writing = false;
    this.proxy.heal();
    await this.run.abort().then(undefined, () => undefined);
    await this.#writer;
    await this.db.close();
    await this.proxy.stop();
    await this.#admin.end();
  }
}

async function connect(): Promise<pg.Client> {
  const client = new pg.Client(server.connectionString);
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

const all: Told[] = [];
afterEach(async () => {
  for (const one of all.splice(0)) await one.close();
});
const start = async (...settings: Parameters<typeof Told.start>): Promise<Told> => {
  const told = await Told.start(...settings);
  all.push(told);
  return told;
};

/** After the fault, it is told of new rows again. */
async function toldAgain(told: Told): Promise<void> {
  const last = Math.max(...told.written);
  await expect.poll(() => Math.max(...told.seen), { timeout: 20_000 }).toBeGreaterThan(last);
}

const faults = {
  'F11: the listening backend is ended, five times': async (told: Told) => {
    for (let times = 1; times <= 5; times++) {
      await expect.poll(async () => (await told.listeners()).length).toBe(1);
      await told.unheard(() => told.terminate());
      await toldAgain(told);
    }
  },
  'F14: the server stops at once, and starts again': async (told: Told) => {
    await told.unheard(async () => {
      await server.crash();
      await pause(500);
      await server.restart();
    });
    await toldAgain(told);
  },
  'F17: a black hole both ways': async (told: Told) => {
    await told.unheard(() => pause(1_500), { toServer: { blackHole: true }, toClient: { blackHole: true } });
    await toldAgain(told);
  },
  'F17: a black hole for what comes back': async (told: Told) => {
    await told.unheard(() => pause(1_500), { toClient: { blackHole: true } });
    await toldAgain(told);
  },
  'connections are reset': async (told: Told) => {
    await told.unheard(() => told.proxy.reset());
    await toldAgain(told);
  },
} satisfies Record<string, (told: Told) => Promise<void>>;

describe.each(Object.entries(faults))('a source of notifications. %s', (_, fault) => {
  test('no row is lost, and one connection listens', async () => {
    const told = await start('afterListen');
    await fault(told);
    expect(await told.lost(20_000)).toBe(0);
    expect(told.losses.length).toBeGreaterThan(0);
    expect(told.losses.length).toBeLessThan(30); // no storm
    await expect.poll(async () => (await told.listeners()).length).toBe(1);
    await told.run.drain();
    await expect.poll(async () => (await told.listeners()).length).toBe(0);
  });

  test('sabotaged twin: without a catchUp, rows are lost', async () => {
    const told = await start('never');
    await fault(told);
    expect(await told.lost()).toBeGreaterThan(0);
  });

  test('sabotaged twin: with a table that was read before LISTEN, rows are lost', async () => {
    const told = await start('beforeListen');
    await fault(told);
    expect(await told.lost()).toBeGreaterThan(0);
  });
});

test('F17: a server that is gone without a word is noticed by twice keepAliveMs', async () => {
  const times: number[] = [];
  for (let round = 0; round < 5 && Math.min(...times) >= 500; round++) {
    const told = await start('afterListen', 200);
    const before = told.losses.length; // on a busy machine it may have been given up once already
    told.proxy.set({ toClient: { blackHole: true } });
    const since = performance.now();
    await expect.poll(() => told.losses.length, { interval: 5 }).toBeGreaterThan(before);
    times.push(performance.now() - since);
    expect(told.losses[before]).toMatchObject({ code: 'TIMEOUT', timeoutMs: 200 });
  }
  expect(Math.min(...times)).toBeLessThan(500); // the best of five: the machine may be busy
});

test('sabotaged twin: never asked, it is not noticed, and rows are lost', async () => {
  const told = await start('afterListen', 3_600_000);
  const before = told.losses.length;
  told.proxy.set({ toServer: { blackHole: true }, toClient: { blackHole: true } });
  await expect.poll(() => told.proxy.dead).toBeGreaterThan(0); // it was told of a row, in vain
  await pause(500);
  told.proxy.heal();
  expect(await told.lost()).toBeGreaterThan(0);
  expect(told.losses).toHaveLength(before);
});
