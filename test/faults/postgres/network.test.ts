import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import pg from 'pg';
import { delays, type RetryPolicy } from 'sluice';
import { postgresCheckpoint, PostgresConnections } from 'sluice/postgres';
import { openTestDatabase, type TestDatabase } from '../../integration/servers/postgres.ts';
import type { Faults } from '../house/faultProxy.ts';
import { allOnce } from '../house/stored.ts';
import { patient, Rig, type Guard, type RigSettings } from './Rig.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(async () => {
  await database.stop();
});

const rigs: Rig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});

async function open(settings?: RigSettings): Promise<Rig> {
  const rig = await Rig.open(database.admin, database.connectionString, settings);
  rigs.push(rig);
  return rig;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('F15: the server commits, and its answer is lost', () => {
  /** Loses the answers to some of the statements that commit. */
  async function withLostReplies(guard: Guard): Promise<Rig> {
    const rig = await open({ guard });
    const commits = guard === 'checkpoint' ? 'COMMIT' : 'INSERT INTO';
    const run = rig.run();
    for (let i = 1; i <= 5; i++) {
      await expect.poll(() => rig.confirmed, { interval: 1, timeout: 20_000 }).toBeGreaterThan(i * 1_000);
      rig.proxy.loseReplies(commits, 2);
    }
    await run;
    expect(rig.proxy.lost).toBeGreaterThanOrEqual(5);
    expect(rig.failures.length).toBeGreaterThanOrEqual(5);
    return rig;
  }

  test.each(['checkpoint', 'key'] as const)(
    'with a %s, the batch is tried again and is there once',
    async (guard) => {
      const rig = await withLostReplies(guard);
      expect(new Set(rig.failures.map(({ kind }) => kind))).toEqual(new Set(['retry']));
      expect(await rig.stored()).toEqual(allOnce);
    },
  );

  test('sabotaged twin: with neither, it is there twice', async () => {
    const rig = await withLostReplies('nothing');
    expect((await rig.stored()).twice).toBeGreaterThan(0);
  });
});

describe('F15: the last word of a checkpoint', () => {
  async function lastWord(replies: number): Promise<Rig> {
    const rig = await open({ items: 100 });
    await rig.run();
    rig.proxy.loseReplies('sluice_checkpoints', replies);
    return rig;
  }

  test('is said again where its answer is lost, and another one can have it at once', async () => {
    const rig = await lastWord(2);
    await rig.close();
    expect(rig.proxy.lost).toBe(2);
    await using db = new PostgresConnections({ connectionString: database.connectionString, max: 2 });
    await using checkpoint = await postgresCheckpoint(db, rig.name, { ifHeld: 'fail' });
    expect(checkpoint.position).toBe(100);
  });

  test('sabotaged twin: where all answers are lost, closing it fails', async () => {
    const rig = await lastWord(100);
    await expect(rig.checkpoint!.close()).rejects.toThrow();
    rig.proxy.heal();
    await rig.db.close();
    await rig.proxy.stop();
    rigs.splice(0);
  });
});

describe('F17: a black hole', () => {
  const timeouts = { statementTimeoutMs: 500, connectTimeoutMs: 1_000, acquireTimeoutMs: 5_000 };
  /** What the connector gives the server besides: a second to answer, and a second to end the session. */
  const graceMs = 2_000;
  const holes: Readonly<Record<string, Faults>> = {
    'both ways': { toServer: { blackHole: true }, toClient: { blackHole: true }, atConnect: 'blackHole' },
    'replies only': { toClient: { blackHole: true } },
    'at connect': { atConnect: 'blackHole' },
  };

  /** Falls into the hole in the middle of the run, for three seconds, and runs on for so many milliseconds at most. */
  async function swallowed(
    faults: Faults,
    connections: RigSettings['connections'],
    withinMs: number,
  ): Promise<Rig> {
    const rig = await open({ connections: { ...timeouts, ...connections } });
    const run = rig.run();
    await expect.poll(() => rig.confirmed, { interval: 1, timeout: 20_000 }).toBeGreaterThan(2_000);
    rig.proxy.set(faults);
    // Connections that are there already get by a hole at connect.
    if (faults.toClient === undefined) rig.proxy.reset();
    else await expect.poll(() => rig.proxy.dead).toBeGreaterThanOrEqual(4); // of each batch that is being stored
    await pause(3_000);
    rig.proxy.heal();
    const over = await Promise.race([run.then(() => true), pause(withinMs).then(() => false)]);
    if (!over) await run.abort();
    return rig;
  }

  test.each(Object.entries(holes))(
    '%s: each attempt ends in time, and nothing is lost or stored twice',
    async (_, faults) => {
      const rig = await swallowed(faults, {}, 60_000);
      expect(await rig.stored()).toEqual(allOnce);
      expect(rig.failures.length).toBeGreaterThan(0);
      const longest =
        timeouts.acquireTimeoutMs + timeouts.connectTimeoutMs + timeouts.statementTimeoutMs + graceMs;
      for (const { kind, afterMs } of rig.failures) {
        expect(kind).toBe('retry');
        expect(afterMs).toBeLessThan(2 * longest);
      }
      // Those that fell into it were destroyed, and others made.
      expect(rig.proxy.attempts).toBeGreaterThan(6);
      await rig.close();
      await expect.poll(() => rig.backends(), { timeout: 30_000 }).toBe(0);
    },
  );

  test('sabotaged twin: without deadlines the run does not end', async () => {
    const rig = await swallowed(holes['replies only']!, { statementTimeoutMs: 600_000 }, 6_000);
    expect((await rig.stored()).lost).toBeGreaterThan(0);
  });
});

describe('F18: 200 ms of latency, give or take 100, and 50 KB a second', () => {
  const maxItems = 50;
  /** In the pool, in four batches and the next, and pulled. */
  const bound = 8 + 5 * maxItems + 1;
  const slow: Faults = {
    toServer: { latencyMs: 200, jitterMs: 100, bytesPerSecond: 50_000 },
    toClient: { latencyMs: 200, jitterMs: 100, bytesPerSecond: 50_000 },
  };

  async function slowly(pushed: boolean): Promise<{ rig: Rig; ratio: number }> {
    const guard = 'key';
    // The best of three: the machine may be busy.
    let fastMs = Infinity;
    for (let round = 0; round < 3; round++) {
      const fast = await open({ guard, items: 1_000 });
      fastMs = Math.min(fastMs, (await fast.run({ maxItems })).elapsedMs);
    }
    const rig = await open({ guard, items: 1_000 });
    rig.proxy.set(slow);
    const report = await rig.run({ maxItems, pushed });
    return { rig, ratio: report.elapsedMs / fastMs };
  }

  test('slows the source down: no more items are inside, and nothing is lost or stored twice', async () => {
    const { rig, ratio } = await slowly(false);
    expect(ratio).toBeGreaterThan(3);
    expect(rig.inside).toBeLessThanOrEqual(bound);
    expect(await rig.stored()).toEqual(allOnce);
  });

  test('sabotaged twin: pushed in, all of them are inside', async () => {
    const { rig } = await slowly(true);
    expect(rig.inside).toBeGreaterThan(bound);
  });
});

describe('F19: no connection to be had', () => {
  /** A role that may have two connections, of which somebody else has both for a second, or until then. */
  async function usedUp(retry: RetryPolicy, until: (storms: () => boolean) => Promise<void>): Promise<Rig> {
    const role = `two_${Date.now()}`;
    const { rows } = await database.admin.query<{ schema: string }>('SELECT current_schema() AS schema');
    const { schema } = rows[0]!;
    await database.admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'two' CONNECTION LIMIT 2`);
    await database.admin.query(`GRANT ALL ON SCHEMA ${schema} TO ${role}`);
    const url = new URL(database.connectionString);
    [url.username, url.password] = [role, 'two'];
    const rig = await Rig.open(database.admin, url.href, { guard: 'key', connections: { max: 2 } });
    await database.admin.query(`GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO ${role}`);
    const others = [new pg.Client(url.href), new pg.Client(url.href)];
    for (const other of others) await other.connect();
    const startedAt = performance.now();
    const run = rig.run({ retry });
    // More than four batches ask for: each the first steps of the back-off, and then every 300 ms.
    await until(() => rig.failures.length > 4 * (6 + (performance.now() - startedAt) / 300));
    expect(rig.confirmed).toBe(0);
    for (const other of others) await other.end();
    await run;
    await rig.close();
    await database.admin.query(`DROP OWNED BY ${role}`);
    await database.admin.query(`DROP ROLE ${role}`);
    return rig;
  }

  test('of the server: waits with back-off, one attempt to connect a batch and step, and stores all once', async () => {
    const rig = await usedUp(patient, async (storms) => {
      await pause(1_000);
      expect(storms()).toBe(false);
    });
    expect(new Set(rig.failures.map(({ error }) => (error as { code?: unknown }).code))).toEqual(
      new Set(['53300']),
    );
    expect(rig.proxy.attempts).toBeLessThanOrEqual(rig.failures.length + 2);
    expect(await rig.stored()).toEqual(allOnce);
  });

  test('sabotaged twin: without back-off it is a storm', async () => {
    await usedUp(delays(Array.from({ length: 100_000 }, () => 0)), async (storms) => {
      await expect.poll(storms, { timeout: 30_000 }).toBe(true);
    });
  });

  /** Somebody else has all connections of the pool for a second. */
  async function borrowed(retry: RetryPolicy): Promise<Rig> {
    const rig = await open({ guard: 'key', connections: { max: 3, acquireTimeoutMs: 200 } });
    const others = [1, 2, 3].map(() => rig.db.withClient(() => pause(1_000)));
    await pause(0);
    const run = rig.run({ retry });
    await Promise.allSettled([...others, run]);
    return rig;
  }

  test('of the pool: each attempt ends by its deadline, is tried again, and all is stored once', async () => {
    const rig = await borrowed(patient);
    expect(rig.failures.length).toBeGreaterThan(0);
    for (const { error } of rig.failures) expect(error).toMatchObject({ code: 'TIMEOUT' });
    expect(await rig.stored()).toEqual(allOnce);
  });

  test('sabotaged twin: tried once only, the items are not stored', async () => {
    expect((await (await borrowed(delays([]))).stored()).lost).toBeGreaterThan(0);
  });
});
