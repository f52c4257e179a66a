import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { delays } from 'sluice';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../../examples/support/embeddedPostgres.ts';
import { allOnce } from '../house/stored.ts';
import { Rig, type FlowSettings } from './Rig.ts';

let server: EmbeddedPostgres;
beforeAll(async () => {
  server = await startEmbeddedPostgres({ fsync: false });
});
afterAll(async () => {
  await server.stop();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client(server.connectionString);
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('F14: the server stops at once and starts again, three times in a run', () => {
  const maxItems = 50;
  const stops = 3;
  /** At work, in the four batches being stored and the one that gathers, and the one just pulled. */
  const bound = 8 + 5 * maxItems + 1;

  interface Down {
    /** The most items that were in the flow meanwhile. */
    readonly insideMost: number;
    /** From the stop until items are stored again. */
    readonly downMs: number;
    /** Of which after the start. */
    readonly backAfterMs: number;
  }

  /** PostgreSQL's fast shutdown: it rolls back, and tells its clients. */
  async function shutDown(): Promise<void> {
    const client = await connect();
    const { rows } = await client.query<{ file: string }>("SELECT pg_read_file('postmaster.pid') AS file");
    const pid = Number(rows[0]!.file.split('\n')[0]);
    process.kill(pid, 'SIGINT');
    await expect.poll(() => alive(pid), { timeout: 20_000 }).toBe(false);
  }

  async function stopped(
    stop: () => Promise<void>,
    settings: FlowSettings,
  ): Promise<{ rig: Rig; downs: Down[]; failed: boolean }> {
    let admin = await connect();
    const rig = await Rig.open(admin, server.connectionString, { items: 20_000 });
    const run = rig.run({ maxItems, ...settings });
    let failed = false;
    const ended = run.then(
      () => undefined,
      () => void (failed = true),
    );
    const downs: Down[] = [];
    for (let i = 1; i <= stops && !failed; i++) {
      await expect
        .poll(() => failed || rig.confirmed > i * 4_000, { interval: 1, timeout: 30_000 })
        .toBe(true);
      const downAt = performance.now();
      await stop();
      rig.inside = 0;
      const before = rig.confirmed;
      await pause(1_000);
      await server.restart();
      const upAt = performance.now();
      await expect
        .poll(() => failed || rig.confirmed > before + 4 * maxItems, { interval: 5, timeout: 30_000 })
        .toBe(true);
      const backAt = performance.now();
      downs.push({ insideMost: rig.inside, downMs: backAt - downAt, backAfterMs: backAt - upAt });
    }
    await ended;
    admin = await connect();
    rig.admin = admin;
    return { rig, downs, failed };
  }

  test.each([
    ['immediate', () => server.crash()],
    ['fast', shutDown],
  ] as const)('%s: nothing is lost or stored twice, and the source waits meanwhile', async (mode, stop) => {
    const { rig, downs, failed } = await stopped(stop, {});
    console.info(
      `F14 ${mode}: on again after ${downs.map(({ backAfterMs }) => Math.round(backAfterMs)).join(', ')} ms`,
    );
    expect(failed).toBe(false);
    expect(downs).toHaveLength(stops);
    for (const { insideMost } of downs) expect(insideMost).toBeLessThanOrEqual(bound);
    expect(rig.failures.every(({ kind }) => kind === 'retry')).toBe(true);
    // No flood: four batches, for each the first steps of the back-off, and then one every 300 ms.
    const steps = downs.reduce((total, { downMs }) => total + 6 + downMs / 300, 0);
    expect(rig.failures.length).toBeLessThanOrEqual(4 * steps);
    expect(await rig.stored()).toEqual(allOnce);
    await rig.close();
  });

  test('sabotaged twin: tried once only, the items are not stored', async () => {
    const { rig, failed } = await stopped(() => server.crash(), { retry: delays([]) });
    expect(failed).toBe(true);
    expect((await rig.stored()).lost).toBeGreaterThan(0);
    await rig.close();
  });
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
