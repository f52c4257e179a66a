/**
 * The program that is killed: pages of numbers into a table without a key, and the checkpoint in the transaction of its
 * rows. Arguments: connection string, origin of the server, table, what `numberPages` is to make, and after how many stored
 * items to be killed.
 */
import { tap } from 'rxjs';
import { poolMap, runFlow, storeTo } from '../../../operators/index.ts';
import * as door from '../../../src/connectors/http.ts';
import { postgresCheckpoint, PostgresConnections, postgresTable } from '../../../src/connectors/postgres.ts';
import { numberPages } from './numberPages.ts';
import { unevenly } from './unevenly.ts';

const [connectionString = '', origin = '', table = '', pages = '', stored = ''] = process.argv.slice(2);
await using http = new door.HttpConnections();
await using db = new PostgresConnections({ connectionString });
await using checkpoint = await postgresCheckpoint(db, table, { ifHeld: 'takeOver' });
const plan = numberPages(door, http, origin, JSON.parse(pages) as Parameters<typeof numberPages>[3]);
const sink = checkpoint.sink(postgresTable<{ id: number }>(db, table));
let left = Number(stored);
const kill = tap(() => {
  if (--left === 0) process.kill(process.pid, 'SIGKILL');
});
await runFlow(
  door.fromPages(plan, { checkpoint }).pipe(
    poolMap(unevenly, { concurrency: 8 }),
    // Batches of nine, whatever happens, but for the last one.
    storeTo(sink, { maxItems: 9, maxWaitMs: 60_000, concurrency: 2 }),
    kill,
  ),
);
