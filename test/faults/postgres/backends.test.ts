import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../integration/servers/postgres.ts';
import type { Ended } from '../../integration/programs.ts';
import type { Sabotage } from '../death/importer.ts';
import { clean, Import } from '../death/supervise.ts';
import { FaultProxy } from '../house/faultProxy.ts';

let database: TestDatabase;
let proxy: FaultProxy;
beforeAll(async () => {
  database = await openTestDatabase();
  const { hostname, port } = new URL(database.connectionString);
  proxy = await FaultProxy.start({ host: hostname, port: Number(port || 5_432) });
  // Each statement takes its time, so that there is a moment between two of them.
  proxy.set({ toServer: { latencyMs: 10 } });
});
afterAll(async () => {
  await proxy.stop();
  await database.stop();
});

const imports: Import[] = [];
afterEach(async () => {
  for (const one of imports.splice(0)) await one.end();
});

const items = 2_000;

interface Terminated {
  readonly one: Import;
  readonly ended: Ended;
  /** Backends that were ended. */
  readonly count: number;
}

/** No more than a batch has retries: on a busy machine it may be the same one each time. */
const most = 5;

/**
 * Ends the server's side of one connection in that state, again and again, while a process imports. A connection has to be
 * found in that state, which is a matter of luck: on a busy machine an import may be over before it was found often.
 */
async function terminated(state: string, sabotage?: Sabotage): Promise<Terminated> {
  const connectionString = proxy.through(database.connectionString);
  const one = await Import.begin(database, { items, maxItems: 50, sabotage });
  imports.push(one);
  // A statement that takes its time.
  await database.admin.query(`
    CREATE OR REPLACE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql
      AS 'BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END';
    CREATE TRIGGER slow BEFORE INSERT ON ${one.table} EXECUTE FUNCTION take_time()`);
  const { ended } = one.start({ connectionString });
  // Not while it takes its checkpoint: who cannot begin is started again.
  await one.reaches(1);
  let over = false;
  void ended.then(() => (over = true));
  let count = 0;
  for (let nextAt = 0; !over && count < most; await new Promise((resolve) => setTimeout(resolve, 5))) {
    if (performance.now() < nextAt) continue;
    const { rowCount } = await database.admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND ${state} LIMIT 1`,
      [one.table],
    );
    count += rowCount ?? 0;
    if (rowCount === 1) nextAt = performance.now() + 200;
  }
  return { one, ended: await ended, count };
}

describe.each([
  ['F11: idle', "state = 'idle'", 'unguarded'],
  [
    'F12: checked out, between BEGIN and the statement',
    "state = 'idle in transaction' AND query LIKE 'BEGIN%'",
    'unguarded',
  ],
  ['F13: while its statement runs', "state = 'active' AND query LIKE 'INSERT INTO%'", 'unretried'],
] as const)('backends are ended again and again. %s', (_, state, sabotage) => {
  test('the process lives, and nothing is lost or stored twice', async () => {
    let found = 0;
    for (let round = 0; round < 10 && found < 3; round++) {
      const { one, ended, count } = await terminated(state);
      expect(ended).toMatchObject({ code: 0, stderr: '' });
      expect(await one.verdict()).toEqual({ ...clean, workedAgain: 0 });
      found += count;
    }
    expect(found).toBeGreaterThanOrEqual(3);
  });

  test(`sabotaged twin, ${sabotage}: the process ends`, async () => {
    let [last, lost]: [Ended | undefined, number] = [undefined, 0];
    // It is over, and nothing is lost, if none was found before all was stored.
    for (let round = 0; round < 10 && lost === 0; round++) {
      const { one, ended } = await terminated(state, sabotage);
      [last, lost] = [ended, (await one.verdict()).lost];
    }
    expect(last).toMatchObject({ code: 1 });
    expect(last!.stderr).toMatch(/terminating connection due to administrator command|Connection terminated/);
    expect(lost).toBeGreaterThan(0);
  });
});
