import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { HttpConnections } from 'sluice/http';
import { PostgresConnections } from 'sluice/postgres';
import { WorkerThreads } from 'sluice/workers';

interface Handle {
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const folder = new URL('../../src/connectors/', import.meta.url);
const doors = readdirSync(folder).filter((name) => /^[a-z]\w*\.ts$/.test(name));

/** Each class that a door exports whose instances can be closed, by its name. */
async function closable(): Promise<Map<string, Partial<Handle>>> {
  const found = new Map<string, Partial<Handle>>();
  for (const door of doors) {
    const exported = (await import(new URL(door, folder).href)) as Record<string, unknown>;
    for (const [name, value] of Object.entries(exported)) {
      const { prototype } = value as { prototype?: Partial<Handle> };
      if (prototype && ('close' in prototype || 'end' in prototype || 'destroy' in prototype)) {
        found.set(name, prototype);
      }
    }
  }
  return found;
}

/** One of each, with nothing behind it. */
const make: Record<string, () => Handle> = {
  HttpConnections: () => new HttpConnections(),
  PostgresConnections: () => new PostgresConnections({ connectionString: 'postgres://127.0.0.1:1/none' }),
  WorkerThreads: () => new WorkerThreads(new URL('data:text/javascript,'), { threads: 1 }),
};

describe('what a door opens can be held with await using', () => {
  test('every class that can be closed is among those that are tried', async () => {
    expect(doors.length).toBeGreaterThanOrEqual(3);
    expect([...(await closable()).keys()].sort()).toEqual(Object.keys(make).sort());
  });

  test.each(Object.entries(make))('%s: closes once, and answers the same promise', async (_, open) => {
    let handle!: Handle;
    {
      await using opened = open();
      handle = opened;
    }
    const closed = handle.close();
    expect(handle.close()).toBe(closed);
    expect(handle[Symbol.asyncDispose]()).toBe(closed);
    await closed;
  });
});
