import type { PoolClient } from 'pg';
import type { Sink, SinkContext } from '../../work/Sink.ts';

/** A sink that can store in a transaction that somebody else begins and commits. */
export interface PostgresSink<T> extends Required<Sink<T>> {
  /** Stores the items as statements of the client's transaction. */
  write(client: PoolClient, items: readonly T[], context: SinkContext): Promise<void>;
}
