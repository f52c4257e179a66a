import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { lastValueFrom, map, toArray } from 'rxjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  delays,
  fromPull,
  poolMap,
  runFlow,
  storeTo,
  withRetry,
  type DeadLetter,
  type SinkContext,
} from 'sluice';
import * as files from 'sluice/files';
import {
  fromDeadLetters,
  PostgresConnections,
  postgresTable,
  toDeadLetters,
  type DeadLetterRow,
} from 'sluice/postgres';
import { freshBuild, root, start } from './programs.ts';
import { openTestDatabase, type TestDatabase } from './servers/postgres.ts';

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
const context = (): SinkContext => ({ attempt: 1, signal: new AbortController().signal });
const letter = <T>(value: T, error: unknown = new Error('no')): DeadLetter<T> => ({
  value,
  error,
  attempts: 2,
  stage: 'work',
  elapsedMs: 0.5,
});

interface Order {
  readonly id: number;
  readonly value: number;
}

describe('dead letters in a table', () => {
  let database: TestDatabase;
  let db: PostgresConnections;
  beforeAll(async () => {
    database = await openTestDatabase();
    db = new PostgresConnections({ connectionString: database.connectionString, max: 4 });
  });
  afterAll(async () => {
    await db.close();
    await database.stop();
  });

  let tables = 0;
  async function letterTable(): Promise<string> {
    const name = `dead_${++tables}`;
    await database.admin.query(`CREATE TABLE ${name} (
      number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      id uuid NOT NULL UNIQUE, at timestamptz NOT NULL, stage text NOT NULL, attempts integer NOT NULL,
      elapsed_ms double precision NOT NULL, error json NOT NULL, value json NOT NULL)`);
    return name;
  }
  const all = (table: string): Promise<DeadLetterRow<unknown>[]> =>
    lastValueFrom(fromDeadLetters(db, table).pipe(toArray()));
  const count = async (table: string): Promise<number> => {
    const { rows } = await database.admin.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
    return rows[0]!.n;
  };

  test('come back as they went, with text that jsonb cannot hold', async () => {
    const table = await letterTable();
    const value = { id: 1, text: 'a\u0000b \ud800 "\\ ä', list: [null, { deep: [[]] }] };
    await toDeadLetters(db, table).store([letter(value), letter('text', 'thrown'), letter(null)], context());
    const [first, second, third] = await all(table);
    expect(first).toMatchObject({
      value,
      attempts: 2,
      stage: 'work',
      elapsedMs: 0.5,
      error: { message: 'no' },
    });
    expect(first!.at).toBeInstanceOf(Date);
    expect(second).toMatchObject({ value: 'text', error: { name: 'string', message: 'thrown' } });
    expect(third!.value).toBeNull();
    expect(new Set([first!.id, second!.id, third!.id]).size).toBe(3);
  });

  test('50 of 1,000 are written, fed back, stored, and deleted once they are done with', async () => {
    const dead = await letterTable();
    await database.admin.query('CREATE TABLE fed (id int PRIMARY KEY, value int NOT NULL)');
    let repaired = false;
    const work = (concurrency: number): ReturnType<typeof poolMap<Order, Promise<Order>>> =>
      poolMap(
        async (order: Order): Promise<Order> => {
          if (!repaired && order.id % 20 === 0) throw new Error(`bad order ${order.id}`);
          return order;
        },
        { concurrency, onFailure: toDeadLetters(db, dead) },
      );
    const store = storeTo(postgresTable<Order>(db, 'fed', { key: ['id'] }), { maxItems: 100 });
    const orders = upTo(1_000).map((id): Order => ({ id, value: id }));

    expect(await runFlow(fromPull(orders).pipe(work(8), store))).toMatchObject({ dead: 50, stored: 950 });
    expect([await count(dead), await count('fed')]).toEqual([50, 950]);

    repaired = true;
    const done: string[] = [];
    const back = fromDeadLetters<Order>(db, dead, {
      onSettled: ({ value: { id }, failure }) => {
        if (failure === undefined) done.push(id);
      },
    });
    const again = back.pipe(
      map(({ value }) => value),
      work(8),
      store,
    );
    expect(await runFlow(again)).toMatchObject({ itemsIn: 50, stored: 50, dead: 0, leftOver: 0 });
    await db.query(`DELETE FROM ${dead} WHERE id = ANY ($1::uuid[])`, [done]);
    expect([await count(dead), await count('fed')]).toEqual([0, 1_000]);
  });

  test('are read page by page, up to the last that was there', async () => {
    const table = await letterTable();
    const sink = toDeadLetters(db, table);
    await sink.store(
      upTo(1_500).map((n) => letter(n)),
      context(),
    );
    const again = poolMap(() => Promise.reject<number>(new Error('still')), {
      concurrency: 50,
      onFailure: sink,
    });
    const report = await runFlow(
      fromDeadLetters<number>(db, table).pipe(
        map(({ value }) => value),
        again,
      ),
    );
    expect(report).toMatchObject({ itemsIn: 1_500, dead: 1_500, leftOver: 0 });
    expect((await all(table)).map(({ value }) => value)).toHaveLength(3_000);
    expect((await all(table)).slice(0, 1_500).map(({ value }) => value)).toEqual(upTo(1_500));
  });

  test('stop being read when draining begins, and what was read is finished', async () => {
    const table = await letterTable();
    await toDeadLetters(db, table).store(
      upTo(1_200).map((n) => letter(n)),
      context(),
    );
    const seen: number[] = [];
    const run = runFlow(
      fromDeadLetters<number>(db, table).pipe(
        poolMap(
          async ({ value }) => {
            seen.push(value);
            if (value === 500) void run.drain(); // the next page is about to be asked for
            await Promise.resolve();
          },
          { concurrency: 2 },
        ),
      ),
    );
    const report = await run;
    expect(report).toMatchObject({ end: 'drained', leftOver: 0, delivered: seen.length });
    expect(seen.length).toBeLessThan(510);
  });

  test('are not written twice where the first attempt was in vain, or its answer lost', async () => {
    const table = await letterTable();
    const sink = toDeadLetters(db, table);
    const calls: number[] = [];
    const put = async (dead: DeadLetter<number>, given: SinkContext): Promise<void> => {
      await sink.store([dead], given);
      calls.push(dead.value);
      if (calls.indexOf(dead.value) === calls.length - 1) throw new Error('the answer was lost');
    };
    const work = poolMap(() => Promise.reject<number>(new Error('no')), {
      concurrency: 4,
      onFailure: withRetry(put, delays([1, 1, 1, 1])),
    });
    expect(await runFlow(fromPull(upTo(10)).pipe(work))).toMatchObject({ dead: 10 });
    expect(calls).toHaveLength(20);
    expect(await count(table)).toBe(10);
  });

  test('end the flow where the table is not there: the item is handed back', async () => {
    const work = poolMap(() => Promise.reject<number>(new Error('no')), {
      concurrency: 1,
      onFailure: toDeadLetters(db, 'nowhere'),
    });
    const run = runFlow(fromPull([1]).pipe(work));
    await expect(run).rejects.toMatchObject({ code: '42P01' });
    expect(run.report()).toMatchObject({ dead: 0, leftOver: 1, left: [{ stage: 'poolMap', value: 1 }] });
  });

  test('a row that decode refuses is an error that names it', async () => {
    const table = await letterTable();
    await toDeadLetters(db, table).store([letter(1)], context());
    const refuse = (): never => {
      throw new Error('out of date');
    };
    const read = lastValueFrom(fromDeadLetters(db, table, { decode: refuse }));
    await expect(read).rejects.toMatchObject({ code: 'DEAD_LETTER', cause: new Error('out of date') });
  });

  test('a value that JSON cannot carry is refused, and is of class data', async () => {
    const sink = toDeadLetters(db, await letterTable());
    const refused = sink.store([letter(1n)], context());
    await expect(refused).rejects.toMatchObject({ code: 'DEAD_LETTER', retryable: false });
    expect(sink.classify(await refused.catch((error: unknown) => error))).toBe('data');
  });
});

describe('a process that is killed while it writes dead letters to a file', () => {
  let folder: string;
  beforeAll(async () => {
    freshBuild();
    folder = await mkdtemp(join(tmpdir(), 'sluice-killed-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  const program = fileURLToPath(new URL('letters/writing.mjs', import.meta.url));
  const built = (name: string): string => pathToFileURL(`${root}dist/${name}.js`).href;

  /** Kills it when it has acknowledged `items`; how many of those that it has acknowledged have no letter. */
  async function lost(path: string, items: number, mode: string): Promise<number> {
    const { child, ended } = start(program, [built('index'), built('files'), path, mode]);
    let said = 0;
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString().split('\n').length - 1;
      if (said >= items) child.kill('SIGKILL');
    });
    const { stdout } = await ended;
    const acknowledged = stdout.split('\n').slice(0, -1).map(Number);
    expect(acknowledged.length).toBeGreaterThanOrEqual(items);
    const letters = await lastValueFrom(files.fromDeadLetters<{ n: number }>(path).pipe(toArray()));
    const written = new Set(letters.map(({ value }) => value.n));
    return acknowledged.filter((n) => !written.has(n)).length;
  }

  test.each(upTo(5))('has a letter of each item that it acknowledged, time %i', async (time) => {
    expect(await lost(join(folder, `killed-${time}`), 100 * time, 'safe')).toBe(0);
  });

  test('goes on with the same file, and all letters are read', async () => {
    const path = join(folder, 'killed-often');
    for (const time of upTo(3)) expect(await lost(path, 50 * time, 'safe')).toBe(0);
  });

  test('and has not where items are acknowledged before', async () => {
    let missing = 0;
    // It is a matter of luck whether something is being written when it is killed: as often as it takes.
    for (let time = 1; time <= 20 && missing === 0; time++) {
      missing = await lost(join(folder, `early-${time}`), 300, 'early');
    }
    expect(missing).toBeGreaterThan(0);
  });
});
