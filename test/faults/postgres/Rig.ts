import { from, tap } from 'rxjs';
import {
  delays,
  fromPull,
  poolMap,
  runFlow,
  storeTo,
  type FlowRun,
  type RetryPolicy,
  type Sink,
} from 'sluice';
import {
  postgresCheckpoint,
  PostgresConnections,
  postgresTable,
  type PostgresCheckpoint,
  type PostgresConnectionsOptions,
} from 'sluice/postgres';
import type pg from 'pg';
import { FaultProxy } from '../house/faultProxy.ts';
import { lostAndTwice, timesStored, type Stored } from '../house/stored.ts';

/** What keeps rows from being there twice: a checkpoint in their transaction, a key, or nothing. */
export type Guard = 'checkpoint' | 'key' | 'nothing';

export interface RigSettings {
  /** @defaultValue `'checkpoint'` */
  readonly guard?: Guard;
  readonly items?: number;
  readonly connections?: PostgresConnectionsOptions;
}

export interface FlowSettings {
  readonly maxItems?: number;
  readonly retry?: RetryPolicy;
  /** Pushes the items in, as plain RxJS does. */
  readonly pushed?: boolean;
}

/** For longer than any fault lasts. */
export const patient = delays([10, 20, 50, 100, 200, ...Array.from({ length: 60 }, () => 300)]);

/** A flow of numbers into one table of a server, by way of a proxy, in this process. */
export class Rig {
  static #count = 0;
  readonly name = `rig_${++Rig.#count}`;
  readonly items: number;
  readonly proxy: FaultProxy;
  readonly db: PostgresConnections;
  /** Looks at the table, not through the proxy. */
  admin: pg.Client;
  readonly #guard: Guard;
  checkpoint: PostgresCheckpoint | undefined;
  #closing: Promise<void> | undefined;
  pulled = 0;
  confirmed = 0;
  /** The most items that were in the flow at once. */
  inside = 0;
  /** Errors of attempts to store a batch, by what the sink says of them. */
  readonly failures: { readonly kind: string; readonly error: unknown; readonly afterMs: number }[] = [];

  static async open(admin: pg.Client, connectionString: string, settings: RigSettings = {}): Promise<Rig> {
    const { hostname, port } = new URL(connectionString);
    const proxy = await FaultProxy.start({ host: hostname, port: Number(port || 5_432) });
    const rig = new Rig(admin, proxy, proxy.through(connectionString), settings);
    const unique = rig.#guard === 'key' ? 'PRIMARY KEY' : '';
    await admin.query(`CREATE TABLE ${rig.name} (item int ${unique})`);
    if (rig.#guard === 'checkpoint') rig.checkpoint = await postgresCheckpoint(rig.db, rig.name);
    return rig;
  }

  private constructor(
    admin: pg.Client,
    proxy: FaultProxy,
    address: string,
    { guard = 'checkpoint', items = 10_000, connections = {} }: RigSettings,
  ) {
    this.admin = admin;
    this.#guard = guard;
    this.items = items;
    this.proxy = proxy;
    const pool = { application_name: this.name, ...connections.pool };
    this.db = new PostgresConnections({ connectionString: address, max: 6, ...connections, pool });
  }

  /** Starts the flow. */
  run({ maxItems = 50, retry = patient, pushed = false }: FlowSettings = {}): FlowRun {
    const pulled =
      this.checkpoint?.source(({ position }) => this.#numbers(position)) ?? fromPull(this.#numbers(0));
    const source = pushed ? from(this.#numbers(0)) : pulled;
    return runFlow(
      source.pipe(
        poolMap(async (item: number) => ({ item }), { concurrency: 8 }),
        storeTo(this.#watched(), { maxItems, concurrency: 4, retry }),
        tap(() => this.confirmed++),
      ),
    );
  }

  async stored(): Promise<Stored> {
    return lostAndTwice(await timesStored(this.admin, this.name), this.items);
  }

  /** Connections of this rig, as the server counts them. */
  async backends(): Promise<number> {
    const { rows } = await this.admin.query<{ count: number }>(
      'SELECT count(*)::int FROM pg_stat_activity WHERE application_name = $1',
      [this.name],
    );
    return rows[0]!.count;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.checkpoint?.close();
    this.proxy.heal();
    await this.db.close();
    await this.proxy.stop();
  }

  *#numbers(position: number): Generator<number> {
    for (let n = position; n < this.items; n++) {
      this.pulled++;
      this.inside = Math.max(this.inside, this.pulled - this.confirmed);
      yield n;
    }
  }

  #watched(): Sink<{ item: number }> {
    const key = this.#guard === 'key' ? { key: ['item'] as const } : {};
    const table = postgresTable<{ item: number }>(this.db, this.name, key);
    const sink = this.checkpoint?.sink(table) ?? table;
    return {
      ...sink,
      store: async (items, context) => {
        const start = performance.now();
        try {
          await sink.store(items, context);
        } catch (error) {
          this.failures.push({ kind: sink.classify(error), error, afterMs: performance.now() - start });
          throw error;
        }
      },
    };
  }
}
