import pg from 'pg';
import { finalize, firstValueFrom, take, toArray, type Observable } from 'rxjs';
import { afterAll, afterEach, beforeAll, describe, expect, expectTypeOf, test, vi } from 'vitest';
import { delays, poolMap, runFlow, type FlowRun } from 'sluice';
import {
  fromNotifications,
  fromTable,
  PostgresConnections,
  type DroppedNotification,
  type FromNotificationsOptions,
} from 'sluice/postgres';
import { sourceLaws } from '../../src/testing/laws/index.ts';
import { openTestDatabase, type TestDatabase } from './servers/postgres.ts';
import { deferred } from '../support/deferred.ts';

let database: TestDatabase;
let db: PostgresConnections;
beforeAll(async () => {
  database = await openTestDatabase();
  db = new PostgresConnections({ connectionString: database.connectionString, max: 4 });
  await database.admin.query(`
    CREATE TABLE jobs (id int PRIMARY KEY, done boolean NOT NULL DEFAULT false);
    CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql
      AS $$ BEGIN PERFORM pg_notify('jobs', NEW.id::text); RETURN NULL; END $$;
    CREATE TRIGGER told AFTER INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION tell()`);
});
const runs: FlowRun[] = [];
afterEach(async () => {
  for (const run of runs.splice(0)) await run.abort().then(undefined, () => undefined);
  await expect.poll(busy).toBe(0);
  await database.admin.query('TRUNCATE jobs');
});
afterAll(async () => {
  await db.close();
  await database.stop();
});

interface Job {
  readonly id: number;
}

const busy = (): number => db.stats.total - db.stats.idle;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const notify = async (channel: string, ...payloads: readonly string[]): Promise<void> => {
  const all =
    'SELECT pg_notify($1, payload) FROM unnest($2::text[]) WITH ORDINALITY AS p (payload, n) ORDER BY n';
  await database.admin.query(all, [channel, payloads]);
};
/** Backends that listen on a channel, as what they did last tells. */
const listeners = async (): Promise<number> => {
  const { rows } = await database.admin.query<{ count: number }>(
    `SELECT count(*)::int FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query LIKE '%pg_listening_channels%'
       AND pid <> pg_backend_pid()`,
  );
  return rows[0]!.count;
};
/** Whether this client was asked whether it listens, and has answered. */
const answered = async (client: pg.Client): Promise<boolean> => {
  const { processID } = client as unknown as { processID: number | null };
  const { rowCount } = await database.admin.query(
    "SELECT FROM pg_stat_activity WHERE pid = $1 AND state = 'idle' AND query LIKE '%pg_listening_channels%'",
    [processID],
  );
  return rowCount === 1;
};
const listening = async (): Promise<void> => {
  await expect.poll(listeners).toBe(1);
};
const insert = async (from: number, to: number): Promise<void> => {
  await database.admin.query('INSERT INTO jobs SELECT generate_series($1::int, $2::int)', [from, to]);
};
const raise = (): never => {
  throw new Error('mine');
};
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);
const undone = () => fromTable<Job>(db, 'jobs', { key: ['id'], where: 'NOT done', pageSize: 10 });
const decode = (payload: string): Job => ({ id: Number(payload) });

test('gives payloads in their order, from a channel of any name, and no others', async () => {
  const channel = 'Straße "7"; DROP TABLE jobs';
  const seen = firstValueFrom(fromNotifications(db, channel).pipe(take(5), toArray()));
  await listening();
  await notify('another', 'no');
  await notify(channel.toLowerCase(), 'no');
  await notify(channel, 'a', 'b', '');
  await database.admin.query(`NOTIFY "Straße ""7""; DROP TABLE jobs"`);
  await notify(channel, '{"ü": "\'"}');
  expect(await seen).toEqual(['a', 'b', '', '', '{"ü": "\'"}']);
  expectTypeOf(fromNotifications(db, channel)).toEqualTypeOf<Observable<string>>();
});

test('gives what decode makes of payloads; that it throws is an error, after what came before', async () => {
  const seen: Job[] = [];
  const flow = fromNotifications(db, 'jobs', { decode: (payload) => JSON.parse(payload) as Job });
  expectTypeOf(flow).toEqualTypeOf<Observable<Job>>();
  // @ts-expect-error -- Payloads are texts, and catchUp gives others.
  fromNotifications(db, 'jobs', { catchUp: undone });
  const run = runFlow(flow.pipe(poolMap(async (job) => void seen.push(job), { concurrency: 1 })));
  await listening();
  await notify('jobs', '{"id":1}', '{"id":2}', 'oops', '{"id":3}');
  const why = 'Unexpected token \'o\', "oops" is not valid JSON';
  await expect(Promise.resolve(run)).rejects.toMatchObject({
    message: `fromNotifications: channel 'jobs': a payload cannot be decoded: ${why}`,
    code: 'NOTIFICATION',
    channel: 'jobs',
    payload: 'oops',
    cause: expect.objectContaining({ name: 'SyntaxError', message: why }),
  });
  expect(seen).toEqual([{ id: 1 }, { id: 2 }]);
});

test('has a connection of its own, counted, and ends it when it is left', async () => {
  const subscription = fromNotifications(db, 'jobs').subscribe();
  await listening();
  expect(busy()).toBe(1);
  subscription.unsubscribe();
  await expect.poll(busy).toBe(0);
  await expect.poll(listeners).toBe(0);
});

test('abort ends it at once', async () => {
  const run = runFlow(fromNotifications(db, 'jobs', { catchUp: undone, decode }));
  await listening();
  const start = performance.now();
  expect((await run.abort()).end).toBe('aborted');
  expect(performance.now() - start).toBeLessThan(5_000); // and not when it would be asked whether it listens
  await expect.poll(listeners).toBe(0);
});

test('draining takes in no more, gives what came before, and completes', async () => {
  const release: (() => void)[] = [];
  const seen: string[] = [];
  const hold = async (payload: string): Promise<void> => {
    await new Promise<void>((resolve) => release.push(resolve));
    seen.push(payload);
  };
  const run = runFlow(fromNotifications(db, 'jobs').pipe(poolMap(hold, { concurrency: 1 })));
  await listening();
  await notify('jobs', 'a', 'b', 'c');
  await expect.poll(() => release.length).toBe(1);
  const drained = run.drain();
  await expect.poll(listeners).toBe(0);
  await notify('jobs', 'd');
  for (let n = 1; n <= 3; n++) {
    await expect.poll(() => release.length).toBe(1);
    release.pop()!();
  }
  expect(await drained).toMatchObject({ end: 'drained', itemsIn: 3, leftOver: 0 });
  expect(seen).toEqual(['a', 'b', 'c']);
});

test('draining ends it before it listens, and while it catches up', async () => {
  const first = runFlow(fromNotifications(db, 'jobs'));
  expect((await first.drain()).itemsIn).toBe(0);
  await insert(1, 100);
  const draining = deferred();
  const slow = poolMap(async (job: Job) => (job.id > 5 ? draining.promise.then(() => job) : job), {
    concurrency: 1,
  });
  const run = runFlow(fromNotifications(db, 'jobs', { decode, catchUp: undone }).pipe(slow));
  await expect.poll(() => run.report().itemsIn).toBeGreaterThan(5);
  const drained = run.drain();
  draining.resolve();
  const report = await drained;
  expect(report).toMatchObject({ end: 'drained', leftOver: 0 });
  expect(report.itemsIn).toBeLessThan(50);
});

describe('a slow consumer', () => {
  interface Held {
    readonly run: FlowRun;
    readonly seen: string[];
    readonly go: () => void;
  }
  /** One item is at work until `go`. */
  function held(options: FromNotificationsOptions): Held {
    let go = (): void => undefined;
    const started = new Promise<void>((resolve) => (go = resolve));
    const seen: string[] = [];
    const work = async (payload: string): Promise<void> => {
      await started;
      seen.push(payload);
    };
    const run = runFlow(fromNotifications(db, 'jobs', options).pipe(poolMap(work, { concurrency: 1 })));
    run.then(undefined, () => undefined);
    runs.push(run);
    return { run, seen, go };
  }
  /** As many as there is room for in the flow, and then more, one after the other, until that has shown. */
  async function overflow({ run }: Held, count: number, shown: () => Promise<void>): Promise<void> {
    await listening();
    await notify('jobs', '1');
    await expect.poll(() => run.report().itemsIn).toBe(1);
    for (let n = 2; n <= count; n++) await notify('jobs', String(n));
    await shown();
  }
  /** The source has failed: it takes in nothing more. */
  const ended = async (): Promise<void> => {
    await expect.poll(listeners).toBe(0);
  };

  test('is an error, by default, after what there was room for', async () => {
    const one = held({ capacity: 3 });
    await overflow(one, 10, ended);
    one.go();
    await expect(Promise.resolve(one.run)).rejects.toMatchObject({
      code: 'QUEUE_OVERFLOW',
      stage: 'fromNotifications',
      capacity: 3,
    });
    expect(one.seen).toEqual(['1', '2', '3', '4']);
  });

  test.each([
    ['dropOldest', ['8', '9', '10']],
    ['dropNewest', ['2', '3', '4']],
  ] as const)('%s: is told of what is dropped', async (policy, kept) => {
    const dropped: DroppedNotification[] = [];
    const one = held({ capacity: 3, overflow: policy, onDrop: (drop) => dropped.push(drop) });
    await overflow(one, 10, async () => {
      await expect.poll(() => dropped.length).toBe(6);
    });
    one.go();
    await expect.poll(() => one.seen).toEqual(['1', ...kept]);
    expect(one.seen.length + dropped.length).toBe(10);
    expect(new Set(dropped.map(({ reason }) => reason))).toEqual(new Set([policy]));
  });

  test('an onDrop that throws, or rejects, is an error of the source', async () => {
    for (const onDrop of [() => raise(), () => Promise.reject(new Error('mine'))]) {
      const one = held({ capacity: 1, overflow: 'dropNewest', onDrop });
      await overflow(one, 5, ended);
      one.go();
      await expect(Promise.resolve(one.run)).rejects.toThrow('mine');
    }
  });

  test('with a catchUp, forgets and reads the table: all comes, and no more than the bound is held', async () => {
    let catchUps = 0;
    const seen = new Set<number>();
    const work = async ({ id }: Job): Promise<void> => {
      await pause(1);
      seen.add(id);
      await db.query('UPDATE jobs SET done = true WHERE id = $1', [id]);
    };
    const flow = fromNotifications(db, 'jobs', {
      decode,
      capacity: 5,
      catchUp: () => {
        catchUps++;
        return undone();
      },
    });
    const run = runFlow(flow.pipe(poolMap(work, { concurrency: 2 })));
    runs.push(run);
    await listening();
    await expect.poll(() => catchUps).toBe(1);
    for (let n = 0; n < 20; n++) await insert(n * 50 + 1, n * 50 + 50);
    await expect.poll(() => seen.size, { timeout: 50_000 }).toBe(1_000);
    expect(catchUps).toBeGreaterThan(1);
    await run.drain();
  });

  test('sabotaged twin: dropped instead of caught up with, rows are lost', async () => {
    const seen = new Set<number>();
    let caughtUp = false;
    const flow = fromNotifications(db, 'jobs', {
      decode,
      capacity: 5,
      catchUp: () => undone().pipe(finalize(() => (caughtUp = true))),
      overflow: 'dropNewest',
    });
    const work = async ({ id }: Job): Promise<void> => pause(1).then(() => void seen.add(id));
    const run = runFlow(flow.pipe(poolMap(work, { concurrency: 2 })));
    runs.push(run);
    await expect.poll(() => caughtUp).toBe(true);
    await insert(1, 1_000);
    await pause(1_000);
    await run.drain();
    expect(seen.size).toBeLessThan(1_000);
  });
});

describe('catchUp', () => {
  test.each([
    ['an Observable', undone],
    ['a promise of rows', async () => (await db.query<Job>('SELECT id FROM jobs ORDER BY id')).rows],
    [
      'an async iterable',
      async function* () {
        yield* (await db.query<Job>('SELECT id FROM jobs ORDER BY id')).rows;
      },
    ],
    ['an array', () => upTo(30).map((id) => ({ id }))],
  ] as const)('may be %s, and comes before what comes later', async (_, catchUp) => {
    await insert(1, 30);
    const seen: number[] = [];
    const flow = fromNotifications(db, 'jobs', { decode, catchUp });
    const run = runFlow(flow.pipe(poolMap(async ({ id }) => void seen.push(id), { concurrency: 1 })));
    runs.push(run);
    await expect.poll(() => seen.length).toBe(30);
    await insert(31, 40);
    await expect.poll(() => seen.length).toBe(40);
    expect(seen).toEqual(upTo(40));
  });

  test('begins when LISTEN has begun: what is told of meanwhile is not lost', async () => {
    const seen = new Set<number>();
    let listened: number | undefined;
    const catchUp = async (): Promise<Job[]> => {
      listened = await listeners();
      const { rows } = await db.query<Job>('SELECT id FROM jobs');
      await insert(2, 2); // after the query, and before its end
      return rows;
    };
    await insert(1, 1);
    const flow = fromNotifications(db, 'jobs', { decode, catchUp });
    const run = runFlow(flow.pipe(poolMap(async ({ id }) => void seen.add(id), { concurrency: 1 })));
    runs.push(run);
    await expect.poll(() => [...seen]).toEqual([1, 2]);
    expect(listened).toBe(1);
  });

  test('sabotaged twin: read before LISTEN, a row is lost', async () => {
    const seen = new Set<number>();
    await insert(1, 1);
    const { rows } = await db.query<Job>('SELECT id FROM jobs');
    await insert(2, 2);
    const flow = fromNotifications(db, 'jobs', { decode, catchUp: () => rows });
    const run = runFlow(flow.pipe(poolMap(async ({ id }) => void seen.add(id), { concurrency: 1 })));
    runs.push(run);
    await listening();
    await insert(3, 3);
    await expect.poll(() => [...seen]).toEqual([1, 3]);
  });

  test('that fails is begun again where that may help, and else is an error', async () => {
    await insert(1, 3);
    let attempts = 0;
    const catchUp = async function* (): AsyncGenerator<Job> {
      yield { id: 1 };
      if (++attempts < 3) throw Object.assign(new Error('lost'), { code: 'ECONNRESET' });
      yield { id: 2 };
    };
    const seen: number[] = [];
    const retry = delays([1, 1]);
    const flow = fromNotifications(db, 'jobs', { decode, catchUp, retry });
    const run = runFlow(flow.pipe(poolMap(async ({ id }) => void seen.push(id), { concurrency: 1 })));
    runs.push(run);
    await expect.poll(() => seen).toEqual([1, 1, 1, 2]);
    const wrong = fromNotifications(db, 'jobs', {
      decode,
      catchUp: async () => (await db.query<Job>('SELECT nothing FROM jobs')).rows,
    });
    await expect(firstValueFrom(wrong)).rejects.toMatchObject({ code: '42703' });
  });
});

test('asks whether it still listens, and listens anew where its session does not', async () => {
  const clients: pg.Client[] = [];
  class Client extends pg.Client {
    constructor(config?: string | pg.ClientConfig) {
      super(config);
      clients.push(this);
    }
  }
  await using some = new PostgresConnections({
    connectionString: database.connectionString,
    pool: { Client },
  });
  const losses: unknown[] = [];
  const seen: string[] = [];
  const flow = fromNotifications(some, 'jobs', {
    keepAliveMs: 500, // within which a busy machine has to answer
    retry: delays([1]),
    onLost: ({ error }) => losses.push(error),
  });
  const run = runFlow(flow.pipe(poolMap(async (payload) => void seen.push(payload), { concurrency: 1 })));
  runs.push(run);
  for (let times = 1; times <= 3; times++) {
    await expect.poll(() => answered(clients.at(-1)!)).toBe(true); // so the policy begins anew
    expect(losses).toHaveLength(times - 1);
    expect(clients).toHaveLength(times);
    await notify('jobs', String(times));
    await expect.poll(() => seen.length).toBe(times);
    await clients.at(-1)!.query('UNLISTEN *');
    await expect.poll(() => clients.length).toBe(times + 1);
  }
  await run.drain();
  expect(seen).toEqual(['1', '2', '3']);
  expect(String(losses[0])).toContain('this session does not listen');
});

describe('the laws of sources', () => {
  const from = (catchUp: () => Iterable<Job>, count: number): Observable<Job> =>
    fromNotifications(db, 'jobs', { decode, catchUp }).pipe(take(count));
  function* broken(): Generator<Job> {
    yield* upTo(2).map((id) => ({ id }));
    throw new Error('broken');
  }
  const make = (count: number): Observable<Job> => from(() => upTo(count).map((id) => ({ id })), count);
  const laws = sourceLaws('fromNotifications', make, {
    failing: () => from(broken, 3),
    maxItems: 2_000,
    time: 'real',
  });
  for (const { name, check } of laws) test(name, check);
});

test('what cannot be mended is an error at once; what can, when the policy gives up', async () => {
  const url = new URL(database.connectionString);
  url.password = 'wrong';
  await using refused = new PostgresConnections({ connectionString: url.href });
  await expect(firstValueFrom(fromNotifications(refused, 'jobs'))).rejects.toMatchObject({ code: '28P01' });
  url.port = '1';
  await using nobody = new PostgresConnections({ connectionString: url.href });
  const waits: number[] = [];
  const tried = fromNotifications(nobody, 'jobs', {
    retry: delays([1, 2]),
    onLost: ({ waitMs }) => waits.push(waitMs),
  });
  await expect(firstValueFrom(tried)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  expect(waits).toEqual([1, 2]);
});

test('an onLost that throws, or rejects, is a warning, and changes nothing', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  await using nobody = new PostgresConnections({ connectionString: 'postgres://127.0.0.1:1/none' });
  for (const onLost of [() => raise(), () => Promise.reject(new Error('mine'))]) {
    const tried = fromNotifications(nobody, 'jobs', { retry: delays([1]), onLost });
    await expect(firstValueFrom(tried)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  }
  expect(warn.mock.calls).toEqual([1, 2].map(() => ['[sluice] fromNotifications: onLost failed: mine']));
  warn.mockRestore();
});

test('each subscription has a connection, and waits for one where there is none', async () => {
  const flow = fromNotifications(db, 'jobs');
  const seen: string[][] = [[], []];
  const subscriptions = seen.map((into) => flow.subscribe((payload) => into.push(payload)));
  await expect.poll(listeners).toBe(2);
  expect(busy()).toBe(2);
  await notify('jobs', 'a');
  await expect.poll(() => seen).toEqual([['a'], ['a']]);
  subscriptions[0]!.unsubscribe();
  await expect.poll(listeners).toBe(1);
  await notify('jobs', 'b');
  await expect.poll(() => seen).toEqual([['a'], ['a', 'b']]);
  subscriptions[1]!.unsubscribe();

  await using small = new PostgresConnections({
    connectionString: database.connectionString,
    max: 1,
    acquireTimeoutMs: 50,
  });
  const other = small.query('SELECT pg_sleep(0.3)');
  const losses: unknown[] = [];
  const first = firstValueFrom(
    fromNotifications(small, 'jobs', {
      retry: delays(Array.from({ length: 1_000 }, () => 20)),
      onLost: ({ error }) => losses.push(error),
    }),
  );
  await other;
  await listening();
  await notify('jobs', 'c');
  expect(await first).toBe('c');
  expect(losses.length).toBeGreaterThan(0);
  expect(losses[0]).toMatchObject({ code: 'TIMEOUT', timeoutMs: 50 });
});

test.each([
  [{ channel: '' }, /channel must be a string that is not empty/],
  [{ channel: 'ü'.repeat(32) }, /channel must be a name of 63 bytes or less/],
  [{ channel: 'a\0b' }, /channel must be a name of 63 bytes or less/],
  [{ capacity: 0 }, /capacity must be a whole number of 1 or more/],
  [{ overflow: 'catchUp' as const }, /overflow 'catchUp' needs a catchUp/],
  [{ overflow: 'wait' as 'fail' }, /overflow must be one of/],
  [{ keepAliveMs: 0 }, /keepAliveMs must be a finite number of 1 or more/],
  [{ name: '' }, /name must be a string that is not empty/],
])('refuses %o', (options, message) => {
  const { channel = 'jobs', ...rest } = options as { channel?: string };
  expect(() => fromNotifications(db, channel, rest)).toThrow(message);
});
