import { PassThrough } from 'node:stream';
import { map, pipe, retry, type OperatorFunction } from 'rxjs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { delays, filterOr, poolMap, retryDelayed, runFlow, storeTo } from 'sluice';
import {
  postgresCheckpoint,
  PostgresConnections,
  postgresTable,
  type PostgresCheckpoint,
  type PostgresCheckpointOptions,
} from 'sluice/postgres';
import { commitCutter } from './servers/commitCutter.ts';
import { openTestDatabase, type TestDatabase } from './servers/postgres.ts';
import { deferred } from '../support/deferred.ts';

let database: TestDatabase;
let db: PostgresConnections;
beforeAll(async () => {
  database = await openTestDatabase();
  db = new PostgresConnections({ connectionString: database.connectionString });
});
afterAll(async () => {
  await db.close();
  await database.stop();
});

interface Row {
  readonly id: number;
}

let names = 0;
/** A table without a key, and the name of a checkpoint. */
async function table(): Promise<string> {
  const name = `c${++names}`;
  await database.admin.query(`CREATE TABLE ${name} (id int)`);
  return name;
}

async function counts(name: string): Promise<{ rows: number; ids: number }> {
  const text = `SELECT count(*)::int AS rows, count(DISTINCT id)::int AS ids FROM ${name}`;
  return (await database.admin.query<{ rows: number; ids: number }>(text)).rows[0]!;
}

async function written(name: string): Promise<{ position: string; cursor: unknown; done: unknown[] }> {
  const text = 'SELECT position, cursor, done FROM sluice_checkpoints WHERE name = $1';
  return (await database.admin.query<{ position: string; cursor: unknown; done: unknown[] }>(text, [name]))
    .rows[0]!;
}

const ids = (count: number): number[] => Array.from({ length: count }, (_, id) => id);

async function rejection(promise: Promise<unknown>): Promise<{ code?: unknown; holder?: unknown }> {
  try {
    await promise;
  } catch (error) {
    return error as { code?: unknown };
  }
  throw new Error('it did not reject');
}

/** Out of order: every seventh item takes longer. */
const uneven = poolMap(
  async (id: number): Promise<Row> => {
    await new Promise((resolve) => setTimeout(resolve, id % 7 === 0 ? 8 : 0));
    return { id };
  },
  { concurrency: 8 },
);

const take = (name: string, options?: PostgresCheckpointOptions): Promise<PostgresCheckpoint> =>
  postgresCheckpoint(db, name, { ifHeld: 'takeOver', ...options });

test.each<[string, (row: (id: number) => Row) => OperatorFunction<number, Row>]>([
  [
    'work, under retry()',
    (row) =>
      pipe(
        poolMap(async (id: number) => row(id), { concurrency: 1 }),
        retry(2),
      ),
  ],
  [
    'work, under retryDelayed',
    (row) =>
      pipe(
        poolMap(async (id: number) => row(id), { concurrency: 1 }),
        retryDelayed(delays([1, 1])),
      ),
  ],
  ['a native operator, under retry()', (row) => pipe(map(row), retry(2))],
])(
  'an item that failed above the sink, be it the last, is given again, and no other: in %s',
  async (_, failing) => {
    const name = await table();
    await using checkpoint = await take(name);
    const toFail = new Set([4, 99]);
    const row = (id: number): Row => {
      if (toFail.delete(id)) throw new Error('once');
      return { id };
    };
    const flow = checkpoint
      .source(({ position }) => ids(100).slice(position))
      .pipe(failing(row), storeTo(checkpoint.sink(postgresTable(db, name)), { maxItems: 50, maxWaitMs: 20 }));
    expect(await runFlow(flow, { onWarning: () => undefined })).toMatchObject({
      end: 'completed',
      stored: 100,
    });
    expect(toFail.size).toBe(0);
    expect(await counts(name)).toEqual({ rows: 100, ids: 100 });
    expect(checkpoint.position).toBe(100);
  },
);

test('stopped again and again, in a table without a key: nothing is lost, nothing is stored twice', async () => {
  const name = await table();
  const all = ids(4_000);
  let runs = 0;
  for (let end = ''; end !== 'completed'; runs++) {
    // Nobody closes it, as nobody would after a crash: the next one takes over.
    const checkpoint = await take(name);
    const flow = checkpoint
      .source(({ position }) => all.slice(position))
      .pipe(uneven, storeTo(checkpoint.sink(postgresTable<Row>(db, name)), { maxItems: 50, concurrency: 3 }));
    const run = runFlow(flow);
    const timer = setTimeout(() => void run.abort(), 60 + 10 * runs);
    ({ end } = await run);
    clearTimeout(timer);
    if (end === 'completed') await checkpoint.close();
  }
  expect(runs).toBeGreaterThan(3);
  expect(await counts(name)).toEqual({ rows: 4_000, ids: 4_000 });
  expect(await written(name)).toEqual({ position: '4000', cursor: null, done: [] });
});

test('sabotaged twin: with the position alone, what was stored beyond it is stored twice', async () => {
  const name = await table();
  const all = ids(4_000);
  for (let runs = 0, end = ''; end !== 'completed'; runs++) {
    await take(name);
    await database.admin.query(`UPDATE sluice_checkpoints SET done = '[]' WHERE name = $1`, [name]);
    const careless = await take(name);
    const flow = careless
      .source(({ position }) => all.slice(position))
      .pipe(uneven, storeTo(careless.sink(postgresTable<Row>(db, name)), { maxItems: 50, concurrency: 3 }));
    const run = runFlow(flow);
    const timer = setTimeout(() => void run.abort(), 60 + 10 * runs);
    ({ end } = await run);
    clearTimeout(timer);
    if (end === 'completed') await careless.close();
  }
  const { rows, ids: distinct } = await counts(name);
  expect(distinct).toBe(4_000);
  expect(rows).toBeGreaterThan(4_000);
});

test('the same checkpoint goes on in the same process, at once after an abort', async () => {
  const name = await table();
  const all = ids(2_000);
  await using checkpoint = await take(name);
  const flow = checkpoint
    .source(({ position }) => all.slice(position))
    .pipe(uneven, storeTo(checkpoint.sink(postgresTable<Row>(db, name)), { maxItems: 20, concurrency: 4 }));
  for (let end = ''; end !== 'completed';) {
    const run = runFlow(flow);
    const timer = setTimeout(() => void run.abort(), 60);
    ({ end } = await run);
    clearTimeout(timer);
  }
  expect(await counts(name)).toEqual({ rows: 2_000, ids: 2_000 });
});

/** Stores 1,000 rows through a relay that cuts one COMMIT in ten. */
async function withLostAnswers(name: string, checkpointed: boolean): Promise<number> {
  const relay = await commitCutter(database.connectionString);
  await using cut = new PostgresConnections({ connectionString: relay.connectionString, max: 4 });
  await using checkpoint = await postgresCheckpoint(cut, name);
  const plain = postgresTable<Row>(cut, name);
  const unsafe = {
    ...plain,
    store: (items: readonly Row[]) =>
      cut.withClient(async (client) => {
        await client.query('BEGIN');
        await plain.write(client, items, { attempt: 1, signal: new AbortController().signal });
        await client.query('COMMIT');
      }),
  };
  let batches = 0;
  const sink = checkpointed ? checkpoint.sink(plain) : unsafe;
  const flow = checkpoint
    .source(({ position }) => ids(1_000).slice(position))
    .pipe(
      poolMap(async (id) => ({ id }), { concurrency: 4 }),
      storeTo(
        {
          ...sink,
          store: (items, context) => {
            if (++batches % 10 === 0) relay.cut(1);
            return sink.store(items, context);
          },
        },
        { maxItems: 10, concurrency: 3, retry: delays([10, 10, 10, 10]) },
      ),
    );
  await runFlow(flow);
  await checkpoint.close();
  await cut.close();
  await relay.stop();
  return relay.cuts;
}

test('F15: a COMMIT that gets no answer is looked up: nothing is stored twice, without a key', async () => {
  const name = await table();
  expect(await withLostAnswers(name, true)).toBeGreaterThan(5);
  expect(await counts(name)).toEqual({ rows: 1_000, ids: 1_000 });
});

test('F15, sabotaged twin: without the checkpoint in the transaction, rows are stored twice', async () => {
  const name = await table();
  expect(await withLostAnswers(name, false)).toBeGreaterThan(5);
  const { rows, ids: distinct } = await counts(name);
  expect(distinct).toBe(1_000);
  expect(rows).toBeGreaterThan(1_000);
});

test('F08: what one writes that was replaced is refused, and its flow ends', async () => {
  const name = await table();
  const zombie = await take(name);
  const paused = deferred();
  let pulled = 0;
  const flow = zombie
    .source(async function* () {
      for (const id of ids(100)) {
        pulled++;
        if (id === 50) await paused.promise;
        yield id;
      }
    })
    .pipe(
      poolMap(async (id) => ({ id }), { concurrency: 1 }),
      storeTo(zombie.sink(postgresTable<Row>(db, name)), { maxItems: 10, maxWaitMs: 5 }),
    );
  const run = runFlow(flow);
  await expect.poll(() => counts(name)).toEqual({ rows: 50, ids: 50 });

  await using successor = await take(name);
  expect(successor.position).toBe(50);
  paused.resolve();
  expect((await rejection(Promise.resolve(run))).code).toBe('CHECKPOINT_LOST');
  expect(await counts(name)).toEqual({ rows: 50, ids: 50 });
  expect(pulled).toBeLessThan(100);
  await runFlow(
    successor
      .source(({ position }) => ids(100).slice(position))
      .pipe(
        poolMap(async (id) => ({ id }), { concurrency: 1 }),
        storeTo(successor.sink(postgresTable<Row>(db, name))),
      ),
  );
  expect(await counts(name)).toEqual({ rows: 100, ids: 100 });
  await zombie.close(); // does no harm
  expect((await written(name)).position).toBe('100');
});

test('F09: a second instance fails with a clear error, or waits until the first lets go', async () => {
  const name = await table();
  const first = await postgresCheckpoint(db, name, { holder: 'the first', leaseMs: 2_000 });
  const error = await rejection(postgresCheckpoint(db, name, { ifHeld: 'fail' }));
  expect(error).toMatchObject({ code: 'CHECKPOINT_HELD', holder: 'the first' });
  expect((await rejection(postgresCheckpoint(db, name, { acquireTimeoutMs: 50 }))).code).toBe(
    'CHECKPOINT_HELD',
  );

  let got = false;
  const waiting = postgresCheckpoint(db, name).then((checkpoint) => {
    got = true;
    return checkpoint;
  });
  await new Promise((resolve) => setTimeout(resolve, 3_000)); // longer than the lease: the first one renews it
  expect(got).toBe(false);
  await first.close();
  await (await waiting).close();
});

test('the lease of one that is gone ends', async () => {
  const name = await table();
  const gone = new PostgresConnections({ connectionString: database.connectionString, max: 1 });
  await postgresCheckpoint(gone, name, { leaseMs: 500 });
  await gone.close(); // without a word
  await using next = await postgresCheckpoint(db, name, { acquireTimeoutMs: 20_000 });
  expect(next.position).toBe(0);
});

test('what was rejected, or became a dead letter, is done with too', async () => {
  const name = await table();
  const checkpoint = await take(name);
  const flow = checkpoint
    .source(() => ids(100))
    .pipe(
      poolMap(
        async (id) => {
          if (id % 10 === 3) throw new Error('bad');
          return { id };
        },
        { concurrency: 3, onFailure: 'drop' },
      ),
      filterOr(({ id }) => id < 40),
      storeTo(checkpoint.sink(postgresTable<Row>(db, name)), { maxItems: 7 }),
    );
  await runFlow(flow);
  await checkpoint.close();
  expect(await counts(name)).toEqual({ rows: 36, ids: 36 });
  expect(await written(name)).toEqual({ position: '100', cursor: null, done: [] });
});

test('goes on after a cursor', async () => {
  const name = await table();
  const opened: unknown[] = [];
  for (let runs = 0, end = ''; end !== 'completed'; runs++) {
    await using checkpoint = await take(name);
    const flow = checkpoint
      .source<number, { after: number }>(
        ({ cursor, position }) => {
          opened.push([position, cursor?.after]);
          return ids(300).slice(cursor ? cursor.after / 10 + 1 : 0);
        },
        { cursor: (id) => ({ after: id * 10 }), maxPending: 30 },
      )
      .pipe(uneven, storeTo(checkpoint.sink(postgresTable<Row>(db, name)), { maxItems: 9, concurrency: 2 }));
    const run = runFlow(flow);
    const timer = setTimeout(() => void run.abort(), 30 + 10 * runs);
    ({ end } = await run);
    clearTimeout(timer);
  }
  expect(await counts(name)).toEqual({ rows: 300, ids: 300 });
  expect(opened.length).toBeGreaterThan(1);
  for (const [position, after] of opened as [number, number | undefined][]) {
    expect(after).toBe(position === 0 ? undefined : (position - 1) * 10);
  }
  expect(await written(name)).toEqual({ position: '300', cursor: { after: 2_990 }, done: [] });
});

test('a cursor of several parts is the same again, whatever the order of its parts, and whatever is in its text', async () => {
  const name = await table();
  const cursor = (id: number): { page: string; n: number } => ({ page: `\0 ${id}`, n: id });
  const flowOf = (checkpoint: PostgresCheckpoint, stuck: number) =>
    checkpoint
      .source(({ position }) => ids(50).slice(position), { cursor })
      .pipe(
        poolMap(
          (id): Promise<Row> => (id === stuck ? new Promise(() => undefined) : Promise.resolve({ id })),
          {
            concurrency: 4,
          },
        ),
        storeTo(checkpoint.sink(postgresTable<Row>(db, name)), { maxItems: 5, maxWaitMs: 5 }),
      );
  const run = runFlow(flowOf(await take(name), 5));
  await expect.poll(() => counts(name)).toEqual({ rows: 49, ids: 49 });
  await run.abort();

  await using next = await take(name);
  expect(next.position).toBe(5);
  await runFlow(flowOf(next, -1));
  expect(await counts(name)).toEqual({ rows: 50, ids: 50 });
  expect((await written(name)).cursor).toEqual(cursor(49));
});

test('renewals that have to wait keep one connection and no more', async () => {
  const name = await table();
  await using few = new PostgresConnections({ connectionString: database.connectionString, max: 2 });
  await using _checkpoint = await postgresCheckpoint(few, name, { leaseMs: 100 });
  await database.admin.query('BEGIN');
  await database.admin.query('SELECT FROM sluice_checkpoints WHERE name = $1 FOR UPDATE', [name]);
  try {
    await new Promise((resolve) => setTimeout(resolve, 400));
    const asked = few.query('SELECT 1 AS one').then(({ rows }) => rows);
    const late = new Promise((resolve) => setTimeout(resolve, 5_000, 'no connection is left'));
    expect(await Promise.race([asked, late])).toEqual([{ one: 1 }]);
  } finally {
    await database.admin.query('ROLLBACK');
  }
});

test('a pool of one connection is enough', async () => {
  const name = await table();
  await using one = new PostgresConnections({ connectionString: database.connectionString, max: 1 });
  await using checkpoint = await postgresCheckpoint(one, name, { leaseMs: 100 }); // renews all the time
  const flow = checkpoint
    .source(() => ids(500))
    .pipe(
      poolMap(async (id) => ({ id }), { concurrency: 2 }),
      storeTo(checkpoint.sink(postgresTable<Row>(one, name)), {
        maxItems: 5,
        concurrency: 3,
        // A process that gets no time for as long as the lease loses its transaction, and with it the connection.
        retry: delays([10, 50, 100, 500]),
      }),
    );
  await runFlow(flow);
  expect(await counts(name)).toEqual({ rows: 500, ids: 500 });
});

test('a bad row does not keep the others of its batch from being stored once', async () => {
  const name = await table();
  await database.admin.query(`ALTER TABLE ${name} ADD CHECK (id <> 37)`);
  const letters: unknown[] = [];
  await using checkpoint = await take(name);
  const flow = checkpoint
    .source(() => ids(100))
    .pipe(
      poolMap(async (id) => ({ id }), { concurrency: 2 }),
      storeTo(checkpoint.sink(postgresTable<Row>(db, name)), {
        maxItems: 50,
        onFailure: ({ value }) => void letters.push(value),
      }),
    );
  await runFlow(flow);
  expect(letters).toEqual([{ id: 37 }]);
  expect(await counts(name)).toEqual({ rows: 99, ids: 99 });
  await checkpoint.close();
  expect((await written(name)).position).toBe('100');
});

test.each(['drain', 'abort'] as const)('a silent input is closed at once: %s', async (how) => {
  const name = await table();
  await using checkpoint = await take(name);
  const input = new PassThrough({ objectMode: true });
  const run = runFlow(checkpoint.source<number>(() => input).pipe(uneven), { drainTimeoutMs: 60_000 });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await run[how]()).toMatchObject({ end: how === 'drain' ? 'drained' : 'aborted', warnings: [] });
  expect(input.destroyed).toBe(true);
});
