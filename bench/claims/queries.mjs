/** 1,000 queries that take the database 2 ms, over 20 connections. */
import pg from 'pg';
import { startEmbeddedPostgres } from '../../examples/support/embeddedPostgres.ts';
import { fromPull, poolMap, runFlow } from '../../dist/index.js';
import { PostgresConnections } from '../../dist/postgres.js';
import { byHand } from './byHand.mjs';

const ids = Array.from({ length: 1_000 }, (_, i) => i + 1);
const select = 'SELECT value, pg_sleep(0.002) FROM items WHERE id = $1';

export async function queries() {
  const server = await startEmbeddedPostgres({ fsync: false });
  const { connectionString } = server;
  const pool = new pg.Pool({ connectionString, max: 20 });
  pool.on('error', () => undefined); // as a service must, or a lost idle connection ends it
  const connections = new PostgresConnections({ connectionString, max: 20 });
  await pool.query('CREATE TABLE items (id int PRIMARY KEY, value int NOT NULL)');
  await pool.query('INSERT INTO items SELECT id, id * 7 FROM generate_series(1, 1000) AS id');

  const query = (id) => pool.query(select, [id]);
  return {
    title: '1,000 SQL queries of 2 ms, 20 connections',
    claim: 7.0,
    count: ids.length,
    one: () => byHand(ids, 1, query),
    loop: () => byHand(ids, 20, query),
    ours: async () => {
      const ask = poolMap((id) => connections.query(select, [id]), { concurrency: 20 });
      return (await runFlow(fromPull(ids).pipe(ask))).delivered;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([pool.end(), connections.close()]);
      await server.stop();
    },
  };
}
