import { spawn } from 'node:child_process';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { fromPull, poolMap, runFlow, storeTo, withTimeout, type DeadLetter, type WorkContext } from 'sluice';
import {
  classifyPostgresError,
  fromDeadLetters,
  fromTable,
  PostgresConnections,
  postgresTable,
  toDeadLetters,
} from 'sluice/postgres';
import { deliveryLaws, sinkLaws } from '../../src/testing/laws/index.ts';
import { startEmbeddedPostgres } from '../../examples/support/embeddedPostgres.ts';
import { withExplicitTls } from '../../src/connectors/postgres/address.ts';
import { openTestDatabase, type TestDatabase } from './servers/postgres.ts';
import { deferred } from '../support/deferred.ts';

let database: TestDatabase;
let db: PostgresConnections;
beforeAll(async () => {
  database = await openTestDatabase();
  db = new PostgresConnections({ connectionString: database.connectionString, max: 20 });
});
afterAll(async () => {
  await db.close();
  await database.stop();
});

const context = { attempt: 1, signal: new AbortController().signal };

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** An error, and whatever fields it may have. */
type Failure = Error & Readonly<Record<string, unknown>>;

/** The error of a promise that must reject. */
async function failure(promise: Promise<unknown>): Promise<Failure> {
  try {
    await promise;
  } catch (error) {
    return error as Failure;
  }
  throw new Error('it did not reject');
}

async function elapsedMs(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function rowsOf(sql: string): Promise<Record<string, unknown>[]> {
  return (await database.admin.query<Record<string, unknown>>(sql)).rows;
}

let tables = 0;
/** Makes a table and gives its name. */
async function table(definition: string): Promise<string> {
  const name = `t${++tables}`;
  await database.admin.query(`CREATE TABLE ${name} (${definition})`);
  return name;
}

/** A generator of numbers that are the same each time. */
function random(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
}

function shuffled<T>(values: readonly T[], next: () => number): T[] {
  return values
    .map((value) => ({ value, place: next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ value }) => value);
}

describe('postgresTable obeys the laws for sinks', () => {
  interface Row {
    id: number;
    value: number | string;
  }
  let name: string;
  const laws = sinkLaws<Row>(
    'postgresTable',
    async () => {
      name = await table('id int PRIMARY KEY, value numeric');
      return postgresTable<Row>(db, name, { key: ['id'] });
    },
    {
      input: (id) => ({ id, value: id / 4 }),
      stored: async () => Number((await rowsOf(`SELECT count(*) FROM ${name}`))[0]?.['count']),
      bad: () => ({ id: 0, value: 'no number' }),
      keyed: true,
      time: 'real',
    },
  );
  for (const law of laws) test(law.name, law.check);

  const delivery = deliveryLaws<Row>(
    'postgresTable',
    async () => {
      const name = await table('id int PRIMARY KEY, value numeric');
      return {
        sink: postgresTable<Row>(db, name, { key: ['id'] }),
        stored: async () => (await rowsOf(`SELECT id FROM ${name}`)).map(({ id }) => id),
      };
    },
    {
      input: (id) => ({ id, value: id / 4 }),
      key: ({ id }) => id,
      keyed: true,
      cut: () =>
        database.admin.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
        ),
      time: 'real',
    },
  );
  for (const law of delivery) test(law.name, law.check);
});

describe('postgresTable', () => {
  test('stores, and storing again changes nothing', async () => {
    const name = await table('id int PRIMARY KEY, value numeric, touched int DEFAULT 1');
    const sink = postgresTable<{ id: number; value: number }>(db, name, { key: ['id'] });
    const rows = numbers(500).map((id) => ({ id, value: id / 4 }));
    await sink.store(rows, context);
    await sink.store(rows, context);
    await sink.store([], context);
    expect(
      await rowsOf(`SELECT count(*)::int, sum(value)::float, sum(touched)::int AS touched FROM ${name}`),
    ).toEqual([{ count: 500, sum: 31_187.5, touched: 500 }]);
    await sink.store([{ id: 7, value: 70 }], context);
    expect(await rowsOf(`SELECT value::int FROM ${name} WHERE id = 7`)).toEqual([{ value: 70 }]);
  });

  test('of one key in a batch the last wins, property by property; with ignore, the first', async () => {
    interface Row {
      id: number;
      a?: string | null;
      b?: string | undefined;
    }
    const definition = "id int PRIMARY KEY, a text DEFAULT 'none', b text DEFAULT 'none'";
    const [update, ignore] = [await table(definition), await table(definition)];
    const rows: Row[] = [
      { id: 1, a: 'first', b: 'first' },
      { id: 2, a: 'only' },
      { id: 1, a: 'second', b: undefined },
      { id: 1, a: 'third' },
      { id: 3, a: null },
    ];
    await postgresTable<Row>(db, update, { key: ['id'] }).store(rows, context);
    expect(await rowsOf(`SELECT * FROM ${update} ORDER BY id`)).toEqual([
      { id: 1, a: 'third', b: 'first' },
      { id: 2, a: 'only', b: 'none' },
      { id: 3, a: null, b: 'none' },
    ]);
    const keeper = postgresTable<Row>(db, ignore, { key: ['id'], onConflict: 'ignore' });
    await keeper.store(rows, context);
    await keeper.store([{ id: 2, a: 'later', b: 'later' }], context);
    expect(await rowsOf(`SELECT * FROM ${ignore} ORDER BY id`)).toEqual([
      { id: 1, a: 'first', b: 'first' },
      { id: 2, a: 'only', b: 'none' },
      { id: 3, a: null, b: 'none' },
    ]);
  });

  test('an absent property leaves its column alone', async () => {
    const name = await table("id int PRIMARY KEY, a text DEFAULT 'default', b text");
    const sink = postgresTable<{ id: number; a?: string; b?: string }>(db, name, { key: ['id'] });
    await sink.store(
      [
        { id: 1, b: 'x' },
        { id: 2, a: 'y' },
      ],
      context,
    );
    await sink.store([{ id: 1, a: 'z' }, { id: 2 }], context);
    expect(await rowsOf(`SELECT * FROM ${name} ORDER BY id`)).toEqual([
      { id: 1, a: 'z', b: 'x' },
      { id: 2, a: 'y', b: null },
    ]);
  });

  test('a key of two columns, in camelCase, with only some columns', async () => {
    const name = await table(
      'shop_id int, "orderNo" text, paid_at timestamptz, secret text, UNIQUE ("orderNo", shop_id)',
    );
    const sink = postgresTable<{ shopId: number; orderNo: string; paidAt: Date; secret: string }>(db, name, {
      key: ['shopId', 'orderNo'],
      columns: ['paidAt'],
    });
    const paidAt = new Date('2026-01-02T03:04:05.678Z');
    const row = { shopId: 1, orderNo: 'a', paidAt: new Date(0), secret: 's' };
    await sink.store([row, { ...row, orderNo: 'b' }, { ...row, paidAt }], context);
    expect(await rowsOf(`SELECT * FROM ${name} ORDER BY "orderNo"`)).toEqual([
      { shop_id: 1, orderNo: 'a', paid_at: paidAt, secret: null },
      { shop_id: 1, orderNo: 'b', paid_at: new Date(0), secret: null },
    ]);
  });

  test('names are quoted', async () => {
    const schema = `odd "schema" ${process.pid}`;
    const quoted = `"${schema.replaceAll('"', '""')}"`;
    await database.admin.query(`CREATE SCHEMA ${quoted}`);
    await database.admin.query(
      `CREATE TABLE ${quoted}."Or.ders; DROP" ("Id; --" int PRIMARY KEY, "select" text)`,
    );
    const sink = postgresTable<Record<string, unknown>>(db, `${quoted}."Or.ders; DROP"`, { key: ['Id; --'] });
    await sink.store([{ 'Id; --': 1, select: 'x' }], context);
    expect(await rowsOf(`SELECT * FROM ${quoted}."Or.ders; DROP"`)).toEqual([{ 'Id; --': 1, select: 'x' }]);
    await database.admin.query(`DROP SCHEMA ${quoted} CASCADE`);
  });

  test('40,001 rows of 3 columns in one store', async () => {
    const name = await table('id int PRIMARY KEY, a text, b float8');
    const sink = postgresTable<{ id: number; a: string; b: number }>(db, name, { key: ['id'] });
    await sink.store(
      numbers(40_001).map((id) => ({ id, a: `row ${id}`, b: id / 3 })),
      context,
    );
    expect(await rowsOf(`SELECT count(*)::int, max(id) FROM ${name}`)).toEqual([
      { count: 40_001, max: 40_000 },
    ]);
  });

  test('8 writers, overlapping keys in random order, 50 rounds: no deadlock', async () => {
    const name = await table('id int PRIMARY KEY, writer int');
    const sink = postgresTable<{ id: number; writer: number }>(db, name, { key: ['id'] });
    const next = random(1);
    for (const _round of numbers(50)) {
      const batches = numbers(8).map((writer) =>
        shuffled(numbers(200), next)
          .slice(0, 150)
          .map((id) => ({ id, writer })),
      );
      await Promise.all(batches.map((batch) => sink.store(batch, context)));
    }
    expect(await rowsOf(`SELECT count(*)::int FROM ${name}`)).toEqual([{ count: 200 }]);
  });

  test('sabotaged twin: without the sorting there is a deadlock', async () => {
    const name = await table('id int PRIMARY KEY, writer int');
    // Each row takes its time, so that the writers do meet.
    await database.admin.query(
      `CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END $$`,
    );
    await database.admin.query(
      `CREATE TRIGGER linger BEFORE INSERT OR UPDATE ON ${name} FOR EACH ROW EXECUTE FUNCTION linger()`,
    );
    const next = random(1);
    const text = `INSERT INTO ${name} SELECT * FROM unnest($1::int[], $2::int[])
                  ON CONFLICT (id) DO UPDATE SET writer = EXCLUDED.writer`;
    const url = new URL(database.connectionString);
    if (process.env['DATABASE_URL'] === undefined) {
      url.searchParams.set('options', `${url.searchParams.get('options')!} -c deadlock_timeout=20ms`);
    }
    await using unsorted = new PostgresConnections({ connectionString: url.href, max: 8 });
    let deadlocks = 0;
    for (let round = 0; round < 50 && deadlocks === 0; round++) {
      const batches = numbers(8).map(() => shuffled(numbers(200), next).slice(0, 150));
      const results = await Promise.allSettled(
        batches.map((batch, writer) => unsorted.query(text, [batch, batch.map(() => writer)])),
      );
      const errors = results.flatMap((result) =>
        result.status === 'rejected' ? [result.reason as Failure] : [],
      );
      for (const error of errors)
        expect([error['code'], classifyPostgresError(error)]).toEqual(['40P01', 'retry']);
      deadlocks += errors.length;
    }
    expect(deadlocks).toBeGreaterThan(0);
  });

  test('honours the signal, before and while the server works', async () => {
    const name = await table('id int PRIMARY KEY');
    const sink = postgresTable<{ id: number }>(db, name, { key: ['id'] });
    await sink.store([{ id: 0 }], context);
    const controller = new AbortController();
    const signal = controller.signal;
    await database.admin.query('BEGIN');
    await database.admin.query(`LOCK TABLE ${name}`);
    const stored = failure(sink.store([{ id: 1 }], { attempt: 1, signal }));
    await expect.poll(() => db.stats.total - db.stats.idle).toBe(1);
    const reason = new Error('stopped');
    controller.abort(reason);
    expect(await stored).toBe(reason);
    await expect.poll(() => db.stats.total - db.stats.idle).toBe(0);
    await database.admin.query('ROLLBACK');
    expect(await failure(sink.store([{ id: 2 }], { attempt: 1, signal }))).toBe(reason);
    await sink.store([{ id: 3 }], context);
    expect(await rowsOf(`SELECT count(*)::int FROM ${name} WHERE id IN (0, 2, 3)`)).toEqual([{ count: 2 }]);
  });

  test('over a plain pg.Pool, whose listeners are its own again after close', async () => {
    const name = await table('id int PRIMARY KEY');
    const pool = new pg.Pool({ connectionString: database.connectionString, max: 2 });
    const sink = postgresTable<{ id: number }>(pool, name, { key: ['id'] });
    expect(pool.listenerCount('error')).toBe(1);
    await Promise.all(numbers(20).map((id) => sink.store([{ id }], context)));
    expect(pool.totalCount).toBe(2);
    const client = await pool.connect();
    expect(client.listenerCount('error')).toBe(1);
    client.release();
    await sink.close();
    expect(pool.eventNames()).toEqual([]);

    await sink.store([{ id: 20 }], context); // of another run
    expect(pool.listenerCount('error')).toBe(1);
    await sink.close();
    expect(pool.eventNames()).toEqual([]);
    await pool.end();

    const listened = new pg.Pool({ connectionString: database.connectionString, max: 2 });
    const mine = (): void => undefined;
    listened.on('error', mine);
    const other = postgresTable<{ id: number }>(listened, name, { key: ['id'] });
    expect(listened.listeners('error')).toContain(mine);
    await other.close();
    expect(listened.listeners('error')).toEqual([mine]);
    await listened.end();
    expect(await rowsOf(`SELECT count(*)::int FROM ${name}`)).toEqual([{ count: 21 }]);
  });

  type Leaver = (pool: pg.Pool, name: string) => Promise<() => unknown>;
  test.each<[string, Leaver]>([
    [
      'another sink',
      async (pool, name) => {
        const sink = postgresTable<{ id: number }>(pool, name);
        await sink.store([{ id: 1 }], context);
        return () => sink.close();
      },
    ],
    [
      'a listener of its owner',
      async (pool) => {
        const listener = (): void => undefined;
        pool.on('error', listener);
        return () => pool.removeListener('error', listener);
      },
    ],
  ])('over a plain pg.Pool that %s leaves, a lost idle connection does no harm', async (_, join) => {
    const name = await table('id int');
    const pool = new pg.Pool({ connectionString: database.connectionString, max: 2 });
    const leave = await join(pool, name);
    const sink = postgresTable<{ id: number }>(pool, name);
    await sink.store([{ id: 2 }], context);
    await leave();
    expect(pool.listenerCount('error')).toBe(1); // without, what follows ends the process

    const { rows } = await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    // Not `once` of node:events: it would listen to `error`, too.
    const lost = new Promise((resolve) => pool.once('remove', resolve));
    await database.admin.query('SELECT pg_terminate_backend($1)', [rows[0]!.pid]);
    await lost;

    await sink.store([{ id: 3 }], context);
    const client = await pool.connect();
    expect(client.listenerCount('error')).toBe(1);
    client.release();
    await sink.close();
    expect(pool.eventNames()).toEqual([]);
    await pool.end();
    expect(await rowsOf(`SELECT id FROM ${name} WHERE id > 1 ORDER BY id`)).toEqual([{ id: 2 }, { id: 3 }]);
  });
});

describe('values come back as they were', () => {
  /** Stores the values of one column, and reads them back with pg. */
  async function roundTrip(type: string, values: unknown[], options = {}): Promise<unknown[]> {
    const name = await table(`id int PRIMARY KEY, value ${type}`);
    const sink = postgresTable<{ id: number; value: unknown }>(db, name, { key: ['id'], ...options });
    await sink.store(
      values.map((value, id) => ({ id, value })),
      context,
    );
    return (await rowsOf(`SELECT value FROM ${name} ORDER BY id`)).map(({ value }) => value);
  }

  const date = new Date('2026-11-23T22:29:51.123Z');
  test.each<[string, unknown[]]>([
    ['int', [0, -1, 2_147_483_647, null]],
    ['float8', [0.1, -1e300, NaN, Infinity, null]],
    ['boolean', [true, false, null]],
    ['text', ['', 'null', 'NULL', '{a,b}', 'a"b\\c\'d', 'line\nbreak\t', 'grüße 🌊', '  ', null]],
    ['varchar(5)', ['', 'abc', null]],
    ['char(3)', ['abc', 'x  ', null]],
    ['uuid', ['0190163d-8694-739b-aea5-966c26f8ad90', null]],
    ['timestamptz', [date, new Date(0), new Date('0044-03-15T12:00:00Z'), null]],
    ['timestamp', [date, null]],
    ['bytea', [Buffer.from([0, 1, 255, 92, 34]), Buffer.alloc(0), null]],
    [
      'jsonb',
      [
        { a: [1, { b: null }] },
        [1, 'two', [3]],
        'a string',
        '{"not": "parsed"}',
        5,
        true,
        [],
        {},
        '\\ " \n',
        null,
      ],
    ],
    ['json', [{ b: 1, a: 2 }, [1, 2], 'text', null]],
    [
      'int[]',
      [
        [1, 2],
        [],
        [null, 3],
        [
          [1, 2],
          [3, 4],
        ],
        null,
      ],
    ],
    ['text[]', [['a', 'b,c', '{d}', 'e"f', 'g\\h', 'NULL', '', null], [['x'], ['y']], [], null]],
    ['timestamptz[]', [[date, null], null]],
    ['bytea[]', [[Buffer.from([1, 92]), Buffer.alloc(0)], null]],
    ['jsonb[]', [[{ a: 1 }, [1, 2], 'text', null], [], null]],
    ['inet', ['10.0.0.1', null]],
  ])('%s', async (type, values) => {
    expect(await roundTrip(type, values)).toEqual(values);
  });

  test('those that pg gives back as text', async () => {
    const day = new Date(2026, 10, 23);
    expect(await roundTrip('bigint', [2n ** 62n, 5, '-9223372036854775808', null])).toEqual([
      '4611686018427387904',
      '5',
      '-9223372036854775808',
      null,
    ]);
    expect(await roundTrip('numeric(30,10)', ['12345678901234567890.0123456789', 1.5, null])).toEqual([
      '12345678901234567890.0123456789',
      '1.5000000000',
      null,
    ]);
    expect(await roundTrip('date', [day, '2026-11-23', null])).toEqual([day, day, null]);
    expect(await roundTrip('bytea', [new Uint8Array([7, 8])])).toEqual([Buffer.from([7, 8])]);
    expect(await roundTrip('numeric[]', [['1.50', 2], [10n]])).toEqual([[1.5, 2], [10]]);
    expect(await roundTrip('int4range', ['[1,5)'])).toEqual(['[1,5)']);
    expect(await roundTrip('int[]', ['{1,2}'])).toEqual([[1, 2]]);
  });

  test('an array where the column has none is one value, whichever way it goes in', async () => {
    const lists = [['a', 'b'], ['c', 'd'], [], null, ['e']];
    for (const via of ['unnest', 'copy']) {
      expect(await roundTrip('text', lists, { via })).toEqual([
        '{"a","b"}',
        '{"c","d"}',
        '{}',
        null,
        '{"e"}',
      ]);
      expect(await failure(roundTrip('int', [[1, 2]], { via }))).toMatchObject({ code: '22P02' });
    }
  });

  test('an enum, a domain, a type that is told', async () => {
    await database.admin.query("CREATE TYPE mood AS ENUM ('sad', 'so so')");
    await database.admin.query('CREATE DOMAIN few AS varchar(3) CHECK (value <> $$no$$)');
    await database.admin.query('CREATE DOMAIN doc AS jsonb');
    expect(await roundTrip('mood', ['sad', 'so so', null])).toEqual(['sad', 'so so', null]);
    expect(await roundTrip('few', ['yes', null])).toEqual(['yes', null]);
    expect(await failure(roundTrip('few', ['no']))).toMatchObject({ code: '23514' });
    expect(await failure(roundTrip('few', ['long']))).toMatchObject({ code: '22001' });
    expect(await roundTrip('doc', ['text', [1]])).toEqual(['text', [1]]);
    expect(await roundTrip('text', ['007'], { types: { value: 'int' } })).toEqual(['7']);
    const told = roundTrip('jsonb', ['{"a":1}'], { types: { value: 'text' } });
    expect(await failure(told)).toMatchObject({ code: '42804' });
  });
});

describe('errors', () => {
  interface Row {
    id: number | undefined;
    value?: unknown;
  }

  test.each<[string, string, unknown, string]>([
    ['a NUL byte in text', 'text', 'a\u0000b', '22021'],
    ['a NUL byte in jsonb', 'jsonb', { a: '\u0000' }, '22P05'],
    ['a NUL byte in a text array', 'text[]', ['\u0000'], '22021'],
    ['what is too long is not cut', 'varchar(3)', 'abcd', '22001'],
    ['of fixed length, too', 'char(2)', 'abc', '22001'],
    ['not a number', 'int', 'abc', '22P02'],
    ['out of range', 'int', 2 ** 40, '22003'],
    ['a check', 'int CHECK (value > 0)', -1, '23514'],
    ['a NULL where none may be', 'int NOT NULL', null, '23502'],
    ['a value that JSON has not', 'jsonb', 10n, 'POSTGRES_ROW'],
    ['the same inside an object, in text', 'text', { a: 10n }, 'POSTGRES_ROW'],
    ['an invalid date', 'timestamptz', new Date(NaN), 'POSTGRES_ROW'],
  ])('of data: %s', async (_title, type, value, code) => {
    const name = await table(`id int PRIMARY KEY, value ${type}`);
    const sink = postgresTable<Row>(db, name, { key: ['id'] });
    const error = await failure(sink.store([{ id: 1, value }], context));
    expect(error).toMatchObject({ code });
    expect(sink.classify(error)).toBe('data');
    expect(await rowsOf(`SELECT * FROM ${name}`)).toEqual([]);
  });

  test('say the table and the column, also where they are printed, and keep what the server has said', async () => {
    const name = await table('id int PRIMARY KEY, value bigint');
    const rows = [{ id: 1 }, { id: 2, value: 'x' }];
    for (const via of ['unnest', 'copy'] as const) {
      const error = await failure(postgresTable<Row>(db, name, { key: ['id'], via }).store(rows, context));
      const message = `postgresTable: ${name}: column 'value': invalid input syntax for type bigint: "x"`;
      expect(error).toMatchObject({ message, code: '22P02', column: 'value', severity: 'ERROR' });
      expect(error).toBeInstanceOf(pg.DatabaseError);
      expect(error.stack?.split('\n    at ')[0]).toBe(`error: ${message}`);
    }
  });

  test('of connections say to which server none could be made, and nothing of the password', async () => {
    const address = new URL(database.connectionString);
    address.password = 'geheim';
    const { host, pathname, username } = address;
    const refusal = async (url: string): Promise<Failure> => {
      await using connections = new PostgresConnections({ connectionString: url });
      const error = await failure(connections.query('SELECT 1'));
      expect(`${error.message}${error.stack}${JSON.stringify(error)}`).not.toContain('geheim');
      return error;
    };
    expect(await refusal(address.href)).toMatchObject({
      code: '28P01',
      message: `PostgreSQL at ${host}${pathname}: password authentication failed for user "${username}"`,
    });
    address.port = '1';
    expect(await refusal(address.href)).toMatchObject({
      code: 'ECONNREFUSED',
      message: `PostgreSQL at 127.0.0.1:1${pathname}: connect ECONNREFUSED 127.0.0.1:1`,
    });
    address.hostname = 'localhost'; // often two addresses, and an error without a message
    expect((await refusal(address.href)).message).toMatch(/^PostgreSQL at localhost:1.*ECONNREFUSED/);
  });

  test('of data: a key that is missing, a foreign key, a trigger', async () => {
    const name = await table(`id int PRIMARY KEY, value int REFERENCES ${await table('id int PRIMARY KEY')}`);
    const sink = postgresTable<Row>(db, name, { key: ['id'] });
    for (const row of [{ id: undefined }, { id: 1, value: 5 }]) {
      expect(sink.classify(await failure(sink.store([row], context)))).toBe('data');
    }
    await database.admin.query(
      `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$`,
    );
    await database.admin.query(`CREATE TRIGGER refuse BEFORE INSERT ON ${name} EXECUTE FUNCTION refuse()`);
    expect(sink.classify(await failure(sink.store([{ id: 1 }], context)))).toBe('data');
  });

  test('of data: a row without anything to store', async () => {
    const name = await table('id serial, value text');
    for (const via of ['unnest', 'copy'] as const) {
      const sink = postgresTable<Record<string, unknown>>(db, name, { via });
      for (const rows of [[{}], [{ value: 'a' }, { value: undefined }]]) {
        const error = await failure(sink.store(rows, context));
        expect(error.message).toBe(`postgresTable: ${name}: a row has nothing to store`);
        expect(sink.classify(error)).toBe('data');
      }
    }
    expect(await rowsOf(`SELECT * FROM ${name}`)).toEqual([]);
  });

  test('of data: rows that are too large together, so that half of them are tried', async () => {
    const name = await table('id int PRIMARY KEY, value text');
    const sink = postgresTable<Row>(db, name, { key: ['id'] });
    const value = 'x'.repeat(500_000);
    const error = await failure(
      sink.store(
        numbers(1_100).map((id) => ({ id, value })),
        context,
      ),
    );
    expect(error.message).toBe(
      `postgresTable: ${name}: a row or all of a batch is too large for one statement`,
    );
    expect(sink.classify(error)).toBe('data');
  });

  test.each([
    ['straight', undefined],
    ['by way of a temporary table', ['id'] as const],
  ])(
    'name the column of a COPY %s, also where columns are called as those of that table are',
    async (_, key) => {
      const name = await table('id int PRIMARY KEY, c0 int, c1 int, c7 int');
      const sink = postgresTable<Record<string, unknown>>(db, name, { ...(key && { key }), via: 'copy' });
      const row = { c1: 1, c0: 1, c7: 1, id: 1 };
      for (const column of ['c0', 'c1', 'c7']) {
        const error = await failure(
          sink.store(
            [
              { ...row, id: 2 },
              { ...row, [column]: 'bad' },
            ],
            context,
          ),
        );
        expect(error).toMatchObject({ code: '22P02', column });
      }
    },
  );

  test.each(['copy', 'unnest'] as const)(
    'by %s, properties may be called as those of Object',
    async (via) => {
      const name = await table('id int PRIMARY KEY, constructor text, "toString" text');
      const sink = postgresTable<Record<string, unknown>>(db, name, { via });
      await sink.store([{ id: 1, constructor: 'a', toString: 'b' }], context);
      const { rows } = await database.admin.query(`SELECT * FROM ${name}`);
      expect(rows).toEqual([{ id: 1, constructor: 'a', toString: 'b' }]);
    },
  );

  test('of data: what is no object, and two properties for one column', async () => {
    const name = await table('id int PRIMARY KEY, created_at text');
    const sink = postgresTable<Record<string, unknown>>(db, name, { key: ['id'] });
    for (const [row, kind] of [
      [null, 'null'],
      [undefined, 'undefined'],
      [5, 'number'],
      ['text', 'string'],
    ] as const) {
      const error = await failure(sink.store([row as unknown as Record<string, unknown>], context));
      expect(error).toMatchObject({
        code: 'POSTGRES_ROW',
        property: undefined,
        message: `postgresTable: ${name}: a row must be an object, got ${kind}`,
      });
      expect(sink.classify(error)).toBe('data');
    }
    const twice = { id: 1, created_at: 'a', createdAt: 'b' };
    const error = await failure(sink.store([twice], context));
    expect(error).toMatchObject({
      code: 'POSTGRES_ROW',
      property: 'createdAt',
      message: `postgresTable: ${name}: property 'createdAt' and 'created_at' both go to column "created_at"; give one of them`,
    });
    expect(sink.classify(error)).toBe('data');
    const chosen = postgresTable<typeof twice>(db, name, {
      key: ['id'],
      columns: ['created_at', 'createdAt'],
    });
    expect(await failure(chosen.store([twice], context))).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('both go to column'),
    });

    // In a flow the others are stored.
    const dead: unknown[] = [];
    const rows = [{ id: 1, createdAt: 'x' }, null, { id: 2, created_at: 'y' }, twice] as Record<
      string,
      unknown
    >[];
    const onFailure = ({ value }: DeadLetter<unknown>): void => void dead.push(value);
    const report = await runFlow(fromPull(rows).pipe(storeTo(sink, { onFailure })));
    expect(report).toMatchObject({ stored: 2, dead: 2 });
    expect(dead).toEqual([null, twice]);
  });

  test('fatal: no table, no column, no unique index; and the table may be mended', async () => {
    const missing = postgresTable<Row>(db, 'not_there', { key: ['id'] });
    const name = await table('id int, value int, other int, CONSTRAINT late UNIQUE (id) DEFERRABLE');
    await database.admin.query(`CREATE UNIQUE INDEX ON ${name} (id) WHERE value > 0`);
    await database.admin.query(`CREATE UNIQUE INDEX ON ${name} (id, value)`);
    const sink = postgresTable<Row & { extra?: number }>(db, name, { key: ['id'] });
    for (const [error, message] of [
      [await failure(missing.store([{ id: 1 }], context)), /no table "not_there"/],
      [await failure(sink.store([{ id: 1 }], context)), /no unique index on \("id"\)/],
    ] as const) {
      expect(error).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringMatching(message) });
      expect(sink.classify(error)).toBe('fatal');
    }
    await database.admin.query(`ALTER TABLE ${name} DROP CONSTRAINT late`);
    await database.admin.query(`CREATE UNIQUE INDEX ON ${name} (id) INCLUDE (other)`);
    await sink.store([{ id: 1 }], context);
    expect(await failure(sink.store([{ id: 1, extra: 2 }], context))).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining("'extra'"),
    });
    await database.admin.query(`DROP INDEX ${name}_id_idx`);
    await database.admin.query(`ALTER TABLE ${name} ADD extra int, ALTER value TYPE text`);
    await sink.store([{ id: 1, extra: 2, value: 'text' }], context).catch(() => undefined);
    await sink.store([{ id: 1, extra: 2, value: 'text' }], context);
    expect(await rowsOf(`SELECT extra, value FROM ${name}`)).toEqual([{ extra: 2, value: 'text' }]);
  });

  test('options are refused at once', () => {
    expect(() => postgresTable(db, '', { key: ['id'] as never[] })).toThrow(/table/);
    expect(() => postgresTable(db, 'a.b.c', { key: ['id'] as never[] })).toThrow(
      /^postgresTable: table must be .*schema\.name/,
    );
    expect(() => fromTable(db, 'a.b.c', { key: ['id'] })).toThrow(/^fromTable: table must be/);
    expect(() => fromTable(db, 'a\0b', { key: ['id'] })).toThrow(/^fromTable: table must be/);
    expect(() => toDeadLetters(db, 'a.b.c')).toThrow(/^toDeadLetters: table must be/);
    expect(() => fromDeadLetters(db, 'a.b.c')).toThrow(/^fromDeadLetters: table must be/);
    for (const key of [[], 'id', [1]] as never[]) {
      expect(() => postgresTable(db, 't', { key })).toThrow(
        /^postgresTable: key must be an array of one or more names/,
      );
      expect(() => fromTable(db, 't', { key })).toThrow(
        /^fromTable: key must be an array of one or more names/,
      );
    }
    expect(() => postgresTable(db, 't', { columns: 'id' as never })).toThrow(
      /^postgresTable: columns must be an array/,
    );
    expect(() =>
      postgresTable<Row>(db, 't', { key: ['id'], types: { id: 'int); DROP TABLE t --' } }),
    ).toThrow(/types/);
    expect(() => new PostgresConnections({ max: 0 })).toThrow(/PostgresConnections: max/);
    expect(() => new PostgresConnections({ acquireTimeoutMs: NaN })).toThrow(/acquireTimeoutMs/);
  });

  test('an address that cannot be read is refused at once, and not shown', () => {
    for (const connectionString of [
      'postgres://us%e9er:geheim@host/d',
      'postgres://user:geh/eim@host/d',
      'postgres://user:geheim@host/d?sslrootcert=/no/such/file',
    ]) {
      const make = (): PostgresConnections => new PostgresConnections({ connectionString });
      expect(make).toThrow(/^PostgresConnections: connectionString cannot be read: /);
      expect(make).not.toThrow(/geh/);
    }
  });

  test('sslmode: certificates are checked as pg does it, and nothing is printed', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const client = (parameters: string): pg.Client =>
      new pg.Client({ connectionString: withExplicitTls(`postgres://host/d?${parameters}`) });
    for (const mode of ['prefer', 'require', 'verify-ca', 'verify-full']) {
      expect(client(`sslmode=${mode}`), mode).toMatchObject({ ssl: {} });
      const url = new URL(database.connectionString);
      url.searchParams.set('sslmode', mode);
      await using refused = new PostgresConnections({ connectionString: url.href });
      // The server of the tests has no TLS: without it nothing is said.
      expect((await failure(refused.query('SELECT 1'))).message, mode).toMatch(/not support SSL/);
    }
    expect(client('a=b&sslmode=require&c=d#e')).toMatchObject({
      ssl: {},
      connectionParameters: { database: 'd' },
    });
    expect(client('sslmode=disable')).toMatchObject({ ssl: false });
    expect(client('sslmode=no-verify')).toMatchObject({ ssl: { rejectUnauthorized: false } });
    for (const order of ['uselibpqcompat=true&sslmode=require', 'sslmode=require&uselibpqcompat=true'])
      expect(client(order)).toMatchObject({ ssl: { rejectUnauthorized: false } });
    expect(warned).not.toHaveBeenCalled();
    warned.mockRestore();
  });

  test('the table of classes', () => {
    const of = (code: string): string => classifyPostgresError(Object.assign(new Error('x'), { code }));
    const retry = ['08006', '40001', '40P01', '53300', '57P01', '57P03', '57014', '55P03', '25006', '58030'];
    const lost = ['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'TIMEOUT'];
    for (const code of [...retry, ...lost]) expect(of(code), code).toBe('retry');
    for (const code of ['21000', '22021', '22P05', '23505', '44000', '54000', 'P0001'])
      expect(of(code), code).toBe('data');
    for (const code of [
      '28P01',
      '3D000',
      '42P01',
      '42501',
      'XX000',
      '0A000',
      'INVALID_OPTION',
      'CONNECTIONS_CLOSED',
    ]) {
      expect(of(code), code).toBe('fatal');
    }
    for (const text of [
      'Connection terminated unexpectedly',
      'Connection terminated',
      'timeout expired',
      'Query read timeout',
    ]) {
      expect(classifyPostgresError(new Error(text)), text).toBe('retry');
    }
    for (const error of [new TypeError('x'), undefined, null, 'text', {}])
      expect(classifyPostgresError(error)).toBe('fatal');
  });
});

describe('PostgresConnections', () => {
  const open = (options = {}): PostgresConnections =>
    new PostgresConnections({ connectionString: database.connectionString, ...options });
  const pid = async (connections: PostgresConnections): Promise<number> =>
    (await connections.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!.pid;

  test('at most max at once, first come, first served; waiting has a limit, and can be given up', async () => {
    await using small = open({ max: 2, acquireTimeoutMs: 1_000 });
    const order: number[] = [];
    const served = (i: number): Promise<unknown> =>
      small.withClient((client) => {
        order.push(i);
        return client.query('SELECT pg_sleep(0.01)');
      });
    // Both connections are made first: one may take longer than the other.
    await Promise.all(numbers(2).map(served));
    order.length = 0;
    await Promise.all(numbers(10).map(served));
    expect(small.stats).toEqual({ total: 2, idle: 2, waiting: 0 });
    expect(order).toEqual(numbers(10));

    const controller = new AbortController();
    const long = numbers(2).map(() => small.query('SELECT pg_sleep(2)'));
    const late = failure(small.query('SELECT 1'));
    const withdrawn = failure(small.query('SELECT 1', [], { signal: controller.signal }));
    expect(small.stats.waiting).toBe(2);
    controller.abort('given up');
    expect(await withdrawn).toBe('given up');
    expect(await late).toMatchObject({ code: 'TIMEOUT', timeoutMs: 1_000 });
    await Promise.all(long);
    expect(await pid(small)).toBeGreaterThan(0);
    expect(small.stats.waiting).toBe(0);
  });

  test('a statement that takes too long ends, and so does its connection', async () => {
    await using one = open({ max: 1, statementTimeoutMs: 1_000 });
    const before = await pid(one);
    const error = await failure(one.query('SELECT pg_sleep(20)'));
    expect(error).toMatchObject({ code: '57014' });
    expect(classifyPostgresError(error)).toBe('retry');
    const after = await pid(one);
    expect(after).not.toBe(before);
    expect(one.stats).toEqual({ total: 1, idle: 1, waiting: 0 });
  });

  test('a connection is kept after an error of data, destroyed after one of the program', async () => {
    await using one = open({ max: 1 });
    const first = await pid(one);
    await failure(one.query('SELECT 1/0'));
    expect(await pid(one)).toBe(first);
    await failure(one.withClient((client) => client.query('BEGIN').then(() => client.query('SELECT 1/0'))));
    const second = await pid(one);
    expect(second).not.toBe(first);
    await one.withClient((client) => client.query('BEGIN'));
    const third = await pid(one);
    expect(third).not.toBe(second);
    expect(await failure(one.withClient(() => Promise.reject(new RangeError('mine'))))).toBeInstanceOf(
      RangeError,
    );
    expect((await one.query('SHOW transaction_isolation')).rows).toHaveLength(1);
  });

  /** How often the server was seen with more backends of this name than `max`, and the most that were seen. */
  async function backendsDuring(name: string, work: () => Promise<unknown>): Promise<number> {
    let most = 0;
    let working = true;
    const watching = (async () => {
      while (working) {
        const [row] = await rowsOf(
          `SELECT count(*)::int AS count FROM pg_stat_activity WHERE application_name = '${name}'`,
        );
        most = Math.max(most, row!['count'] as number);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    await work();
    working = false;
    await watching;
    return most;
  }

  test('max holds at the server, too, when statements are aborted or take too long', async () => {
    await using two = open({ max: 2, pool: { application_name: 'aborted' } });
    const sleep = withTimeout(
      (_: number, { signal }: WorkContext) => two.query('SELECT pg_sleep(2)', [], { signal }),
      { timeoutMs: 50 },
    );
    const flow = fromPull(numbers(20)).pipe(poolMap(sleep, { concurrency: 2, onFailure: 'drop' }));
    expect(await backendsDuring('aborted', async () => runFlow(flow))).toBe(2);
    // Aborted at the very moment at which it is sent: the server hears of the cancellation before it hears of the statement.
    const atOnce = numbers(10).map(async (i) => {
      const controller = new AbortController();
      const slept = failure(
        two.withClient((client) => {
          const sleeping = client.query('SELECT pg_sleep(2)');
          controller.abort(i);
          return sleeping;
        }, controller),
      );
      expect(await slept).toBe(i);
    });
    expect(await backendsDuring('aborted', () => Promise.all(atOnce))).toBeLessThanOrEqual(2);

    const options = { max: 1, statementTimeoutMs: 500 };
    await using late = open({ ...options, pool: { application_name: 'late', statement_timeout: false } });
    expect(
      await backendsDuring('late', async () => {
        expect(await failure(late.query('SELECT pg_sleep(9)'))).toMatchObject({ code: 'TIMEOUT' });
        await late.query('SELECT 1');
      }),
    ).toBe(1);
    expect(
      await rowsOf("SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'"),
    ).toEqual([]);
  });

  test('what is cancelled changes nothing, and the next one does not wait for it', async () => {
    const name = await table('id int PRIMARY KEY');
    await using one = open({ max: 1 });
    const controller = new AbortController();
    const inserted = failure(
      one.query(`INSERT INTO ${name} SELECT 1 FROM pg_sleep(10)`, [], { signal: controller.signal }),
    );
    await expect
      .poll(() =>
        rowsOf(`SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'INSERT INTO ${name}%'`),
      )
      .toHaveLength(1);
    controller.abort(undefined);
    expect(await inserted).toMatchObject({ name: 'AbortError' });
    expect(await elapsedMs(() => one.query('SELECT 1'))).toBeLessThan(5_000);
    expect(await rowsOf(`SELECT * FROM ${name}`)).toEqual([]);
  });

  test('over a Unix socket, too', async () => {
    const proxy = await startProxy(database.connectionString, true);
    await using one = open({ connectionString: proxy.connectionString, max: 1 });
    const before = await pid(one);
    const controller = new AbortController();
    const slept = failure(one.query('SELECT pg_sleep(9)', [], { signal: controller.signal }));
    await expect
      .poll(() =>
        rowsOf("SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(9)'"),
      )
      .toHaveLength(1);
    controller.abort('enough');
    expect(await slept).toBe('enough');
    expect(await pid(one)).not.toBe(before);
    expect(await rowsOf(`SELECT 1 FROM pg_stat_activity WHERE pid = ${before}`)).toEqual([]);
    await one.close();
    await proxy.stop();
  });

  test('whatever is thrown, the connection comes back', async () => {
    await using one = open({ max: 1, acquireTimeoutMs: 2_000 });
    for (const thrown of [undefined, null, 'text', 0, Symbol('s')]) {
      const promise = one.withClient(() => Promise.reject(thrown as unknown as Error));
      expect(await promise.catch((error: unknown) => error)).toBe(thrown);
    }
    expect(await pid(one)).toBeGreaterThan(0);
    expect(one.stats).toEqual({ total: 1, idle: 1, waiting: 0 });
  });

  test('a network that swallows everything: the deadline holds, the connection is not used again', async () => {
    const proxy = await startProxy(database.connectionString);
    const swallowed = open({ connectionString: proxy.connectionString, max: 1, statementTimeoutMs: 500 });
    await swallowed.query('SELECT 1');
    proxy.swallow(true);
    const ms = await elapsedMs(async () => {
      const error = await failure(swallowed.query('SELECT 2'));
      expect(error).toMatchObject({ code: 'TIMEOUT' });
      expect(classifyPostgresError(error)).toBe('retry');
    });
    expect(ms).toBeLessThan(5_000);
    proxy.swallow(false);
    for (const value of numbers(3))
      expect((await swallowed.query('SELECT $1::int AS v', [value])).rows).toEqual([{ v: value }]);
    await swallowed.close();
    await proxy.stop();
  });

  test('a server that cannot be reached, or does not answer: an error to retry, within the limit', async () => {
    await using nowhere = open({ connectionString: 'postgres://postgres@127.0.0.1:1/x' });
    expect(classifyPostgresError(await failure(nowhere.query('SELECT 1')))).toBe('retry');
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    await using mute = open({
      connectionString: `postgres://postgres@127.0.0.1:${port}/x`,
      connectTimeoutMs: 200,
    });
    const ms = await elapsedMs(async () => {
      const error = await failure(mute.query('SELECT 1'));
      expect(error.message).toContain(`PostgreSQL at 127.0.0.1:${port}/x: `);
      expect(classifyPostgresError(error)).toBe('retry');
    });
    expect(ms).toBeLessThan(5_000);
    silent.close();
    const wrong = new URL(database.connectionString);
    wrong.pathname = '/no_such_database';
    await using fatal = open({ connectionString: wrong.href });
    expect(classifyPostgresError(await failure(fatal.query('SELECT 1')))).toBe('fatal');
  });

  test('idle connections that the server ends do no harm', async () => {
    await using some = open({ max: 3 });
    const pids = await Promise.all(
      numbers(3).map(() => some.query<{ pid: number }>('SELECT pg_backend_pid() AS pid, pg_sleep(0.05)')),
    );
    expect(some.stats.idle).toBe(3);
    await database.admin.query('SELECT pg_terminate_backend(p) FROM unnest($1::int[]) AS p', [
      pids.map(({ rows }) => rows[0]!.pid),
    ]);
    await expect.poll(() => some.stats.total).toBe(0);
    expect(await pid(some)).toBeGreaterThan(0);
  });

  test('close waits for what runs and waits, and refuses what is new', async () => {
    const closing = open({ max: 1 });
    const running = [closing.query('SELECT pg_sleep(0.1), 1 AS v'), closing.query('SELECT 2 AS v')];
    const closed = closing.close();
    expect(closing.close()).toBe(closed);
    expect(await failure(closing.query('SELECT 3'))).toMatchObject({ code: 'CONNECTIONS_CLOSED' });
    expect((await Promise.all(running)).map(({ rows }) => rows[0]!['v'])).toEqual([1, 2]);
    await closed;
    expect(closing.stats).toEqual({ total: 0, idle: 0, waiting: 0 });
  });

  test('close destroys after closeTimeoutMs what has not ended, even a client that nobody gives back', async () => {
    const closing = open({ max: 2, closeTimeoutMs: 200 });
    const stuck = [
      failure(closing.query('SELECT pg_sleep(30)')),
      failure(closing.withClient(() => new Promise(() => undefined))),
      failure(closing.query('SELECT 1')),
    ];
    await expect.poll(() => closing.stats.total).toBe(2);
    const ms = await elapsedMs(() => closing.close());
    expect(ms).toBeGreaterThan(190);
    expect(ms).toBeLessThan(4_000);
    for (const error of await Promise.all(stuck)) expect(error).toMatchObject({ code: 'CONNECTIONS_CLOSED' });
    expect(closing.stats).toEqual({ total: 0, idle: 0, waiting: 0 });
  });
});

describe('a lost connection', () => {
  const run = async (mode: string): Promise<{ code: number | null; output: string; errors: string }> => {
    await database.admin.query('DROP TABLE IF EXISTS lost_client');
    await database.admin.query('CREATE TABLE lost_client (id int PRIMARY KEY, value int)');
    const program = fileURLToPath(new URL('servers/lostClient.ts', import.meta.url));
    const child = spawn(process.execPath, [program, database.connectionString, mode]);
    let [output, errors] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output, errors };
  };

  test('of a checked-out client does not end the process, and the batch is stored once', async () => {
    const { code, output, errors } = await run('guarded');
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(JSON.parse(output)).toEqual({ stored: true, failures: ['retry'] });
    expect(await rowsOf('SELECT count(*)::int, sum(value)::int FROM lost_client')).toEqual([
      { count: 100, sum: 9_900 },
    ]);
  });

  test('sabotaged twin: without the listener on the client it does', async () => {
    const { code, errors } = await run('sabotaged');
    expect(code).toBe(1);
    expect(errors).toContain('terminating connection due to administrator command');
  });

  test('of the whole server, while writing: every batch is stored once it is back', async () => {
    const server = await startEmbeddedPostgres({ fsync: false });
    const connections = new PostgresConnections({ connectionString: server.connectionString, max: 4 });
    await connections.query('CREATE TABLE t (id int PRIMARY KEY, value int)');
    const sink = postgresTable<{ id: number; value: number }>(connections, 't', { key: ['id'] });
    const classes = new Set<string>();
    const crashed = deferred();
    let batches = 0;
    const write = async (start: number): Promise<void> => {
      for (let batch = 0; batch < 40; batch++) {
        if (batch === 30) await crashed.promise; // should that take long
        const rows = numbers(100).map((i) => ({ id: start + batch * 100 + i, value: batch }));
        for (let stored = false; !stored;) {
          try {
            await sink.store(rows, context);
            stored = true;
          } catch (error) {
            classes.add(sink.classify(error));
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
        }
        batches += 1;
      }
    };
    const writers = Promise.all(numbers(4).map((writer) => write(writer * 10_000)));
    await expect.poll(() => batches, { interval: 1 }).toBeGreaterThan(10);
    await server.crash();
    crashed.resolve();
    expect(batches).toBeLessThan(160);
    await expect.poll(() => classes.size).toBeGreaterThan(0);
    await server.restart();
    await writers;
    expect([...classes]).toEqual(['retry']);
    const { rows } = await connections.query('SELECT count(*)::int FROM t');
    expect(rows).toEqual([{ count: 16_000 }]);
    await connections.close();
    await server.stop();
  });
});

/** A proxy that can swallow everything, both ways; on a TCP port, or on a Unix socket. */
async function startProxy(
  connectionString: string,
  onUnixSocket = false,
): Promise<{ connectionString: string; swallow(on: boolean): void; stop(): Promise<void> }> {
  const url = new URL(connectionString);
  const target = { port: Number(url.port || 5_432), host: url.hostname };
  const sockets = new Set<Socket>();
  let swallowing = false;
  const pass = (from: Socket, to: Socket): void => {
    sockets.add(from);
    let dead = false;
    from.on('data', (chunk) => {
      // What was on the way while the network was gone does not come later.
      dead ||= swallowing;
      if (!dead) to.write(chunk);
    });
    from.on('error', () => undefined);
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  };
  const server = createServer((client) => {
    const upstream = connect(target);
    pass(client, upstream);
    pass(upstream, client);
  });
  if (onUnixSocket) {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-socket-'));
    server.on('close', () => rmSync(folder, { recursive: true }));
    await once(server.listen(join(folder, '.s.PGSQL.5432')), 'listening');
    url.port = '5432';
    url.searchParams.set('host', folder);
  } else {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    url.hostname = '127.0.0.1';
    url.port = String((server.address() as AddressInfo).port);
  }
  return {
    connectionString: url.href,
    swallow: (on) => void (swallowing = on),
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
