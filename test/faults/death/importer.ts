/**
 * The program that is killed: numbers from a source, worked on eight at a time, stored in batches into a table without a
 * key, with a checkpoint in the transaction of the rows. Started again, it goes on.
 */
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import pg from 'pg';
import { tap, type Observable } from 'rxjs';
import { boundedQueue } from '../../../operators/boundedQueue.ts';
import { poolMap } from '../../../operators/poolMap.ts';
import { storeTo } from '../../../operators/storeTo.ts';
import {
  postgresCheckpoint,
  PostgresConnections,
  postgresTable,
  type PostgresSink,
} from '../../../src/connectors/postgres.ts';
import { runFlow } from '../../../src/flow/runFlow.ts';
import { delays } from '../../../src/retry/RetryPolicy.ts';
import type { Sink, SinkContext } from '../../../src/work/Sink.ts';
import type { WorkContext } from '../../../src/work/Work.ts';
import { withRetry } from '../../../src/work/withRetry.ts';
import { comesBy, watchStatements } from './killPoints.ts';
import { Ledger } from './Ledger.ts';

/**
 * How it can be broken on purpose. `acknowledgedAtIntake`: an item counts as done when it has come in. `storedApart`: the
 * rows are stored in a transaction of their own, before the checkpoint's. `abortedOnSignal`: SIGTERM does not drain.
 * `unguarded`: nobody listens to errors of connections. `unretried`: a batch is not tried again.
 */
export type Sabotage = 'acknowledgedAtIntake' | 'storedApart' | 'abortedOnSignal' | 'unguarded' | 'unretried';

export interface ImporterSettings {
  readonly connectionString: string;
  readonly table: string;
  readonly ledger: string;
  readonly items: number;
  readonly maxItems: number;
  readonly sabotage?: Sabotage | undefined;
  /** The name of the checkpoint. @defaultValue that of the table */
  readonly checkpoint?: string;
  readonly ifHeld?: 'wait' | 'fail' | 'takeOver';
  readonly leaseMs?: number;
  /** Drains when so many are confirmed. */
  readonly drainAfter?: number;
  readonly drainTimeoutMs?: number;
  /** Each 50th item fails once, and is tried again. @defaultValue true */
  readonly fails?: boolean;
  /** The item whose work never ends. */
  readonly hangsAt?: number;
  /** From this item on, work waits for SIGTERM, or for SIGUSR2: so the process does not end before it gets the signal. */
  readonly waitsFrom?: number;
  /** The item whose work breaks the process, outside any promise or by a promise that nobody listens to. */
  readonly breaksAt?: number;
  readonly breaksBy?: 'throw' | 'rejection';
  /** Milliseconds of each 50th item's work. */
  readonly workMs?: number;
}

interface Item {
  readonly item: number;
}

const settings = JSON.parse(process.argv[2]!) as ImporterSettings;
const { items, maxItems, sabotage, table, ifHeld = 'takeOver', leaseMs = 10_000, workMs = 1 } = settings;

const say = (word: string, more: object = {}): void => {
  writeSync(1, `${JSON.stringify({ said: word, ...more })}\n`);
};

const ledger = new Ledger(settings.ledger);
const stop = new AbortController();
let pulledAfterStop = 0;
let confirmed = 0;
process.once('SIGTERM', () => {
  stop.abort();
});
const released = Promise.race(['SIGTERM', 'SIGUSR2'].map((signal) => once(process, signal)));
watchStatements();
if (sabotage === 'unguarded') {
  const client = pg.Client.prototype as unknown as { on(event: string, listener: () => void): unknown };
  const on = client.on;
  client.on = function (event, listener) {
    return event === 'error' ? this : on.call(this, event, listener);
  };
}

function* numbersFrom(position: number): Generator<number> {
  for (let n = position; n < items; n++) {
    comesBy('before-pull');
    if (stop.signal.aborted) pulledAfterStop++;
    yield n;
    comesBy('after-pull');
  }
}

async function work(n: number, { attempt }: WorkContext): Promise<Item> {
  if (attempt === 1) ledger.write('worked', n);
  comesBy('in-work');
  if (n === settings.hangsAt) await new Promise(() => undefined);
  if (n === settings.breaksAt) breakDown();
  if (n >= (settings.waitsFrom ?? items)) await released;
  if (n % 50 === 0) {
    await new Promise((resolve) => setTimeout(resolve, workMs));
    if (attempt === 1 && settings.fails !== false) throw new Error('not yet');
  }
  comesBy('after-work');
  if (stop.signal.aborted) comesBy('in-drain');
  return { item: n };
}

function breakDown(): void {
  const error = new Error(`work: item ${settings.breaksAt} broke`);
  if (settings.breaksBy === 'throw')
    setTimeout(() => {
      throw error;
    });
  else void Promise.reject(error);
}

const nothing: PostgresSink<unknown> = {
  store: () => Promise.resolve(),
  write: () => Promise.resolve(),
  classify: () => 'fatal',
  close: () => Promise.resolve(),
};

const patient = withRetry(
  work,
  delays([1], {
    isRetryable: () => {
      comesBy('in-backoff');
      return true;
    },
  }),
);

await using db = new PostgresConnections({
  connectionString: settings.connectionString,
  max: 6,
  pool: { application_name: table },
});
await using checkpoint = await postgresCheckpoint(db, settings.checkpoint ?? table, { ifHeld, leaseMs });
say('started', { position: checkpoint.position });

const rows = postgresTable<Item>(db, table);
const sink = (): Sink<Item> => {
  if (sabotage === 'acknowledgedAtIntake') return rows;
  if (sabotage !== 'storedApart') return checkpoint.sink(rows);
  const apart = async (batch: readonly Item[], context: SinkContext): Promise<void> => {
    await rows.store(batch, context);
    await new Promise((resolve) => setTimeout(resolve, 100));
  };
  return checkpoint.sink({ ...rows, write: (_client, batch, context) => apart(batch, context) });
};
const retries = [50, 100, 200, 500, 1_000, 2_000];
const source = checkpoint.source(({ position }) => numbersFrom(position));
const taken: Observable<number> =
  sabotage === 'acknowledgedAtIntake'
    ? source.pipe(storeTo(checkpoint.sink<number>(nothing), { name: 'intake', maxItems: 64, maxWaitMs: 1 }))
    : source.pipe(boundedQueue({ capacity: 64 }));

const flow = taken.pipe(
  poolMap(patient, { concurrency: 8, name: 'work' }),
  storeTo(sink(), { maxItems, concurrency: 2, retry: delays(sabotage === 'unretried' ? [] : retries) }),
  tap(({ item }) => {
    ledger.write('confirmed', item);
    if (++confirmed === settings.drainAfter) stop.abort();
    comesBy('after-confirmation');
    if (stop.signal.aborted) comesBy('in-drain');
  }),
);

const { end, left, itemsIn, delivered } = await runFlow(flow, {
  drainTimeoutMs: settings.drainTimeoutMs ?? 20_000,
  ...(sabotage === 'abortedOnSignal' ? { signal: stop.signal } : { drainSignal: stop.signal }),
});
comesBy('after-drain');
ledger.close();
say('ended', { end, left: left.map(({ value }) => value), itemsIn, delivered, pulledAfterStop });
