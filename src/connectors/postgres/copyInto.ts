import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { PoolClient } from 'pg';
import type { from as copyFrom } from 'pg-copy-streams';

type CopyFrom = typeof copyFrom;

let loading: Promise<CopyFrom | undefined> | undefined;

/** What `pg-copy-streams` has for COPY; undefined if it is not installed. */
export function copyDriver(): Promise<CopyFrom | undefined> {
  loading ??= import('pg-copy-streams').then(
    ({ from }) => from,
    () => undefined,
  );
  return loading;
}

/** Carries out a COPY … FROM STDIN of these rows. If it rejects, none of it is there. */
export async function copyInto(
  text: string,
  rows: Iterable<Buffer>,
  { client, queryTimeoutMs }: { readonly client: PoolClient; readonly queryTimeoutMs: number | undefined },
): Promise<void> {
  const from = await copyDriver();
  if (from === undefined) throw new Error('pg-copy-streams is not installed');
  const copy = from(text);
  // pg reads it off a query, as it does for its own.
  if (queryTimeoutMs !== undefined) Object.assign(copy, { query_timeout: queryTimeoutMs });
  await pipeline(Readable.from(rows, { objectMode: true, highWaterMark: 2 }), client.query(copy));
}
