import type { Socket } from 'node:net';
import { tap } from 'rxjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { poolMap, runFlow, storeTo } from 'sluice';
import * as sound from 'sluice/http';
import { postgresCheckpoint, PostgresConnections, postgresTable } from 'sluice/postgres';
import { openTestDatabase, type TestDatabase } from '../integration/servers/postgres.ts';
import { startRawServer } from '../integration/servers/rawServer.ts';
import { removeMutants } from '../support/mutant.ts';
import { head, mustFail, pathOf, sleep, twin, type Http } from './http/twin.ts';

let database: TestDatabase;
let db: PostgresConnections;
beforeAll(async () => {
  database = await openTestDatabase();
  db = new PostgresConnections({ connectionString: database.connectionString });
});
afterAll(async () => {
  await db.close();
  await database.stop();
  await removeMutants();
});

const total = 400;
const numbers = Array.from({ length: total }, (_, n) => n);

interface Answer {
  readonly items: number[];
  readonly after: number | null;
}

/** A place of any kind of pages. */
type Place = number | string;

const plans: Record<
  string,
  (lib: Http, http: sound.HttpConnections, origin: string, size: number) => unknown
> = {
  numbered: ({ numberedPages }, http, origin, size) =>
    numberedPages<number, Answer>(http, {
      target: (page, asked) => `${origin}/?from=${(page - 1) * asked}&size=${asked}`,
      items: ({ items }) => items,
      size,
    }),
  cursor: ({ cursorPages }, http, origin, size) =>
    cursorPages<number, Answer>(http, {
      target: (cursor = '0') => `${origin}/?from=${cursor}&size=${size}`,
      items: ({ items }) => items,
      next: ({ after }) => after,
    }),
  link: ({ linkPages }, http, origin, size) =>
    linkPages<number, Answer>(http, `${origin}/?from=0&size=${size}`, { items: ({ items }) => items }),
};

/** What a page that has the item 60 does the first three times. */
const faults: ((socket: Socket) => unknown)[] = [
  (socket) => socket.write(head('500 Internal Server Error', 'content-length: 0')),
  (socket) =>
    socket.write(head('200 OK', 'content-length: 1000'), () => setTimeout(() => socket.resetAndDestroy(), 5)),
  (socket) => socket.end(`${head('200 OK', 'content-length: 1000')}{"items":[60,61,`),
];

/** Out of order: every seventh item takes longer. */
const uneven = poolMap(
  async ({ value: id }: sound.PagedItem<number, Place>): Promise<{ id: number }> => {
    await sleep(id % 7 === 0 ? 10 : 0);
    return { id };
  },
  { concurrency: 8 },
);

let names = 0;

describe('F42: pages into a table without a key, its checkpoint in the same transaction, over restarts', () => {
  interface Restarts {
    readonly kind: string;
    readonly sizeOf: (run: number) => number;
    readonly stop?: 'abort' | 'drain';
  }

  async function check(lib: Http, { kind, sizeOf, stop = 'abort' }: Restarts): Promise<void> {
    const name = `pages_${++names}`;
    await database.admin.query(`CREATE TABLE ${name} (id int)`);
    let failures = 0;
    await using server = await startRawServer((socket, request) => {
      const [, first = '', size = ''] = /from=(\d+)&size=(\d+)/.exec(pathOf(request)) ?? [];
      const [from, to] = [Number(first), Number(first) + Number(size)];
      if (from <= 60 && to > 60 && failures < faults.length) return void faults[failures++]!(socket);
      const body = JSON.stringify({ items: numbers.slice(from, to), after: to < total ? to : null });
      const next = `link: </?from=${to}&size=${size}>; rel=next`;
      const headers = [`content-length: ${body.length}`, ...(to < total ? [next] : [])];
      return void socket.write(head('200 OK', ...headers) + body);
    });
    await using http = new lib.HttpConnections();
    const ends: string[] = [];
    for (let run = 0; ends.at(-1) !== 'completed' && run < 50; run++) {
      // Nobody closes it, as nobody would after a crash: the next one takes over.
      const checkpoint = await postgresCheckpoint(db, name, { ifHeld: 'takeOver' });
      const plan = plans[kind]!(lib, http, server.origin, sizeOf(run)) as sound.PagePlan<number, Place>;
      let delivered = 0;
      const source = checkpoint.source<sound.PagedItem<number, Place>, sound.PagePosition<Place>>(
        ({ cursor: from }, signal) => lib.readPages(plan, { ...(from && { from }), signal }),
        { cursor: ({ resumeAt }) => resumeAt },
      );
      const stopping = tap(() => {
        if (++delivered === 40) void flow[stop]();
      });
      const sink = checkpoint.sink(postgresTable<{ id: number }>(db, name));
      const flow = runFlow(source.pipe(uneven, storeTo(sink, { maxItems: 9, concurrency: 2 }), stopping));
      ends.push(
        await flow.then(
          ({ end }) => end,
          (error: unknown) => (error as { code: string }).code,
        ),
      );
      if (ends.at(-1) === 'completed') await checkpoint.close();
    }
    const { rows } = await database.admin.query<{ id: number }>(`SELECT id FROM ${name} ORDER BY id`);
    expect(rows.map(({ id }) => id)).toEqual(numbers);
    expect(failures).toBe(faults.length);
    // A page may also fail while the flow is being stopped.
    const stopped = stop === 'abort' ? 'aborted' : 'drained';
    const others = ends.filter((end) => end !== stopped && !end.startsWith('HTTP_'));
    expect(others).toEqual(['completed']);
    expect(ends.filter((end) => end === stopped).length).toBeGreaterThanOrEqual(4);
  }

  const same = (): number => 10;
  const another = (run: number): number => [10, 7, 13, 4][run % 4]!;

  test.each(Object.keys(plans))('%s: nothing is skipped, nothing is stored twice', (kind) =>
    check(sound, { kind, sizeOf: same }),
  );
  test('by numbers, with pages of another size each time: the same', () =>
    check(sound, { kind: 'numbered', sizeOf: another }));
  test('by cursors, with pages of another size each time, and drained: the same', () =>
    check(sound, { kind: 'cursor', sizeOf: another, stop: 'drain' }));

  test('twin: the place of an item is its page', async () => {
    const find = 'after: (at, count) => at + count,';
    const coarse = { file: 'src/connectors/http/pages.ts', find, replace: 'after: (at) => at,' };
    await mustFail(check(await twin(coarse), { kind: 'numbered', sizeOf: same }));
  });
  test('twin: the place of an item depends on the size of pages', async () => {
    const find = 'after: (at, count) => at + count,';
    const paged = { file: 'src/connectors/http/pages.ts', find, replace: '' };
    await mustFail(check(await twin(paged), { kind: 'numbered', sizeOf: another }));
  });
});
