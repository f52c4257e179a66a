import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PoolClient } from 'pg';
import type { Observable } from 'rxjs';
import {
  checkpointedSource,
  type CheckpointedSourceOptions,
  type OpenAt,
  type ProgressKeeper,
} from '../../checkpoint/checkpointedSource.ts';
import { positionsOf } from '../../checkpoint/Numbered.ts';
import { Progress } from '../../checkpoint/Progress.ts';
import { CheckpointHeldError, CheckpointLostError, InvalidOptionError } from '../../errors.ts';
import { connectionsOf, counting } from '../../metrics/connections.ts';
import { atLeast, nonEmpty, oneOf, timerMs } from '../../options.ts';
import type { Sink, SinkContext } from '../../work/Sink.ts';
import { classifyPostgresError } from './classify.ts';
import { quotedTable } from './catalogue.ts';
import { CheckpointRow, type Held } from './checkpointRow.ts';
import type { PostgresConnections } from './connections.ts';
import { inTransaction } from './lender.ts';
import type { PostgresSink } from './sink.ts';

export interface PostgresCheckpointOptions {
  /**
   * What to do while another instance holds the checkpoint: wait until it lets go or its lease ends, fail at once, or
   * fence it off at once, so that it can write no more. @defaultValue `'wait'`
   */
  readonly ifHeld?: 'wait' | 'fail' | 'takeOver';
  /** Milliseconds to wait, with `'wait'`. 0 or more; `Infinity` stands by for ever. @defaultValue 60_000 */
  readonly acquireTimeoutMs?: number;
  /**
   * Milliseconds after which a holder that has given no sign of life may be replaced. It gives one every third of that. 100
   * or more. @defaultValue 10_000
   */
  readonly leaseMs?: number;
  /** The table of checkpoints, which is made if it is not there. @defaultValue `'sluice_checkpoints'` */
  readonly table?: string;
  /** Who holds it, for the message of others that want it. @defaultValue host name and process id */
  readonly holder?: string;
}

/** How far a flow has got, kept in PostgreSQL. */
export interface PostgresCheckpoint {
  /** Items from the start of the source that are done, without a gap. */
  readonly position: number;
  /**
   * An acknowledged source that goes on where the last run had come to. Items that are done already, though later than
   * the first that is not, are skipped. For one source; it may be subscribed to again.
   *
   * @param open Opens the input at a point, from which it gives the same items in the same order as the last time.
   */
  source<T, C = never>(open: OpenAt<T, C>, options?: CheckpointedSourceOptions<T, C>): Observable<T>;
  /** The same sink, which writes how far the source has got in the transaction of the rows. */
  sink<T>(sink: PostgresSink<T>): Required<Sink<T>>;
  /** Writes down what has been settled since the last batch, and lets go. All calls give the same promise. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Takes the checkpoint of that name: one process has it at a time.
 *
 *     await using checkpoint = await postgresCheckpoint(db, 'orders-import');
 *     const orders = checkpoint.source(({ position }) => orderIds.slice(position)).pipe(
 *       poolMap(fetchOrder, { concurrency: 8 }),
 *       storeTo(checkpoint.sink(postgresTable(db, 'orders'))),
 *     );
 *
 * A file is opened at its position by leaving out what stands before:
 *
 *     toAsyncIterable(fromNdjson<Order>(path).pipe(drops(skip(position))), { capacity: 100 })
 *
 * Each batch is one transaction: the rows, and which items of the source are done with them. So after a crash nothing is
 * lost and nothing is stored twice, in a table without a key too, and in whatever order the items were stored; a batch
 * whose COMMIT got no answer is looked up before it is tried again. Items that were rejected, dropped or became dead letters
 * are written down with the next batch, or within a third of `leaseMs`.
 *
 * The limit: an item that becomes several rows is done with the last of them, and items that were one in between (`batch`,
 * taken apart again; two sinks) are done together. If these rows are in different transactions, those stored before a
 * crash, or before a COMMIT without an answer, are stored again: give such a table a key.
 *
 * Each holder has a number, and a write with an old one is refused with `CheckpointLostError`, which ends the flow: a
 * process that was paused, and replaced meanwhile, does no harm when it goes on.
 *
 * A process that was killed holds it until its lease ends: the next one waits for up to `leaseMs`, or takes it over.
 *
 * @throws `CheckpointHeldError` if another instance holds it.
 */
export async function postgresCheckpoint(
  connections: PostgresConnections,
  name: string,
  {
    ifHeld = 'wait',
    acquireTimeoutMs = 60_000,
    leaseMs = 10_000,
    table = 'sluice_checkpoints',
    holder = `${hostname()}, process ${process.pid}`,
  }: PostgresCheckpointOptions = {},
): Promise<PostgresCheckpoint> {
  nonEmpty('postgresCheckpoint: name', name);
  oneOf('postgresCheckpoint: ifHeld', ifHeld, ['wait', 'fail', 'takeOver']);
  atLeast('postgresCheckpoint: acquireTimeoutMs', acquireTimeoutMs, 0, true);
  timerMs('postgresCheckpoint: leaseMs', leaseMs, 100);
  const quoted = quotedTable('postgresCheckpoint: table', table);
  nonEmpty('postgresCheckpoint: holder', holder);
  const row = new CheckpointRow(connections, quoted, name, holder, leaseMs);
  await row.make();
  const limit = performance.now() + (ifHeld === 'wait' ? acquireTimeoutMs : 0);
  for (;;) {
    const held = await row.acquire(ifHeld === 'takeOver');
    if (held !== undefined) return new Checkpoint(connections, row, held, leaseMs);
    const other = await row.holder();
    const restMs = limit - performance.now();
    if (restMs <= 0) throw new CheckpointHeldError(name, other.holder);
    await sleep(Math.min(other.leaseMs + 1, restMs, 250));
  }
}

class Checkpoint implements PostgresCheckpoint, ProgressKeeper {
  readonly progress: Progress;
  readonly #connections: PostgresConnections;
  readonly #row: CheckpointRow;
  readonly #token: string;
  readonly #renewal: NodeJS.Timeout;
  #renewing = false;
  /** Commits go one after the other: each writes all that is done, so must know of those before. */
  #turn: Promise<unknown> = Promise.resolve();
  #turns = 0;
  /** A commit got no answer: what is written down may be more than is known here. */
  #doubt = false;
  /** Why it is not ours any more. */
  #lost: CheckpointLostError | undefined;
  #given = false;
  #closing: Promise<void> | undefined;

  constructor(connections: PostgresConnections, row: CheckpointRow, { token, state }: Held, leaseMs: number) {
    this.progress = new Progress(state);
    this.#connections = connections;
    this.#row = row;
    this.#token = token;
    this.#renewal = setInterval(() => void this.#renew(), leaseMs / 3);
    this.#renewal.unref();
  }

  get position(): number {
    return this.progress.point.position;
  }

  source<T, C = never>(open: OpenAt<T, C>, options: CheckpointedSourceOptions<T, C> = {}): Observable<T> {
    if (this.#given)
      throw new InvalidOptionError('checkpoint.source: a checkpoint is for one source; take another one');
    const source = checkpointedSource(this, open, options);
    this.#given = true;
    return source;
  }

  sink<T>(sink: PostgresSink<T>): Required<Sink<T>> {
    const checked: Required<Sink<T>> = {
      store: (items, context) => this.#store(sink, items, context),
      classify: (error) => (error instanceof CheckpointLostError ? 'fatal' : sink.classify(error)),
      close: async () => {
        await this.#saveLast();
        await sink.close();
      },
    };
    return counting(checked, connectionsOf(this.#connections));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  mustHold(): void {
    if (this.#lost) throw this.#lost;
  }

  confirmed(): Promise<void> | undefined {
    this.mustHold();
    return this.#doubt || this.#turns > 0 ? this.#lookUp() : undefined;
  }

  async #store<T>(sink: PostgresSink<T>, items: readonly T[], context: SinkContext): Promise<void> {
    const { signal, origins } = context;
    this.mustHold();
    if (this.#doubt) await this.#lookUp(signal);
    const rows = origins ? items.filter((_item, i) => !this.#allDone(origins.of(i))) : items;
    if (rows.length === 0) return;

    let over = false;
    let leave: (() => void) | undefined;
    let written: number[] | undefined;
    try {
      await inTransaction(
        this.#connections,
        async (client) => {
          await sink.write(client, rows, context);
          leave = await this.#enter();
          if (over) {
            leave();
            throw signal.reason; // nobody waits for it any more
          }
          if (this.#doubt) await this.#read(client);
          const settled = positionsOf(this.progress, origins?.settled() ?? []);
          await this.#write(client, settled);
          written = settled;
        },
        { signal },
      );
      for (const position of written ?? []) this.progress.settle(position);
      written = undefined;
    } finally {
      over = true;
      if (written) this.#doubt = true;
      leave?.();
    }
  }

  /** What it cannot write now, it writes with the next batch, or the next time. */
  async #renew(): Promise<void> {
    if (this.#renewing) return; // each that waits would hold a connection
    this.#renewing = true;
    try {
      await this.#save();
    } catch {
      // A loss is told by whoever needs the checkpoint next.
    } finally {
      this.#renewing = false;
    }
  }

  /** Writes down what is settled, and that we live. */
  async #save(): Promise<void> {
    this.mustHold();
    await this.#connections.withClient((client) =>
      this.#inTurn(async () => {
        if (this.#doubt) await this.#read(client);
        await this.#write(client);
      }),
    );
  }

  /** Waits for commits that are on their way, and learns what they have written. */
  #lookUp(signal?: AbortSignal): Promise<void> {
    return this.#connections.withClient(
      (client) =>
        this.#inTurn(async () => {
          if (this.#doubt) await this.#read(client);
        }),
      { signal },
    );
  }

  async #write(client: PoolClient, positions?: readonly number[]): Promise<void> {
    if (!(await this.#row.write(client, this.#token, this.progress.stateWith(positions)))) this.#loses();
  }

  async #read(client: PoolClient): Promise<void> {
    const state = await this.#row.read(client, this.#token);
    if (state === undefined) this.#loses();
    this.progress.load(state);
    this.#doubt = false;
  }

  #loses(): never {
    this.#lost ??= new CheckpointLostError(this.#row.name);
    clearInterval(this.#renewal);
    throw this.#lost;
  }

  async #close(): Promise<void> {
    clearInterval(this.#renewal);
    await this.#saveLast();
    if (!this.#lost) await persistently(() => this.#row.release(this.#token));
  }

  /** At the end: if another one has it, that one does again what is not written down, which was nothing stored. */
  async #saveLast(): Promise<void> {
    try {
      await persistently(() => this.#save());
    } catch (error) {
      if (!this.#lost) throw error;
    }
  }

  /** Written down already, by a commit that got no answer. */
  #allDone(origins: readonly unknown[]): boolean {
    const positions = positionsOf(this.progress, origins);
    return positions.length > 0 && positions.every((position) => this.progress.isDone(position));
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const leave = await this.#enter();
    try {
      await work();
    } finally {
      leave();
    }
  }

  /** Waits for its turn; the result ends it. Whoever waits has a client already, or all could be waiting for one. */
  async #enter(): Promise<() => void> {
    const before = this.#turn;
    let leave!: () => void;
    this.#turn = new Promise<void>((resolve) => (leave = resolve));
    this.#turns++;
    await before;
    return () => {
      this.#turns--;
      leave();
    };
  }
}

/** Twice more where a connection was lost: at the end there is nobody who would try again. */
async function persistently(work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await work();
      return;
    } catch (error) {
      if (attempt === 3 || classifyPostgresError(error) !== 'retry') throw error;
    }
  }
}
