import type { PoolClient } from 'pg';
import type { DoneRange, ProgressState } from '../../checkpoint/Progress.ts';
import type { PostgresConnections } from './connections.ts';

/** A checkpoint that was taken. */
export interface Held {
  /** Rises with each holder. Writes with an older one are refused. */
  readonly token: string;
  readonly state: ProgressState;
}

interface StateRow {
  readonly position: string;
  readonly cursor: unknown;
  readonly done: DoneRange[];
}

const stateOf = ({ position, cursor, done }: StateRow): ProgressState => ({
  position: Number(position),
  cursor: cursor ?? undefined,
  done,
});

/** One row of the table of checkpoints. Time is the server's. */
export class CheckpointRow {
  readonly name: string;
  readonly #connections: PostgresConnections;
  readonly #table: string;
  readonly #holder: string;
  readonly #leaseMs: number;

  constructor(
    connections: PostgresConnections,
    table: string,
    name: string,
    holder: string,
    leaseMs: number,
  ) {
    this.name = name;
    this.#connections = connections;
    this.#table = table;
    this.#holder = holder;
    this.#leaseMs = leaseMs;
  }

  /** Makes the table, if it is not there. */
  async make(): Promise<void> {
    const there = async (): Promise<boolean> => {
      const { rows } = await this.#connections.query('SELECT to_regclass($1) IS NOT NULL AS there', [
        this.#table,
      ]);
      return rows[0]?.['there'] === true;
    };
    if (await there()) return;
    try {
      await this.#connections.query(
        `CREATE TABLE IF NOT EXISTS ${this.#table} (
           name text PRIMARY KEY,
           token bigint NOT NULL,
           holder text NOT NULL,
           lease_until timestamptz NOT NULL,
           position bigint NOT NULL DEFAULT 0,
           cursor json,
           done json NOT NULL DEFAULT '[]',
           written_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
      );
    } catch (error) {
      if (!(await there())) throw error; // IF NOT EXISTS does not help against another instance that makes it now
    }
  }

  /** Takes it, if nobody has it; or in any case. */
  async acquire(inAnyCase: boolean): Promise<Held | undefined> {
    const { rows } = await this.#connections.query<StateRow & { token: string }>(
      `INSERT INTO ${this.#table} AS row (name, token, holder, lease_until)
       VALUES ($1, 1, $2, clock_timestamp() + $3::float8 * interval '1 millisecond')
       ON CONFLICT (name) DO UPDATE SET token = row.token + 1, holder = EXCLUDED.holder,
                                        lease_until = EXCLUDED.lease_until
        WHERE $4 OR row.lease_until <= clock_timestamp()
       RETURNING token::text, position::text, cursor, done`,
      [this.name, this.#holder, this.#leaseMs, inAnyCase],
    );
    const [row] = rows;
    return row && { token: row.token, state: stateOf(row) };
  }

  /** Who has it, and for how long at least. */
  async holder(): Promise<{ holder: string; leaseMs: number }> {
    const { rows } = await this.#connections.query<{ holder: string; leaseMs: number }>(
      `SELECT holder, greatest(0, extract(epoch FROM lease_until - clock_timestamp()) * 1000)::float8 AS "leaseMs"
         FROM ${this.#table} WHERE name = $1`,
      [this.name],
    );
    return rows[0] ?? { holder: 'nobody', leaseMs: 0 };
  }

  /** Answers whether it was written: not if another one has taken it since. */
  async write(
    client: PoolClient,
    token: string,
    { position, cursor, done }: ProgressState,
  ): Promise<boolean> {
    const { rowCount } = await client.query(
      `UPDATE ${this.#table} SET position = $3, cursor = $4, done = $5, written_at = clock_timestamp(),
              lease_until = clock_timestamp() + $6::float8 * interval '1 millisecond'
        WHERE name = $1 AND token = $2 RETURNING ${this.#unlockInTime}`,
      [
        this.name,
        token,
        position,
        cursor === undefined ? null : JSON.stringify(cursor),
        JSON.stringify(done),
        this.#leaseMs,
      ],
    );
    return rowCount === 1;
  }

  /** What is written down, by transactions that are under way too; undefined if another one has taken it since. */
  async read(client: PoolClient, token: string): Promise<ProgressState | undefined> {
    // The lock waits for whoever is writing it.
    const { rows } = await client.query<StateRow>(
      `SELECT position::text, cursor, done, ${this.#unlockInTime}
         FROM ${this.#table} WHERE name = $1 AND token = $2 FOR UPDATE`,
      [this.name, token],
    );
    return rows[0] && stateOf(rows[0]);
  }

  /**
   * For the rest of the transaction: the server ends it if nothing comes for as long as the lease. Or a process that is
   * paused before its COMMIT would keep the row locked, and with it whoever is to replace the process.
   */
  get #unlockInTime(): string {
    return `set_config('idle_in_transaction_session_timeout', '${Math.ceil(this.#leaseMs)}', true)`;
  }

  /** Lets others have it at once. */
  async release(token: string): Promise<void> {
    await this.#connections.query(
      `UPDATE ${this.#table} SET lease_until = clock_timestamp() WHERE name = $1 AND token = $2`,
      [this.name, token],
    );
  }
}
