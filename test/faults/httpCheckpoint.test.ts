import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { tap } from 'rxjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { poolMap, runFlow, storeTo } from 'sluice';
import * as sound from 'sluice/http';
import { postgresCheckpoint, PostgresConnections, postgresTable } from 'sluice/postgres';
import { openTestDatabase, type TestDatabase } from '../integration/servers/postgres.ts';
import { startRawServer } from '../integration/servers/rawServer.ts';
import { removeMutants, type Sabotage } from '../support/mutant.ts';
import { bundled } from './house/bundle.ts';
import { answerTo, askedOf, numberPages, total, type Kind } from './http/numberPages.ts';
import { head, mustFail, pathOf, twin, type Http } from './http/twin.ts';
import { unevenly } from './http/unevenly.ts';

let database: TestDatabase;
let db: PostgresConnections;
let importer: string;
beforeAll(async () => {
  importer = await bundled(fileURLToPath(new URL('http/pageImporter.ts', import.meta.url)));
  database = await openTestDatabase();
  db = new PostgresConnections({ connectionString: database.connectionString });
});
afterAll(async () => {
  await db.close();
  await database.stop();
  await removeMutants();
});

const kinds: readonly Kind[] = ['numbered', 'cursor', 'link'];
const numbers = Array.from({ length: total }, (_, n) => n);

/** What a page that has the item 60 does the first three times. */
const faults: ((socket: Socket) => unknown)[] = [
  (socket) => socket.write(head('500 Internal Server Error', 'content-length: 0')),
  (socket) =>
    socket.write(head('200 OK', 'content-length: 1000'), () => setTimeout(() => socket.resetAndDestroy(), 5)),
  (socket) => socket.end(`${head('200 OK', 'content-length: 1000')}{"items":[60,61,`),
];

let names = 0;

describe('F42: pages into a table without a key, its checkpoint in the same transaction, over restarts', () => {
  interface Restarts {
    readonly kind: Kind;
    readonly sizeOf: (run: number) => number;
    readonly keyed?: boolean;
  }

  async function check(lib: Http, { kind, sizeOf, keyed = false }: Restarts): Promise<void> {
    const name = `pages_${++names}`;
    await database.admin.query(`CREATE TABLE ${name} (id int)`);
    let failures = 0;
    await using server = await startRawServer((socket, request) => {
      const { from, to } = askedOf(pathOf(request));
      if (from <= 60 && to > 60 && failures < faults.length) return void faults[failures++]!(socket);
      return void socket.write(answerTo(pathOf(request)));
    });
    await using http = new lib.HttpConnections();
    const ends: string[] = [];
    for (let run = 0; ends.at(-1) !== 'completed' && run < 50; run++) {
      // Nobody closes it, as nobody would after a crash: the next one takes over.
      const checkpoint = await postgresCheckpoint(db, name, { ifHeld: 'takeOver' });
      const plan = numberPages(lib, http, server.origin, { kind, size: sizeOf(run), keyed });
      let delivered = 0;
      const stopping = tap(() => {
        if (++delivered === 40) void flow.abort();
      });
      const sink = checkpoint.sink(postgresTable<{ id: number }>(db, name));
      const flow = runFlow(
        lib
          .fromPages(plan, { checkpoint })
          .pipe(
            poolMap(unevenly, { concurrency: 8 }),
            storeTo(sink, { maxItems: 9, concurrency: 2 }),
            stopping,
          ),
      );
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
    const others = ends.filter((end) => end !== 'aborted' && !end.startsWith('HTTP_'));
    expect(others).toEqual(['completed']);
    expect(ends.filter((end) => end === 'aborted').length).toBeGreaterThanOrEqual(4);
  }

  const same = (): number => 10;
  const another = (run: number): number => [10, 7, 13, 4][run % 4]!;

  test.each(kinds)('%s: nothing is skipped, nothing is stored twice', (kind) =>
    check(sound, { kind, sizeOf: same }),
  );
  test.each(kinds)('%s, with keys, and pages of another size each time: the same', (kind) =>
    check(sound, { kind, sizeOf: another, keyed: true }),
  );
  test('by numbers, without keys, and pages of another size each time: the same', () =>
    check(sound, { kind: 'numbered', sizeOf: another }));

  const twins: Record<string, [Restarts, Sabotage]> = {
    'the place of an item is its page': [
      { kind: 'numbered', sizeOf: same },
      {
        file: 'src/connectors/http/pages.ts',
        find: 'after: (at, count) => at + count,',
        replace: 'after: (at) => at,',
      },
    ],
    'the place of an item depends on the size of pages': [
      { kind: 'numbered', sizeOf: another },
      { file: 'src/connectors/http/pages.ts', find: 'after: (at, count) => at + count,', replace: '' },
    ],
    'keys are not compared': [
      { kind: 'cursor', sizeOf: another, keyed: true },
      { file: 'src/connectors/http/fromPages.ts', find: ', isSame: isSamePlace', replace: '' },
    ],
    'keys are not looked for': [
      { kind: 'cursor', sizeOf: another, keyed: true },
      {
        file: 'src/connectors/http/PagePosition.ts',
        find: 'place.key !== undefined && keyOf',
        replace: 'false && keyOf',
      },
    ],
  };
  test.each(Object.entries(twins))('twin: %s', async (_what, [restarts, sabotage]) => {
    await mustFail(check(await twin(sabotage), restarts));
  });
});

describe.concurrent(
  'F42: a program that reads pages is killed, and started again with pages of another size',
  () => {
    interface Restart {
      readonly kind: Kind;
      readonly keyed: boolean;
      /** Of each run; the last one is not killed. */
      readonly sizes: readonly number[];
    }
    interface Ending {
      readonly status: number | string | null;
      readonly said: string;
    }

    /** Kills each run but the last, once it has stored one batch, or two: not a page, nor several. */
    async function killed({ kind, keyed, sizes }: Restart): Promise<{ ids: number[]; endings: Ending[] }> {
      const name = `killed_${++names}`;
      await database.admin.query(`CREATE TABLE ${name} (id int)`);
      await using server = await startRawServer((socket, request) => {
        socket.write(answerTo(pathOf(request)));
      });
      const endings: Ending[] = [];
      for (const [run, size] of sizes.entries()) {
        const pages = JSON.stringify({ kind, keyed, size });
        const stored = run < sizes.length - 1 ? '9' : '0';
        const program = fork(importer, [database.connectionString, server.origin, name, pages, stored], {
          execArgv: [],
          silent: true,
        });
        let said = '';
        program.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()));
        const [code, signal] = (await once(program, 'close')) as [number | null, string | null];
        endings.push({ status: signal ?? code, said });
      }
      const { rows } = await database.admin.query<{ id: number }>(`SELECT id FROM ${name} ORDER BY id`);
      return { ids: rows.map(({ id }) => id), endings };
    }

    test.each(['cursor', 'link'] as const)('%s, with keys: it goes on after the very item', async (kind) => {
      const { ids, endings } = await killed({ kind, keyed: true, sizes: [10, 7, 13] });
      expect(endings.map(({ status }) => status)).toEqual(['SIGKILL', 'SIGKILL', 0]);
      expect(ids).toEqual(numbers);
    });

    test('cursor, without keys: it says what to do, and with the size of before it goes on', async () => {
      const { ids, endings } = await killed({ kind: 'cursor', keyed: false, sizes: [10, 7, 10] });
      expect(endings.map(({ status }) => status)).toEqual(['SIGKILL', 1, 0]);
      expect(endings[1]!.said).toMatch(/PageError: fromPages: .* go back to the size of pages that it had/);
      expect(ids).toEqual(numbers);
    });
  },
);
