import type pg from 'pg';

/** What has come of the items 0 … `items` − 1, by the table that they were to be stored in. */
export interface Stored {
  readonly lost: number;
  readonly twice: number;
}

export const allOnce: Stored = { lost: 0, twice: 0 };

/** How many times each item is in the table. */
export async function timesStored(admin: pg.Client, table: string): Promise<ReadonlyMap<number, number>> {
  const { rows } = await admin.query<{ item: number; times: number }>(
    `SELECT item, count(*)::int AS times FROM ${table} GROUP BY item`,
  );
  return new Map(rows.map(({ item, times }) => [item, times]));
}

export function lostAndTwice(times: ReadonlyMap<number, number>, items: number): Stored {
  let [lost, twice] = [0, 0];
  for (let n = 0; n < items; n++) if (!times.has(n)) lost++;
  for (const n of times.values()) twice += n - 1;
  return { lost, twice };
}
