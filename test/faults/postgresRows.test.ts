import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { delays, fromPull, runFlow, storeTo, type DeadLetter, type Sink } from 'sluice';
import {
  classifyPostgresError,
  PostgresConnections,
  postgresTable,
  postgresTransaction,
  type PostgresSink,
} from 'sluice/postgres';
import { openTestDatabase, type TestDatabase } from '../integration/servers/postgres.ts';
import { deferred } from '../support/deferred.ts';

let database: TestDatabase;
let db: PostgresConnections;
beforeAll(async () => {
  database = await openTestDatabase();
  db = new PostgresConnections({ connectionString: database.connectionString, max: 8 });
});
afterAll(async () => {
  await db.close();
  await database.stop();
});

interface Row {
  readonly id: number;
  readonly value?: unknown;
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const context = { attempt: 1, signal: new AbortController().signal };

let tables = 0;
async function table(definition: string): Promise<string> {
  const name = `f${++tables}`;
  await database.admin.query(`CREATE TABLE ${name} (${definition})`);
  return name;
}

async function count(name: string, distinct = 'id'): Promise<[rows: number, distinct: number]> {
  const text = `SELECT count(*)::int AS rows, count(DISTINCT ${distinct})::int AS ids FROM ${name}`;
  const { rows } = await database.admin.query<{ rows: number; ids: number }>(text);
  return [rows[0]!.rows, rows[0]!.ids];
}

async function failure(promise: Promise<unknown>): Promise<Error & { code?: unknown }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not reject');
}

/** For ever: a busy machine may take its time to fill a batch, and it is to be a whole one. */
const maxWaitMs = 60_000;

/** Stores rows in batches of 500, and tells what became of them. */
async function storing(
  rows: readonly Row[],
  sink: Sink<Row>,
): Promise<{ letters: DeadLetter<Row>[]; calls: number }> {
  const letters: DeadLetter<Row>[] = [];
  let calls = 0;
  const counted: Sink<Row> = {
    store: (items, told) => {
      calls++;
      return sink.store(items, told);
    },
    classify: (error) => sink.classify?.(error) ?? 'retry',
  };
  const flow = fromPull(rows).pipe(
    storeTo(counted, { maxItems: 500, maxWaitMs, onFailure: (letter) => void letters.push(letter) }),
  );
  await runFlow(flow);
  return { letters, calls };
}

const poisons: [kind: string, type: string, good: unknown, bad: unknown, code: string][] = [
  ['of a wrong type', 'int', 1, 'one', '22P02'],
  ['that a check refuses', 'int CHECK (value > 0)', 1, -1, '23514'],
  ['that is too long', 'varchar(5)', 'short', 'too long', '22001'],
  ['with a NUL in a text', 'text', 'a', 'a\u0000', '22021'],
  ['with a NUL in jsonb', 'jsonb', { a: '' }, { a: '\u0000' }, '22P05'],
  ['that refers to nothing', 'int REFERENCES known', 1, 9, '23503'],
];

describe('poison rows', () => {
  beforeAll(() =>
    database.admin.query('CREATE TABLE known (id int PRIMARY KEY); INSERT INTO known VALUES (1)'),
  );
  const rowsWith = (bad: (id: number) => boolean, good: unknown, poison: unknown): Row[] =>
    numbers(500).map((id) => ({ id, value: bad(id) ? poison : good }));

  test.each(poisons)('F21: one row in 500 %s', async (_kind, type, good, bad, code) => {
    const name = await table(`id int PRIMARY KEY, value ${type}`);
    const sink = postgresTable<Row>(db, name, { key: ['id'] });
    const { letters, calls } = await storing(
      rowsWith((id) => id === 371, good, bad),
      sink,
    );
    expect(await count(name)).toEqual([499, 499]);
    expect(letters).toMatchObject([{ value: { id: 371 }, error: { code, column: 'value' } }]);
    expect(calls).toBeLessThanOrEqual(2 * Math.log2(500) + 2); // a statement each
  });

  test('F21, sabotaged twin: where the sink does not say that it is the data, 500 rows suffer', async () => {
    const name = await table('id int PRIMARY KEY, value int');
    const { store } = postgresTable<Row>(db, name, { key: ['id'] });
    const { letters } = await storing(
      rowsWith((id) => id === 371, 1, 'one'),
      { store },
    );
    expect(await count(name)).toEqual([0, 0]);
    expect(letters).toHaveLength(500);
  });

  test.each(poisons)('F22: 50 rows of 500, and all 500, %s', async (_kind, type, good, bad) => {
    const name = await table(`id int PRIMARY KEY, value ${type}`);
    const sink = postgresTable<Row>(db, name, { key: ['id'] });
    const some = await storing(
      rowsWith((id) => id % 10 === 3, good, bad),
      sink,
    );
    expect(some.letters.map(({ value }) => value.id)).toEqual(numbers(50).map((n) => n * 10 + 3));
    expect(await count(name)).toEqual([450, 450]);
    const all = await storing(
      rowsWith(() => true, good, bad),
      sink,
    );
    expect(all.letters).toHaveLength(500);
    expect(await count(name)).toEqual([450, 450]);
  });

  test('with nul: strip the rows are stored without', async () => {
    const name = await table('id int PRIMARY KEY, value jsonb, text text, texts text[]');
    const sink = postgresTable<Record<string, unknown>>(db, name, { key: ['id'], nul: 'strip' });
    const value = { 'k\u0000ey': 'a\u0000b', escaped: '\\u0000', twice: '\\\u0000' };
    await sink.store([{ id: 1, value, text: '\u0000x', texts: ['\u0000', 'y\u0000'] }], context);
    expect((await database.admin.query(`SELECT * FROM ${name}`)).rows).toEqual([
      { id: 1, value: { key: 'ab', escaped: '\\u0000', twice: '\\' }, text: 'x', texts: ['', 'y'] },
    ]);
  });
});

test('F23: a key three times in a batch is one row, and the last wins', async () => {
  const name = await table('id int PRIMARY KEY, value int');
  const rows = [1, 2, 3].flatMap((value) => numbers(200).map((id) => ({ id, value })));
  for (const via of ['unnest', 'copy'] as const) {
    await postgresTable<Row>(db, name, { key: ['id'], via }).store(rows, context);
    expect(await count(name)).toEqual([200, 200]);
    expect((await database.admin.query(`SELECT DISTINCT value FROM ${name}`)).rows).toEqual([{ value: 3 }]);
  }
});

test('F23, sabotaged twin: the statement alone is refused', async () => {
  const name = await table('id int PRIMARY KEY, value int');
  const text = `INSERT INTO ${name} SELECT * FROM unnest($1::int[], $2::int[])
                ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value`;
  expect(
    (
      await failure(
        db.query(text, [
          [1, 1],
          [1, 2],
        ]),
      )
    ).code,
  ).toBe('21000');
});

/** Numbers that are the same each time. */
function random(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
}

describe('F24: eight writers, overlapping keys in random order', () => {
  /** Errors in so many rounds. */
  async function rounds(
    limit: number,
    store: (rows: readonly Row[]) => Promise<unknown>,
  ): Promise<unknown[]> {
    const next = random(24);
    const errors: unknown[] = [];
    for (let round = 0; round < limit && errors.length === 0; round++) {
      const batches = numbers(8).map((writer) =>
        numbers(150)
          .map((id) => ({ row: { id, value: writer }, place: next() }))
          .sort((a, b) => a.place - b.place)
          .slice(0, 120)
          .map(({ row }) => row),
      );
      const results = await Promise.allSettled(batches.map(store));
      for (const result of results)
        if (result.status === 'rejected') errors.push((result.reason as { code?: unknown }).code);
    }
    return errors;
  }

  test.each(['unnest', 'copy'] as const)('200 rounds, no deadlock: by %s', async (via) => {
    const name = await table('id int PRIMARY KEY, value int');
    const sink = postgresTable<Row>(db, name, { key: ['id'], via });
    expect(await rounds(via === 'unnest' ? 200 : 50, (rows) => sink.store(rows, context))).toEqual([]);
    expect(await count(name)).toEqual([150, 150]);
  });

  test('sabotaged twin: unsorted, there is one; tried again, it is clean all the same', async () => {
    const name = await table('id int PRIMARY KEY, value int');
    await database.admin.query(`INSERT INTO ${name} SELECT n, 0 FROM generate_series(0, 149) AS n`);
    // Each row takes its time, so that the writers do meet.
    await database.admin.query(
      `CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END $$;
       CREATE TRIGGER linger BEFORE UPDATE ON ${name} FOR EACH ROW EXECUTE FUNCTION linger()`,
    );
    const text = `INSERT INTO ${name} SELECT * FROM unnest($1::int[], $2::int[])
                  ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value`;
    const unsorted = (rows: readonly Row[]): Promise<unknown> =>
      db.query(text, [rows.map(({ id }) => id), rows.map(({ value }) => value)]);
    const errors = await rounds(200, unsorted);
    expect(errors).toContain('40P01');
    expect(classifyPostgresError({ code: '40P01' })).toBe('retry');
  });
});

describe('F25: more values than a statement has parameters', () => {
  test('40,001 rows of 3 columns, and 1,600 columns', async () => {
    const long = await table('id int PRIMARY KEY, a int, b int');
    const rows = numbers(40_001).map((id) => ({ id, a: id, b: id }));
    await postgresTable<{ id: number; a: number; b: number }>(db, long, { key: ['id'], via: 'unnest' }).store(
      rows,
      context,
    );
    expect(await count(long)).toEqual([40_001, 40_001]);
    const names = numbers(1_600).map((n) => `c${n}`);
    const wide = await table(names.map((name) => `${name} int`).join(', '));
    const row = Object.fromEntries(names.map((name, n) => [name, n % 3]));
    for (const via of ['unnest', 'copy'] as const)
      await postgresTable<Record<string, number>>(db, wide, { via }).store(Array(50).fill(row), context);
    expect(await count(wide, 'c1599')).toEqual([100, 1]);
  });

  test('sabotaged twin: one parameter a value is refused, or its number wraps', async () => {
    const name = await table('id int, a int, b int');
    const values = numbers(40_001).map((n) => `($${3 * n + 1}::int, $${3 * n + 2}::int, $${3 * n + 3}::int)`);
    const text = `INSERT INTO ${name} VALUES ${values.join(', ')}`;
    await failure(db.query(text, numbers(120_003)));
    expect(await count(name)).toEqual([0, 0]);
  });
});

describe('F26: COMMIT does not do what was asked', () => {
  const insert =
    (name: string) =>
    async (client: { query(text: string, values: unknown[]): Promise<unknown> }, rows: readonly Row[]) => {
      await client.query(`INSERT INTO ${name} SELECT * FROM unnest($1::int[], $2::int[])`, [
        rows.map(({ id }) => id),
        rows.map(({ value }) => value),
      ]);
    };
  const rows = numbers(20).map((id) => ({ id, value: id === 13 ? 9 : 1 }));

  test('a deferred constraint fails at COMMIT: the others are stored, one is a dead letter', async () => {
    await database.admin.query('CREATE TABLE IF NOT EXISTS known (id int PRIMARY KEY)');
    await database.admin.query('INSERT INTO known VALUES (1) ON CONFLICT DO NOTHING');
    const name = await table('id int, value int REFERENCES known DEFERRABLE INITIALLY DEFERRED');
    const { letters } = await storing(rows, postgresTransaction<Row>(db, insert(name)));
    expect(letters).toMatchObject([{ value: { id: 13 }, error: { code: '23503' } }]);
    expect(await count(name)).toEqual([19, 19]);
  });

  /** A user's work that hides the error of a statement. */
  const careless =
    (name: string): Parameters<typeof postgresTransaction<Row>>[1] =>
    async (client, items) => {
      await insert(name)(client, items).catch(() => undefined);
    };

  test('a statement fails, its error is hidden, and COMMIT "succeeds": the tag tells', async () => {
    const name = await table('id int, value int CHECK (value < 5)');
    const sink = postgresTransaction<Row>(db, careless(name));
    const error = await failure(sink.store(rows, context));
    expect([error.code, sink.classify(error)]).toEqual(['TRANSACTION_LOST', 'data']);
    const { letters } = await storing(rows, sink);
    expect(letters).toMatchObject([{ value: { id: 13 }, error: { code: 'TRANSACTION_LOST' } }]);
    expect(await count(name)).toEqual([19, 19]);
  });

  test('sabotaged twin: where nobody looks at the tag, all is said to be stored, and nothing is', async () => {
    const name = await table('id int, value int CHECK (value < 5)');
    const { letters } = await storing(rows, {
      store: (items) =>
        db.withClient(async (client) => {
          await client.query('BEGIN');
          await careless(name)(client, items, context);
          await client.query('COMMIT');
        }),
    });
    expect(letters).toEqual([]);
    expect(await count(name)).toEqual([0, 0]);
  });
});

describe.each([
  ['straight into the table', undefined],
  ['by way of a temporary one', ['id'] as const],
])('F27: COPY %s', (_way, key) => {
  const definition = key ? 'id int PRIMARY KEY, value text' : 'id int, value text';
  const rows = numbers(20_000).map((id) => ({ id, value: `row ${id} `.padEnd(40, '.') }));
  const sinkInto = (name: string): PostgresSink<Row> =>
    postgresTable<Row>(db, name, { ...(key && { key }), via: 'copy' });

  test('the source fails midway: nothing is there, and the client is as good as before, or gone', async () => {
    const name = await table(definition);
    const sink = sinkInto(name);
    const broken = {
      toPostgres() {
        throw new Error('cannot be written');
      },
    };
    const bad = rows.map((row) => (row.id === 15_000 ? { id: row.id, value: broken } : row));
    expect((await failure(sink.store(bad, context))).message).toBe('cannot be written');
    expect(await count(name)).toEqual([0, 0]);
    await Promise.all(numbers(8).map(() => db.query('SELECT 1'))); // whoever gets that client
    await sink.store(rows, context);
    expect(await count(name)).toEqual([20_000, 20_000]);
  });

  test('the server is killed midway: nothing is there, and tried again it is there once', async () => {
    const name = await table(definition);
    // The 12,000th row waits to be killed, the first time that it comes: a sequence forgets nothing.
    await database.admin.query(
      `CREATE SEQUENCE ${name}_times;
       CREATE OR REPLACE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN IF nextval(TG_ARGV[0]::regclass) = 1 THEN PERFORM pg_sleep(60); END IF; RETURN NEW; END $$;
       CREATE TRIGGER pause BEFORE INSERT ON ${name} FOR EACH ROW WHEN (NEW.id = 12000)
         EXECUTE FUNCTION pause('${name}_times')`,
    );
    let attempts = 0;
    const counted = deferred();
    const sink = sinkInto(name);
    const watched: Sink<Row> = {
      ...sink,
      store: async (items, told) => {
        attempts = told.attempt;
        if (attempts > 1) await counted.promise;
        await sink.store(items, told);
      },
    };
    const run = runFlow(
      fromPull(rows).pipe(storeTo(watched, { maxItems: 20_000, maxWaitMs, retry: delays([10, 10]) })),
    );
    const kill = `SELECT count(pg_terminate_backend(pid))::int AS killed FROM pg_stat_activity
                   WHERE wait_event = 'PgSleep' AND query LIKE $1`;
    await expect
      .poll(
        async () => (await database.admin.query<{ killed: number }>(kill, [`%${name}%`])).rows[0]!.killed,
        { interval: 20 },
      )
      .toBe(1);
    expect(await count(name)).toEqual([0, 0]);
    counted.resolve();
    await run;
    expect(attempts).toBe(2);
    expect(await count(name)).toEqual([20_000, 20_000]);
  });

  test('a bad row midway: it alone is a dead letter, the others are there once', async () => {
    const name = await table(`${definition}, CHECK (value <> 'bad')`);
    const sink = postgresTable<Row>(db, name, key && { key }); // small batches go by parameters
    const letters: DeadLetter<Row>[] = [];
    const bad = rows.map((row) => (row.id === 15_000 ? { ...row, value: 'bad' } : row));
    const flow = fromPull(bad).pipe(
      storeTo(sink, { maxItems: 20_000, maxWaitMs, onFailure: (letter) => void letters.push(letter) }),
    );
    await runFlow(flow);
    expect(letters).toMatchObject([{ value: { id: 15_000 }, error: { code: '23514', column: 'value' } }]);
    expect(await count(name)).toEqual([19_999, 19_999]);
  });
});

test('F27, sabotaged twin: a COPY for each part of a batch leaves what came before the fault', async () => {
  const name = await table('id int, value text CHECK (value IS NOT NULL)');
  const sink = postgresTable<Row>(db, name, { via: 'copy' });
  const inParts: Sink<Row> = {
    ...sink,
    async store(items, told) {
      for (let i = 0; i < items.length; i += 100) await sink.store(items.slice(i, i + 100), told);
    },
  };
  const rows = numbers(400).map((id) => ({ id, value: id === 250 ? null : 'x' }));
  const { letters } = await storing(rows, inParts);
  expect(letters).toHaveLength(1);
  const [all, distinct] = await count(name);
  expect(distinct).toBe(399);
  expect(all).toBeGreaterThan(399); // stored, and stored again
});
