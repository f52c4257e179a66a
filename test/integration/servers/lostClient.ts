/**
 * A program that stores a batch while somebody ends the server's side of its checked-out connection, once, between two
 * statements; and retries. With the argument `sabotaged` nobody listens to the client: then the process must not survive.
 */
import pg from 'pg';
import {
  classifyPostgresError,
  PostgresConnections,
  postgresTable,
} from '../../../src/connectors/postgres.ts';

const [connectionString, mode] = process.argv.slice(2);
const admin = new pg.Client(connectionString);
admin.on('error', () => undefined);
await admin.connect();
await using db = new PostgresConnections({ connectionString: connectionString!, max: 2 });

/** Ends the backend of this client, and waits until the client has heard of it. */
async function lose(client: pg.PoolClient): Promise<void> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  if (mode === 'sabotaged') client.removeAllListeners('error');
  // Not `once` of node:events: it would listen to `error`, too.
  const ended = new Promise<void>((resolve) => client.once('end', resolve));
  await admin.query('SELECT pg_terminate_backend($1)', [rows[0]!.pid]);
  await ended;
}

const rows = Array.from({ length: 100 }, (_, id) => ({ id, value: id * 2 }));
const sink = postgresTable<{ id: number; value: number }>(db, 'lost_client', { key: ['id'] });
const { signal } = new AbortController();

const failures: string[] = [];
let stored = false;
for (let attempt = 1; attempt <= 3 && !stored; attempt++) {
  try {
    await db.withClient(async (client) => {
      await client.query('BEGIN');
      if (attempt === 1) await lose(client);
      await client.query('SELECT 1');
      await client.query('COMMIT');
    });
    await sink.store(rows, { attempt, signal });
    stored = true;
  } catch (error) {
    failures.push(classifyPostgresError(error));
  }
}
await admin.end();
console.log(JSON.stringify({ stored, failures }));
