import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PostgresConnections } from 'sluice/postgres';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../examples/support/embeddedPostgres.ts';
import { cli, figure, freshBuild, root, run, start, type Ended, type StartOptions } from './programs.ts';
import { deferred } from '../support/deferred.ts';

let server: EmbeddedPostgres;
let db: PostgresConnections;
let folder: string;

beforeAll(async () => {
  freshBuild();
  server = await startEmbeddedPostgres({ fsync: false });
  db = new PostgresConnections({ connectionString: server.connectionString });
  folder = await mkdtemp(join(tmpdir(), 'sluice-cli-'));
}, 120_000);
afterAll(async () => {
  await db.close();
  await server.stop();
  await rm(folder, { recursive: true });
});

const table = 'orders';
beforeEach(async () => {
  await db.query(`CREATE TABLE ${table} (id bigint PRIMARY KEY, timestamp timestamptz, value numeric NOT NULL, source text,
    type text, payload jsonb, CHECK (value < 5000))`);
});
afterEach(async () => {
  await db.query(`DROP TABLE ${table}`);
});

interface BadEntry {
  input: string;
  line: number;
  error: string;
  record: string;
}

interface Order {
  id: number;
  timestamp: string;
  value: number;
  source: string;
}

const order = (id: number): Order => ({
  id,
  timestamp: new Date(1_700_000_000_000 + id * 1_000).toISOString(),
  value: ((id * 7_919) % 1_000) + 1,
  source: 'ABC'[id % 3]!,
});
const orders = (count: number): Order[] => Array.from({ length: count }, (_, i) => order(i + 1));
const ndjson = (records: readonly unknown[]): string =>
  records.map((record) => `${typeof record === 'string' ? record : JSON.stringify(record)}\n`).join('');

async function file(records: readonly unknown[], name = 'orders.ndjson'): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, ndjson(records));
  return path;
}

const withoutDefaults = { DATABASE_URL: '', SLUICE_DEBUG: '' };
const target = (): string[] => ['--database', server.connectionString, '--table', table, '--key', 'id'];

const collect = (args: readonly string[], options: StartOptions = {}): Promise<Ended> =>
  run(cli, ['collect', ...target(), ...args], { ...options, env: { ...withoutDefaults, ...options.env } });

async function select<R = { id: string }>(what = 'id', rest = 'ORDER BY id'): Promise<R[]> {
  return (await db.query(`SELECT ${what} FROM ${table} ${rest}`)).rows as R[];
}
const count = async (): Promise<number> =>
  Number((await select<{ count: string }>('count(*)', ''))[0]?.count);

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('it takes too long');
    await sleep(20);
  }
}

/** Resolves when a program has a connection: long before, a signal would just end it. */
function connected(): Promise<void> {
  return until(async () => {
    const { rows } = await db.query("SELECT FROM pg_stat_activity WHERE application_name = 'sluice'");
    return rows.length > 0;
  });
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const late = sleep(ms, undefined, { ref: false }).then(() =>
    Promise.reject(new Error('it takes too long')),
  );
  return Promise.race([promise, late]);
}

/** Each row takes this long to be stored. */
async function slowDown(ms: number): Promise<void> {
  await db.query(`CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(${ms / 1_000}); RETURN new; END $$`);
  await db.query(`CREATE TRIGGER slow BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION slow()`);
}

async function withServer(listener: RequestListener, body: (origin: string) => Promise<void>): Promise<void> {
  const http = createServer(listener).listen(0, '127.0.0.1');
  await once(http, 'listening');
  try {
    await body(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
  } finally {
    http.closeAllConnections();
    http.close();
  }
}

async function namedPipe(name: string): Promise<string> {
  const path = join(folder, `${name}.pipe`);
  execFileSync('mkfifo', [path]);
  return path;
}

describe('input', () => {
  test('CSV, compressed, typed for --where; an empty field is NULL', async () => {
    const rows = orders(200).map(
      (o) => `${o.id},${o.timestamp},${o.value},${o.id % 2 === 0 ? '' : o.source}`,
    );
    const path = join(folder, 'orders.csv.gz');
    await writeFile(path, gzipSync(`id,timestamp,value,source\r\n${rows.join('\r\n')}\r\n`));
    const types = ['--types', 'id:number,value:number'];
    const ended = await collect(['--input', path, '--where', 'value > 500 && id % 2 == 0', ...types]);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const wanted = orders(200).filter(({ id, value }) => value > 500 && id % 2 === 0);
    const stored = await select<{ id: string; value: string; source: unknown }>('id, value, source');
    expect(stored.map((row) => ({ ...row, id: Number(row.id), value: Number(row.value) }))).toEqual(
      wanted.map(({ id, value }) => ({ id, value, source: null })),
    );
  });

  test('CSV: bad records are told by line and field, and --format says what no name says', async () => {
    const text = 'id,value\n1,10\n2,oops\n3\n4,40\n';
    const bad = join(folder, 'bad-rows.ndjson');
    const args = ['--input', '-', '--format', 'csv', '--types', 'value:number', '--on-bad-record', bad];
    const ended = await collect(args, { input: text });
    expect(ended.code).toBe(0);
    expect(await select()).toEqual([{ id: '1' }, { id: '4' }]);
    const entries = (await readFile(bad, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as BadEntry);
    expect(entries.map(({ line, error, record }) => [line, error, record])).toEqual([
      [3, "field 'value' is not a number", '["2","oops"]'],
      [4, 'it has 1 fields, and the header has 2', '["3"]'],
    ]);
  });

  test('CSV: a condition that needs a number says how a field comes to be one', async () => {
    const ended = await collect(['--input', '-', '--format', 'csv', '--where', 'value > 5'], {
      input: 'id,value\n1,10\n',
    });
    expect(ended.stderr).toContain(
      "-:2: field 'value' is a string, which --where 'value > 5' cannot use (no such overload: string > int); " +
        'say what it is, as in --types value:number',
    );
    const ndjsonOnly = await collect(['--input', '-', '--where', 'value > 5'], {
      input: ndjson([{ id: 1, value: 'x' }]),
    });
    expect(ndjsonOnly.stderr).toMatch(/string > int\)$/m);
  });

  test('the files of a pattern, in the order of their names; a bad record names its file', async () => {
    await writeFile(
      join(folder, 'part-2.ndjson.zst'),
      zstdCompressSync(ndjson([order(1), 'oops', order(3)])),
    );
    await writeFile(
      join(folder, 'part-1.ndjson.gz'),
      gzipSync(ndjson([{ ...order(1), value: 1 }, order(2)])),
    );
    const pattern = join(folder, 'part-*');
    const ended = await collect(['--input', pattern, '--on-bad-record', 'skip']);
    expect(ended.code).toBe(0);
    const rows = await select<{ id: string; value: string }>('id, value');
    expect(rows.map(({ id, value }) => [Number(id), Number(value)])).toEqual(
      [1, 2, 3].map((id) => [id, order(id).value]),
    );
    const strict = await collect(['--input', pattern]);
    expect(strict.code).toBe(2);
    expect(strict.stdout).toContain('Drained, perhaps before all input was read: nothing was left over.');
    expect(strict.stderr).toContain('part-2.ndjson.zst:2: it is not JSON');
    const none = await collect(['--input', join(folder, 'nothing-*.csv')]);
    expect(none).toMatchObject({ code: 2 });
    expect(none.stderr).toContain('there are no such files');
  });

  test('a compressed file that is cut short is an error, after what was read', async () => {
    const whole = gzipSync(ndjson(orders(5_000)));
    const path = join(folder, 'cut.ndjson.gz');
    await writeFile(path, whole.subarray(0, whole.length - 20));
    const ended = await collect(['--input', path]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain('cut.ndjson.gz: the gzip data ends in the middle');
    expect(await count()).toBe(figure(ended, 'stored'));
    expect(await count()).toBeLessThan(5_001);
  });

  test('a file is filtered and stored, and a second run changes nothing', async () => {
    const input = await file(orders(1_000));
    const wanted = orders(1_000).filter(({ value }) => value > 500);
    for (let again = 0; again < 2; again++) {
      const ended = await collect(['--input', input, '--where', 'value > 500', '--workers', '8']);
      expect(ended).toMatchObject({ code: 0, stderr: '' });
      expect(figure(ended, 'processed')).toBe(1_000);
      expect(figure(ended, 'stored')).toBe(wanted.length);
      expect(figure(ended, 'rejected')).toBe(1_000 - wanted.length);
      expect(ended.stdout).toMatch(/limits the run|was busy half of the time/);
      const rows = await select<{ id: string; value: string; timestamp: Date }>('id, value, timestamp');
      expect(
        rows.map((row) => ({
          id: Number(row.id),
          value: Number(row.value),
          timestamp: row.timestamp.toISOString(),
        })),
      ).toEqual(wanted.map(({ id, value, timestamp }) => ({ id, value, timestamp })));
    }
  });

  test('standard input, by the variable DATABASE_URL, and without the word collect', async () => {
    const args = ['--input', '-', '--table', table, '--key', 'id'];
    const env = { ...withoutDefaults, DATABASE_URL: server.connectionString };
    expect((await run(cli, args, { env, input: ndjson(orders(300)) })).code).toBe(0);
    expect(await count()).toBe(300);
  });

  test('an http address', async () => {
    const body = ndjson(orders(500));
    await withServer(
      (_request, response) => response.end(body),
      async (origin) => {
        expect(await collect(['--input', `${origin}/orders.ndjson`])).toMatchObject({ code: 0, stderr: '' });
      },
    );
    expect(await count()).toBe(500);
  });

  test('a body that ends early is an error, and what came is stored', async () => {
    const body = ndjson(orders(100));
    await withServer(
      (_request, response) => {
        response.writeHead(200, { 'content-length': body.length * 2 });
        response.write(body, () => setTimeout(() => response.destroy(), 50));
      },
      async (origin) => {
        const ended = await collect(['--input', `${origin}/orders.ndjson`]);
        expect(ended.code).toBe(1);
        expect(ended.stderr).toContain('the body ended early');
        expect(ended.stderr).toContain('100 records stored');
      },
    );
    expect(await count()).toBe(100);
  });

  test('an address that is not there is wrong input, and its password is not shown', async () => {
    await withServer(
      (_request, response) => response.writeHead(404).end(),
      async (origin) => {
        const ended = await collect(['--input', `${origin.replace('//', '//user:geheim@')}/orders.ndjson`]);
        expect(ended.code).toBe(2);
        expect(ended.stderr).toContain('status 404');
        expect(ended.stderr).not.toContain('geheim');
      },
    );
  });

  test('a pipe with a name, whose writer comes late, and one without', async () => {
    const pipe = await namedPipe('read');
    const reading = collect(['--input', pipe]);
    await sleep(300);
    await writeFile(pipe, ndjson(orders(2_000)));
    expect(await reading).toMatchObject({ code: 0, stderr: '' });
    expect(await count()).toBe(2_000);

    // What `<(command)` stands for. The writer is gone before it is read.
    const script = `{ printf '%s' "$INPUT"; } | { sleep 0.3; exec "$@"; }`;
    const args = ['-c', script, 'sh', process.execPath, cli, ...target(), '--input', '/dev/fd/0'];
    const env = { ...process.env, ...withoutDefaults, INPUT: ndjson([{ id: 9_999, value: 1 }]) };
    const child = spawn('sh', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(await count()).toBe(2_001);
  });

  test('bytes that are not UTF-8 are a bad record over http as in a file', async () => {
    const bytes = Buffer.from(
      '{"id":1,"value":1}\n{"id":2,"value":2,"source":"\xff"}\n{"id":3,"value":3}\n',
      'latin1',
    );
    await withServer(
      (_request, response) => response.end(bytes),
      async (origin) => {
        const strict = await collect(['--input', `${origin}/orders.ndjson`]);
        expect(strict.code).toBe(2);
        expect(strict.stderr).toContain('/orders.ndjson:2: it is not UTF-8');
        const lenient = await collect(['--input', `${origin}/orders.ndjson`, '--on-bad-record', 'skip']);
        expect(lenient.code).toBe(0);
      },
    );
    expect(await select('id::int, source')).toEqual([
      { id: 1, source: null },
      { id: 3, source: null },
    ]);
  });

  test('blank lines, \\r\\n and a last line without its end are read; an empty input is no error', async () => {
    const lines = orders(3).map((record) => JSON.stringify(record));
    const input = `${lines[0]!}\r\n\r\n${lines[1]!}\n\n  \n${lines[2]!}`;
    const ended = await collect(['--input', '-'], { input });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(await count()).toBe(3);
    expect((await collect(['--input', '-'], { input: '' })).code).toBe(0);
  });

  test('of two records with one key the later wins, in one batch and across batches', async () => {
    const records = [...orders(50), ...orders(50).map((record) => ({ ...record, source: 'late' }))];
    for (const batch of ['500', '7']) {
      await db.query(`TRUNCATE ${table}`);
      await collect(['--input', '-', '--batch', batch], { input: ndjson(records) });
      expect(await select('DISTINCT source', '')).toEqual([{ source: 'late' }]);
    }
  });

  test('the name of a table is taken letter by letter', async () => {
    await db.query('CREATE TABLE "Sales" (LIKE orders INCLUDING ALL)');
    try {
      const ended = await collect(['--input', '-', '--table', 'Sales'], { input: ndjson(orders(3)) });
      expect(ended).toMatchObject({ code: 0, stderr: '' });
      expect((await db.query('SELECT FROM "Sales"')).rowCount).toBe(3);
    } finally {
      await db.query('DROP TABLE "Sales"');
    }
  });

  test('numbers that JavaScript would round are stored as they were written', async () => {
    const input =
      '{"id":9007199254740993,"value":0.12345678901234567891,"payload":{"deep":[12345678901234567890]}}\n';
    expect((await collect(['--input', '-', '--where', 'id == 9007199254740993'], { input })).code).toBe(0);
    expect(await select('id, value, payload::text')).toEqual([
      {
        id: '9007199254740993',
        value: '0.12345678901234567891',
        payload: '{"deep": [12345678901234567890]}',
      },
    ]);
  });

  test('a line without end does not fill the memory', async () => {
    const ended = await collect(['--input', '-'], { input: 'x'.repeat(17_000_000) });
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain('line 1 is longer than 16777216 bytes');
  });

  test('input that is larger than the memory passes through', async () => {
    const { child, ended } = start(cli, ['collect', ...target(), '--input', '-', '--where', 'value > 1000'], {
      node: ['--max-old-space-size=32'],
      env: withoutDefaults,
    });
    const chunk = ndjson(orders(1_000).map((record) => ({ ...record, source: 'x'.repeat(400) })));
    for (let i = 0; i < 100; i++) if (!child.stdin!.write(chunk)) await once(child.stdin!, 'drain');
    child.stdin!.end();
    const end = await ended;
    expect(end).toMatchObject({ code: 0 });
    expect(figure(end, 'rejected')).toBe(100_000);
  });

  test('a table that is locked makes the input wait', async () => {
    const { child, ended } = start(cli, ['collect', ...target(), '--input', '-'], { env: withoutDefaults });
    const chunk = ndjson(orders(1_000));
    let written = 0;
    const locked = deferred();
    const writing = (async () => {
      for (; written < 60; written++) {
        if (written === 5) await locked.promise;
        if (!child.stdin!.write(chunk)) await once(child.stdin!, 'drain');
      }
      child.stdin!.end();
    })();
    await until(async () => (await count()) > 0);
    await db.withClient(async (client) => {
      await client.query(`BEGIN; LOCK TABLE ${table}`);
      locked.resolve();
      let before = -1;
      while (before !== written) {
        before = written;
        await sleep(500);
      }
      expect(written).toBeLessThan(60);
      await client.query('COMMIT');
    });
    await writing;
    expect((await ended).code).toBe(0);
    expect(await count()).toBe(1_000);
  });
});

describe('--where', () => {
  const kept = async (where: string, records: readonly unknown[]): Promise<number[]> => {
    await db.query(`TRUNCATE ${table}`);
    const ended = await collect(['--input', '-', '--where', where], { input: ndjson(records) });
    expect(ended, where).toMatchObject({ code: 0, stderr: '' });
    return (await select()).map(({ id }) => Number(id));
  };

  test('compares and computes, whatever form a number has', async () => {
    const records = [
      { id: 1, value: 10, source: 'A' },
      { id: 2, value: 10.5, source: 'A' },
      { id: 3, value: 12, source: 'B' },
      { id: 4, value: 1e3, source: 'A' },
    ];
    expect(await kept('value > 10', records)).toEqual([2, 3, 4]);
    expect(await kept('id % 2 == 0', records)).toEqual([2, 4]);
    expect(await kept('source == "A" && value >= 10.5', records)).toEqual([2, 4]);
    expect(await kept('value * 2 == 21 || value / 8 == 1.5', records)).toEqual([2, 3]);
    expect(await kept('source in ["B", "C"] || id + 1 == 2', records)).toEqual([1, 3]);
  });

  test('sees a field that may be absent, one that is called as a type is, and parts of an object', async () => {
    const records = [
      { id: 1, value: 1, type: 'a', payload: { n: 3 } },
      { id: 2, value: 2, type: 'b', payload: { n: 5 }, source: 'X' },
    ];
    expect(await kept('type == "b"', records)).toEqual([2]);
    expect(await kept('has(record.source)', records)).toEqual([2]);
    expect(await kept('payload.n < 4', records)).toEqual([1]);
  });

  test('reaches nothing but the record', async () => {
    for (const where of [
      'constructor == 1',
      'process.exit == 1',
      'record.constructor == 1',
      '__proto__ == 1',
    ]) {
      const ended = await collect(['--input', '-', '--where', where], { input: ndjson(orders(3)) });
      expect(ended.code, where).toBe(2);
      expect(ended.stderr, where).toMatch(/is not there|cannot be read/);
    }
    expect(await count()).toBe(0);
  });

  test('says which field of which line is missing, or of the wrong kind', async () => {
    const input = await file(
      [...orders(3), { id: 4, value: 4 }, { id: 5, value: null, source: 'A' }],
      'fields.ndjson',
    );
    const missing = await collect(['--input', input, '--where', 'source == "A"', '--on-bad-record', 'fail']);
    expect(missing.code).toBe(2);
    expect(missing.stderr).toContain(`fields.ndjson:4: field 'source' is not there`);
    const wrong = await collect(['--input', input, '--where', 'value > 1']);
    expect(wrong.stderr).toContain(`fields.ndjson:5: field 'value' is null`);
  });
});

/** The command in a folder where all but one of the packages are installed. */
async function without(name: string): Promise<string> {
  const home = await mkdtemp(join(folder, 'without-'));
  await cp(join(root, 'dist'), join(home, 'dist'), { recursive: true });
  await cp(join(root, 'package.json'), join(home, 'package.json'));
  const { peerDependencies, dependencies } = JSON.parse(
    await readFile(join(home, 'package.json'), 'utf8'),
  ) as { peerDependencies: object; dependencies: object };
  for (const installed of Object.keys({ ...peerDependencies, ...dependencies })) {
    if (installed === name) continue;
    const link = join(home, 'node_modules', installed);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, 'node_modules', installed), link);
  }
  return join(home, 'dist', 'cli.js');
}

describe('what is wrong is found before anything is written', () => {
  test.each([
    ['no arguments', [], 'say what to do'],
    ['another command', ['gather'], "no command 'gather'"],
    ['an unknown option', ['collect', '--inptu', 'x'], "Unknown option '--inptu'"],
    ['no input', ['collect'], '--input is missing'],
    ['no database', ['collect', '--input', '-'], '--database is missing: postgres://'],
    ['a stray file', ['collect', 'o.ndjson'], "Unexpected argument 'o.ndjson': try --input o.ndjson"],
    ['no table', ['collect', '--input', '-', '--database', 'postgres://h/d'], '--table is missing'],
    [
      'no key',
      ['collect', '--input', '-', '--database', 'postgres://h/d', '--table', 't'],
      '--key is missing',
    ],
    [
      'another database',
      ['--input', '-', '--database', 'mysql://h/d', '--table', 't', '--key', 'i'],
      '--database must be',
    ],
    [
      'a database that cannot be read',
      ['--input', '-', '--database', 'postgres://us%e9r:geheim@h/d', '--table', 't', '--key', 'i'],
      '--database: it cannot be read: in a user, password or name, the characters %',
    ],
    [
      'an input that cannot be read',
      ['--input', 'http://us%er:geheim@h/f', '--database', 'postgres://h/d', '--table', 't', '--key', 'i'],
      '--input: the url has a user or password that cannot be read',
    ],
    [
      'another protocol',
      ['--input', 'ftp://h/f', '--database', 'postgres://h/d', '--table', 't', '--key', 'i'],
      '--input must be',
    ],
  ])('%s', async (_name, args, message) => {
    const ended = await run(cli, args, { env: withoutDefaults });
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toContain(message);
    expect(ended.stderr).not.toContain('geheim');
  });

  test.each([
    ['no such file', ['--input', 'nowhere.ndjson'], '--input nowhere.ndjson: there is no such file'],
    ['workers', ['--input', '-', '--workers', '0'], '--workers must be a whole number from 1 to 1000'],
    ['batch', ['--input', '-', '--batch', 'many'], '--batch must be a whole number'],
    [
      'a table',
      ['--input', '-', '--table', 'ordres'],
      '--table: there is no table ordres in postgres; create it first, say with CREATE TABLE "ordres" ' +
        '("id" bigint, "timestamp" timestamptz, "value" numeric, "source" text, PRIMARY KEY ("id"))',
    ],
    [
      'the name of a table',
      ['--input', '-', '--table', 'a.b.c'],
      "--table: table must be 'name' or 'schema.name'",
    ],
    ['the key', ['--input', '-', '--key', 'oid'], "--key: field 'oid' has no column in orders"],
    ['a key without index', ['--input', '-', '--key', 'value'], '"orders" has no unique index on ("value")'],
    [
      'a column',
      ['--input', '-', '--columns', 'id,worth'],
      "--columns: field 'worth' has no column in orders",
    ],
    [
      'where, its grammar',
      ['--input', '-', '--where', 'value >'],
      'cannot be read: Unexpected token: EOF (character 8)',
    ],
    ['where, its kind', ['--input', '-', '--where', '1 + 2'], 'gives a int, and must give true or false'],
    ['where, a field', ['--input', '-', '--where', 'valu > 5'], "-:1: field 'valu' is not there"],
    ['types without CSV', ['--input', '-', '--types', 'id:number'], '--types is for CSV; if'],
    [
      'the file for bad records',
      ['--input', '-', '--on-bad-record', '/no/such/folder/bad'],
      '--on-bad-record /no/such/folder/bad: ENOENT',
    ],
  ])('%s', async (_name, args, message) => {
    const ended = await collect(args, { input: ndjson(orders(3)) });
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toContain(message);
    expect(ended.stderr).toContain('nothing was written');
    expect(await count()).toBe(0);
  });

  test.each([
    ['not JSON', '{"id":', ':1: it is not JSON'],
    ['no object', '[1, 2]', ':1: it is a list'],
    ['no key', '{"value":1}', ":1: field 'id' is not there, and is the key"],
    ['no column', '{"id":1,"value":1,"worth":1}', ":1: field 'worth' has no column in orders"],
    ['wrong type', '{"id":1,"value":"much"}', ":1: field 'value' is refused by the database"],
    ['not null', '{"id":1}', ":1: field 'value' is refused by the database"],
    ['constraint', '{"id":1,"value":9999}', ":1: field 'value' is refused by the database"],
  ])('the first record: %s', async (_name, line, message) => {
    const ended = await collect(['--input', await file([line, ...orders(10)])]);
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toContain(message);
    expect(await count()).toBe(0);
  });

  const skip = ['--on-bad-record', 'skip'];
  test.each([
    ['CSV', [], 'id,value\n1,2\n', /-:1: it is not JSON: .*; if it is CSV, say --format csv\n/],
    [
      'gzip',
      skip,
      gzipSync('{"id":1,"value":2}\n'),
      /standard input: it is gzip data, .*, or decompress it\n/,
    ],
    [
      'zstd',
      skip,
      zstdCompressSync('{"id":1,"value":2}\n'),
      /standard input: it is zstd data, .*, or decompress it\n/,
    ],
  ])('standard input that is %s, which nothing says', async (_name, args, input, message) => {
    const ended = await collect(['--input', '-', ...args], { input });
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toMatch(message);
  });

  test('a hundred bad records at the start are more than a bad record', async () => {
    const ended = await collect(['--input', '-', '--where', 'valu > 5', '--on-bad-record', 'skip'], {
      input: ndjson(orders(200)),
    });
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain('none of the first 100 records is of use');
  });

  test('a database that does not answer, or does not let us in; passwords are not shown', async () => {
    const url = new URL(server.connectionString);
    url.password = 'geheim';
    const denied = await collect(['--input', '-', '--database', url.href], { input: ndjson(orders(1)) });
    expect(denied.code).toBe(2);
    expect(denied.stderr).toContain('password authentication failed');
    url.port = '1';
    const refused = await collect(['--input', '-', '--database', url.href], { input: ndjson(orders(1)) });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('127.0.0.1:1/postgres: connect ECONNREFUSED');
    const misplaced = await run(cli, ['collect', url.href], { env: withoutDefaults });
    for (const { stdout, stderr } of [denied, refused, misplaced])
      expect(stdout + stderr).not.toContain('geheim');
  });

  test('of a long --where only the place is shown', async () => {
    const where = `${Array.from({ length: 2_000 }, (_, i) => `id == ${i}`).join(' || ')} || id = 5 || true`;
    const ended = await collect(['--input', '-', '--where', where], { input: ndjson(orders(1)) });
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(/--where '….*\|\| id = 5 \|\| true' cannot be read: .* \(character \d+\)/);
    expect(ended.stderr.length).toBeLessThan(400);
  });

  test('sslmode asks for TLS, and no driver warns of it', async () => {
    const ended = await collect(['--input', '-', '--database', `${server.connectionString}?sslmode=require`]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(
      /^sluice: --database: PostgreSQL at 127\.0\.0\.1:\d+\/postgres: The server does not support SSL connections\n.*\n$/,
    );
  });

  test.each([
    ['csv-parse', '.csv', { id: 1 }],
    ['pg', '.ndjson', { id: 1 }],
    ['undici', '', undefined],
  ])('a package that is not installed: %s', async (name, ending, record) => {
    const alone = await without(name);
    const input = record ? await file([record], `orders${ending}`) : 'http://127.0.0.1:1/orders';
    const ended = await run(alone, ['collect', ...target(), '--input', input], { env: withoutDefaults });
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toBe(
      `sluice: the package ${name} is not installed: npm install ${name}\n` +
        'sluice: nothing was written; sluice --help says what there is\n',
    );
  });

  test('an old Node is told what is needed', async () => {
    const disguise = 'Object.defineProperty(process.versions, "node", { value: "20.11.0" })';
    const ended = await run(cli, ['--help'], {
      node: ['--import', `data:text/javascript,${encodeURIComponent(disguise)}`],
    });
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toContain('it needs Node 22.19 or newer, and this is Node 20.11.0');
  });
});

describe('a bad record later on', () => {
  const bad = [
    '{"id":',
    '{"value":3}',
    { id: 5_001, value: 'much' },
    { id: 5_002, value: 9_999 },
    { id: 5_003, value: 1, worth: 2 },
    Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]).toString('latin1'),
  ];
  const records = [...orders(700), ...bad, ...orders(1_000).slice(700)];

  test('fail: what was read before it is stored, and the number is told', async () => {
    const input = await file(records);
    const ended = await collect(['--input', input, '--batch', '100']);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain('orders.ndjson:701: it is not JSON');
    expect(figure(ended, 'stored')).toBe(await count());
    expect(await count()).toBeGreaterThanOrEqual(700);
    expect(await count()).toBeLessThan(1_000);
    expect(ended.stderr).toContain(`${await count()} records stored`);
    expect(ended.stderr).toContain('safe to run the same again');
    // Mended, the same command does the rest.
    await file(orders(1_000));
    expect((await collect(['--input', input])).code).toBe(0);
    expect(await count()).toBe(1_000);
  });

  test('fail, where the database refuses it: the others of its batch are stored', async () => {
    const ended = await collect([
      '--input',
      await file([...orders(20), { id: 21, value: 'much' }, ...orders(40).slice(30)]),
    ]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain(
      `orders.ndjson:21: field 'value' is refused by the database: invalid input syntax`,
    );
    expect(await count()).toBe(30);
  });

  test('skip: they are counted', async () => {
    const ended = await collect(['--input', await file(records), '--on-bad-record', 'skip']);
    expect(ended.code).toBe(0);
    expect(figure(ended, 'processed')).toBe(1_000 + bad.length);
    expect(figure(ended, 'stored')).toBe(1_000);
    expect(figure(ended, 'bad')).toBe(bad.length);
    expect(await count()).toBe(1_000);
  });

  test('a file name: they are collected, with line and error', async () => {
    const path = join(folder, 'bad.ndjson');
    const input = await file([{ value: 1 }, ...records]);
    await writeFile(input, Buffer.from(await readFile(input, 'utf8'), 'latin1'));
    expect((await collect(['--input', input, '--on-bad-record', path])).code).toBe(0);
    expect(await count()).toBe(1_000);
    const entries = (await readFile(path, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as BadEntry);
    expect(entries.map(({ line }) => line).sort((a, b) => a - b)).toEqual([1, 702, 703, 704, 705, 706, 707]);
    const at = (line: number) => entries.find((entry) => entry.line === line)!;
    expect(at(702)).toMatchObject({
      input,
      record: '{"id":',
      error: expect.stringContaining('it is not JSON'),
    });
    expect(at(703).error).toBe("field 'id' is not there, and is the key");
    expect(at(704).error).toContain(
      "field 'value' is refused by the database: invalid input syntax for type numeric",
    );
    expect(at(705).error).toContain('violates check constraint');
    expect(at(706).error).toContain("field 'worth' has no column in orders");
    expect(at(707).error).toMatch(/^it is not UTF-8; convert it first/);
  });

  test.runIf(existsSync('/dev/full'))('a file that cannot be written to is named', async () => {
    const ended = await collect(['--input', await file(records), '--on-bad-record', '/dev/full']);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('--on-bad-record /dev/full: ENOSPC');
    expect(ended.stderr).toContain('safe to run the same again');
  });

  test('the file for bad records is not the input', async () => {
    const input = await file(orders(3));
    const ended = await collect(['--input', input, '--on-bad-record', input]);
    expect(ended.code).toBe(2);
    expect(await readFile(input, 'utf8')).toBe(ndjson(orders(3)));
  });

  test('--columns: other fields are left out', async () => {
    const input = ndjson(orders(5).map((record) => ({ ...record, worth: 1 })));
    expect((await collect(['--input', '-', '--columns', 'id,value'], { input })).code).toBe(0);
    expect(await select('id, source', 'LIMIT 1')).toEqual([{ id: '1', source: null }]);
  });
});

describe('stopping', () => {
  const slowRun = async (ms = 2) => {
    await slowDown(ms);
    const input = await file(orders(1_500));
    const program = start(cli, ['collect', ...target(), '--input', input, '--batch', '20'], {
      env: withoutDefaults,
    });
    await until(async () => (await count()) > 0);
    return program;
  };

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s finishes what was read, and says how far it came',
    async (signal) => {
      const { child, ended } = await slowRun(10);
      child.kill(signal);
      const end = await ended;
      expect(end.code).toBe(130);
      const stored = await count();
      expect(stored).toBeLessThan(1_000);
      expect(figure(end, 'processed')).toBe(stored);
      expect(figure(end, 'stored')).toBe(stored);
      expect(end.stderr).toContain(`was read up to line ${stored}; ${stored} records stored`);
      expect(end.stderr).not.toContain('left over');
    },
  );

  test('a second signal stops at once, and says what is left; two within a moment are one', async () => {
    const { child, ended } = await slowRun(100);
    child.kill('SIGINT');
    await once(child.stderr!, 'data'); // it says that it is stopping
    child.kill('SIGINT');
    await sleep(350);
    expect(child.exitCode).toBeNull();
    child.kill('SIGINT');
    const killedAt = performance.now();
    const end = await ended;
    expect(performance.now() - killedAt).toBeLessThan(5_000);
    expect(end.code).toBe(130);
    expect(end.stderr).toMatch(/left over: \d+ records? read and not stored, between lines \d+ and \d+/);
    expect(figure(end, 'stored') + figure(end, 'left over')).toBe(figure(end, 'processed'));
  });

  test('of an input that goes on, too: the first signal finishes what was read, the second stops that', async () => {
    await slowDown(100);
    const { child, ended } = start(cli, ['collect', ...target(), '--input', '-', '--batch', '20'], {
      env: withoutDefaults,
    });
    child.stdin!.write(ndjson(orders(150)));
    await until(async () => (await count()) > 0);
    child.kill('SIGINT');
    await sleep(400);
    expect(child.exitCode).toBeNull();
    child.kill('SIGINT');
    const killedAt = performance.now();
    const end = await ended;
    expect(performance.now() - killedAt).toBeLessThan(5_000);
    expect(end.code).toBe(130);
    expect(end.stderr).toContain('stopping: finishing what was read; once more stops at once');
    expect(end.stderr).toMatch(/left over: \d+ records? .*, between lines \d+ and \d+/);
    expect(figure(end, 'stored')).toBeGreaterThan(0);
    expect(figure(end, 'left over')).toBeGreaterThan(0);
    expect(figure(end, 'stored') + figure(end, 'left over')).toBe(figure(end, 'processed'));
    // The batch that was aborted is cancelled at the server; only if it was just done it is there all the same.
    expect([figure(end, 'stored'), figure(end, 'stored') + 20]).toContain(await count());
  });

  test('a pipe whose writer says nothing does not hold up the end', async () => {
    const pipe = await namedPipe('silent');
    const before = start(cli, ['collect', ...target(), '--input', pipe], { env: withoutDefaults });
    await connected();
    await sleep(500);
    before.child.kill('SIGINT');
    expect(await within(5_000, before.ended)).toMatchObject({
      code: 130,
      stderr: 'sluice: stopped before anything was written\n',
    });

    const { child, ended } = start(cli, ['collect', ...target(), '--input', pipe], { env: withoutDefaults });
    const writer = createWriteStream(pipe);
    writer.write(ndjson(orders(30)));
    await until(async () => (await count()) === 30);
    child.kill('SIGINT');
    const end = await within(5_000, ended);
    writer.on('error', () => undefined).destroy();
    expect(end.code).toBe(130);
    expect(end.stderr).toContain('30 records stored');
  });

  test('a drain that takes longer than --drain-timeout ends with what is left', async () => {
    await slowDown(20);
    const args = [
      'collect',
      ...target(),
      '--input',
      await file(orders(5_000)),
      '--batch',
      '20',
      '--drain-timeout',
      '100',
    ];
    const { child, ended } = start(cli, args, { env: withoutDefaults });
    await until(async () => (await count()) > 0);
    child.kill('SIGINT');
    const end = await ended;
    expect(end.code).toBe(130);
    expect(end.stderr).toContain('left over');
  });

  test('a signal before anything was read', async () => {
    const { child, ended } = start(cli, ['collect', ...target(), '--input', '-'], { env: withoutDefaults });
    await connected();
    await sleep(300);
    child.kill('SIGINT');
    expect(await ended).toMatchObject({ code: 130, stderr: 'sluice: stopped before anything was written\n' });
  });

  test('a database that goes away and comes back is asked again', async () => {
    const { ended } = await slowRun();
    await server.crash();
    await sleep(300);
    await server.restart();
    const end = await ended;
    expect(end.stderr).toMatch(/storing \d+ records, attempt 1: /);
    expect(end.code).toBe(0);
    expect(figure(end, 'stored')).toBe(1_500);
    expect(figure(end, 'retried')).toBeGreaterThan(0);
    expect(await count()).toBe(1_500);
  });

  test('output that nobody reads is no reason to stop', async () => {
    const { child, ended } = start(cli, ['collect', ...target(), '--input', '-', '--verbose'], {
      env: withoutDefaults,
      input: ndjson(orders(500)),
    });
    child.stdout?.destroy();
    child.stderr?.destroy();
    expect((await ended).code).toBe(0);
    expect(await count()).toBe(500);
  });
});

describe.runIf(existsSync('/dev/full'))('a full disk', () => {
  test.each(['stdout', 'stderr'] as const)('under %s is no reason to stop', async (full) => {
    const ended = await collect(['--input', '-', '--verbose'], { input: ndjson(orders(500)), full });
    expect(ended.code).toBe(0);
    expect(await count()).toBe(500);
  });
});

describe('telling', () => {
  test.each([
    ['--verbose', ['--verbose'], {}, 'sluice: '],
    ['SLUICE_DEBUG=1', [], { SLUICE_DEBUG: '1' }, '[sluice] '],
  ])('%s logs the life of each item', async (_name, args, env, prefix) => {
    const ended = await collect(['--input', '-', '--where', 'value > 500', ...args], {
      env,
      input: ndjson([
        { id: 1, value: 700 },
        { id: 2, value: 300 },
      ]),
    });
    expect(ended.code).toBe(0);
    const lines = ended.stderr.split('\n').filter((line) => line.startsWith(prefix));
    const of = (id: number) =>
      lines
        .filter((line) => line.includes(`id":${id}`) || line.includes(`id\\":${id}`))
        .map((line) => line.slice(prefix.length));
    for (const [id, ending] of [
      [1, 'filter kept'],
      [2, 'filter rejected'],
    ] as const) {
      const life = of(id).join('\n');
      expect(life).toMatch(/^input produced/);
      expect(life).toMatch(/transform started worker \d attempt 1/);
      expect(life).toMatch(/transform finished worker \d attempt 1/);
      expect(life).toContain(ending);
    }
    expect(of(1).at(-1)).toMatch(/^store stored/);
  });

  test('--help and --version', async () => {
    expect((await run(cli, ['--help'])).stdout).toMatch(/^Usage: sluice collect/);
    expect((await run(cli, ['collect', '--help'])).code).toBe(0);
    const { version } = JSON.parse(
      await readFile(new URL('../../package.json', import.meta.url), 'utf8'),
    ) as { version: string };
    expect((await run(cli, ['--version'])).stdout).toBe(`${version}\n`);
  });
});
