import type { Socket } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import { delays, fromPull, poolMap, runFlow, type RetryPolicy } from 'sluice';
import * as sound from 'sluice/http';
import { startRawServer } from '../integration/servers/rawServer.ts';
import { removeMutants } from '../support/mutant.ts';
import { head, mustFail, ok, pathOf, twin, type Http } from './http/twin.ts';

afterAll(removeMutants);

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

describe('F42: page 7 fails three times, and then pages are of another size', () => {
  const faults: ((socket: Socket) => unknown)[] = [
    (socket) => socket.write(head('500 Internal Server Error', 'content-length: 0')),
    (socket) =>
      socket.write(head('200 OK', 'content-length: 1000'), () =>
        setTimeout(() => socket.resetAndDestroy(), 5),
      ),
    (socket) => socket.end(`${head('200 OK', 'content-length: 1000')}[60,61,`),
  ];

  /** Runs until page 7 has failed for good, goes on from where it was, and gives all that was delivered. */
  async function check(
    { HttpConnections, numberedPages, readPages }: Http,
    retry?: RetryPolicy,
  ): Promise<void> {
    let failures = 0;
    const asked: string[] = [];
    await using server = await startRawServer((socket, request) => {
      const [, page = '', size = ''] = /page=(\d+)&size=(\d+)/.exec(pathOf(request)) ?? [];
      asked.push(`${page}/${size}`);
      if (page === '7' && size === '10' && failures < 3) return void faults[failures++]!(socket);
      const from = (Number(page) - 1) * Number(size);
      return void socket.write(ok(JSON.stringify(numbers(125).slice(from, from + Number(size)))));
    });
    await using http = new HttpConnections();
    const target = (page: number, size: number): string => `${server.origin}/?page=${page}&size=${size}`;
    const delivered: number[] = [];
    let resumeAt = { at: 0, skip: 0 };
    const run = async (size: number): Promise<unknown> => {
      const plan = numberedPages<number>(http, { target, size });
      const pages = fromPull((signal) =>
        readPages(plan, { from: resumeAt, signal, ...(retry && { retry }) }),
      );
      const store = poolMap(
        async (item: sound.PagedItem<number, number>) => {
          delivered.push(item.value);
          resumeAt = item.resumeAt;
        },
        { concurrency: 1 },
      );
      return runFlow(pages.pipe(store)).then(
        () => 'completed',
        () => 'failed',
      );
    };
    if (retry === undefined) {
      for (const _fault of faults) expect([await run(10), delivered.length]).toEqual(['failed', 60]);
      expect(asked.filter((page) => page === '7/10')).toHaveLength(3);
      const before = asked.length;
      expect(await run(7)).toBe('completed');
      // 60 items were done: of pages of 7, the one that has the item 60 is the ninth.
      expect(asked[before]).toBe('9/7');
    } else {
      expect(await run(10)).toBe('completed');
      expect(asked.filter((page) => page === '7/10')).toHaveLength(4);
    }
    expect(delivered).toEqual(numbers(125));
  }

  /** Stopped after any item, and gone on with, with pages of another size each time. */
  async function checkMidPage({ HttpConnections, numberedPages, readPages }: Http): Promise<void> {
    await using server = await startRawServer((socket, request) => {
      const [, page = '', size = ''] = /page=(\d+)&size=(\d+)/.exec(pathOf(request)) ?? [];
      const from = (Number(page) - 1) * Number(size);
      socket.write(ok(JSON.stringify(numbers(125).slice(from, from + Number(size)))));
    });
    await using http = new HttpConnections();
    const target = (page: number, size: number): string => `${server.origin}/?page=${page}&size=${size}`;
    const delivered: number[] = [];
    let from = { at: 0, skip: 0 };
    for (let part = 0; delivered.length < 125 && part < 200; part++) {
      let taken = 0;
      for await (const { value, resumeAt } of readPages(
        numberedPages<number>(http, { target, size: 5 + (part % 4) }),
        {
          from,
        },
      )) {
        delivered.push(value);
        from = resumeAt;
        if (++taken > part % 6) break;
      }
    }
    expect(delivered).toEqual(numbers(125));
  }

  test('stopped within pages: the same', () => checkMidPage(sound));
  test('restarted each time: nothing is skipped, nothing delivered twice', () => check(sound));
  test('with a policy it is read again in place', () => check(sound, delays([1, 1, 1])));
  test('twin: a page is delivered as it comes, wherever the place is', async () => {
    const find = 'all.slice(at % size)';
    const careless = { file: 'src/connectors/http/pages.ts', find, replace: 'all' };
    await mustFail(check(await twin(careless)));
  });
  test('twin: what is done of a page is not kept', async () => {
    const find = 'after: (at, count) => at + count,';
    const forgetful = { file: 'src/connectors/http/pages.ts', find, replace: 'after: (at) => at,' };
    await mustFail(checkMidPage(await twin(forgetful)));
  });
});
