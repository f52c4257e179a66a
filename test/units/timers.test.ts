import { of } from 'rxjs';
import { expect, test } from 'vitest';
import { runFlow } from 'sluice';
import { fileCheckpoint, fromTail } from 'sluice/files';
import { fromServerSentEvents, HttpConnections } from 'sluice/http';
import { postgresCheckpoint, PostgresConnections } from 'sluice/postgres';
import { WorkerThreads } from 'sluice/workers';

/** A timer of the host takes this; one millisecond more, and it fires at once. */
const longest = 2 ** 31 - 1;

const http = new HttpConnections();
const db = new PostgresConnections();
const module = new URL('./work.js', import.meta.url);

/** Calls that take a time for a timer of the host. */
const calls: [key: string, call: (ms: number) => unknown, most?: number][] = [
  ['runFlow: statsEveryMs', (statsEveryMs) => runFlow(of(1), { statsEveryMs })],
  ['fileCheckpoint: everyMs', (everyMs) => fileCheckpoint('checkpoint', { everyMs })],
  ['fromTail: pollMs', (pollMs) => fromTail('log', { pollMs })],
  ['HttpConnections: keepAliveMs', (keepAliveMs) => new HttpConnections({ keepAliveMs })],
  ['HttpConnections: closeTimeoutMs', (closeTimeoutMs) => new HttpConnections({ closeTimeoutMs })],
  [
    'fromServerSentEvents: reconnectMs',
    (reconnectMs) => fromServerSentEvents(http, 'http://127.0.0.1/', { reconnectMs }),
  ],
  [
    'PostgresConnections: acquireTimeoutMs',
    (acquireTimeoutMs) => new PostgresConnections({ acquireTimeoutMs }),
  ],
  [
    'PostgresConnections: connectTimeoutMs',
    (connectTimeoutMs) => new PostgresConnections({ connectTimeoutMs }),
  ],
  ['PostgresConnections: idleTimeoutMs', (idleTimeoutMs) => new PostgresConnections({ idleTimeoutMs })],
  ['PostgresConnections: closeTimeoutMs', (closeTimeoutMs) => new PostgresConnections({ closeTimeoutMs })],
  [
    'PostgresConnections: statementTimeoutMs',
    (statementTimeoutMs) => new PostgresConnections({ statementTimeoutMs }),
    longest - 1_000,
  ],
  ['WorkerThreads: closeTimeoutMs', (closeTimeoutMs) => new WorkerThreads(module, { closeTimeoutMs })],
];

test.each(calls)(
  '%s is refused where a timer of the host would fire at once',
  (key, call, most = longest) => {
    expect(() => call(most + 1)).toThrow(`${key} must be a number from`);
    expect(() => call(most + 1)).toThrow(`to ${most}, got ${most + 1}`);
    expect(() => call(most)).not.toThrow();
  },
);

test('postgresCheckpoint: leaseMs as well, before anything is asked of the database', async () => {
  await expect(postgresCheckpoint(db, 'orders', { leaseMs: longest + 1 })).rejects.toThrow(
    `postgresCheckpoint: leaseMs must be a number from 100 to ${longest}, got ${longest + 1}`,
  );
});
