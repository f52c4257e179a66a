import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { lastValueFrom, take, toArray } from 'rxjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { delays, fromPull, poolMap, runFlow } from 'sluice';
import {
  cursorPages,
  fromNdjson,
  fromPages,
  HttpConnections,
  linkPages,
  numberedPages,
  readPages,
  type PagePlan,
  type PagePosition,
} from 'sluice/http';
import { sourceLaws } from '../../src/testing/laws/index.ts';

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

/** A server with the items 0 … `total` − 1, in pages of all three kinds. */
const server = createServer((request, response) => {
  const url = new URL(request.url!, origin);
  requests.push(url.pathname + url.search);
  if (onRequest?.(request, response) === true) return;
  const total = Number(url.searchParams.get('total') ?? 25);
  const size = Number(url.searchParams.get('size') ?? 10);
  const page = Number(url.searchParams.get('page') ?? 1);
  const from = url.pathname === '/cursor' ? Number(url.searchParams.get('after') ?? 0) : (page - 1) * size;
  const items = numbers(total).slice(from, from + size);
  const isLast = from + size >= total;
  if (url.pathname === '/link' && !isLast) {
    const at = (number: number): string => `</link?total=${total}&size=${size}&page=${number}>`;
    response.setHeader('link', `${at(1)}; rel="first", ${at(page + 1)}; title="a, b"; rel="next last"`);
  }
  const body = url.pathname === '/cursor' ? { items, after: isLast ? null : from + size } : items;
  if (url.pathname === '/ndjson')
    response.end(
      numbers(total)
        .map((n) => `${n}\n`)
        .join(''),
    );
  else response.end(JSON.stringify(body));
});
let origin = '';
let requests: string[] = [];
/** Answers in place of the server, if it says so. */
let onRequest: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
const http = new HttpConnections();

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await http.close();
  server.close();
});

interface Answer {
  readonly items: number[];
  readonly after: number | null;
}
const plans: Record<string, (total: number, size: number) => PagePlan<number, never>> = {
  link: (total, size) => linkPages<number>(http, `${origin}/link?total=${total}&size=${size}`) as never,
  cursor: (total, size) =>
    cursorPages<number, Answer>(http, {
      target: (cursor) =>
        `${origin}/cursor?total=${total}&size=${size}${cursor === undefined ? '' : `&after=${cursor}`}`,
      items: ({ items }) => items,
      next: ({ after }) => after,
    }) as never,
  numbered: (total, size) =>
    numberedPages<number>(http, {
      target: (page, asked) => `${origin}/pages?total=${total}&size=${asked}&page=${page}`,
      size,
    }) as never,
};

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe.each(Object.entries(plans))('%s', (kind, plan) => {
  test.each([0, 1, 9, 10, 11, 20, 25])('%d items, each once and in order', async (total) => {
    requests = [];
    expect(await lastValueFrom(fromPages(plan(total, 10)).pipe(toArray()))).toEqual(numbers(total));
    expect(requests.length).toBeLessThanOrEqual(Math.ceil(total / 10) + 1);
  });

  test('from behind any item, as JSON keeps it, with pages of another size', async () => {
    const read = await collect(readPages(plan(25, 10)));
    for (const [n, { resumeAt }] of read.entries()) {
      const from = JSON.parse(JSON.stringify(resumeAt)) as PagePosition<never>;
      for (const size of [10, 3, 25]) {
        const rest = (await collect(readPages(plan(25, size), { from }))).map(({ value }) => value);
        expect(rest, `after ${n}, pages of ${size}`).toEqual(numbers(25).slice(n + 1));
      }
    }
  });

  test('the end is a place, too: what comes later is found there', async () => {
    const from = (await collect(readPages(plan(25, 10)))).at(-1)!.resumeAt;
    // An address that a server has given has its sizes in it; the others are asked for anew.
    const total = kind === 'link' ? 25 : 32;
    const more = await collect(readPages(plan(32, 10), { from }));
    expect(more.map(({ value }) => value)).toEqual(numbers(total).slice(25));
  });

  test('a page is asked for when the items before it are taken', async () => {
    requests = [];
    const slow = fromPages(plan(1_000, 10)).pipe(
      poolMap(async (n) => n, { concurrency: 1 }),
      take(15),
    );
    expect(await lastValueFrom(slow.pipe(toArray()))).toHaveLength(15);
    expect(requests).toHaveLength(2);
  });

  test('a page that fails is read again, as a whole', async () => {
    let failures = 0;
    onRequest = (request, response) => {
      if (requests.length !== 2 + failures || failures === 3) return false;
      failures += 1;
      if (failures === 1) response.writeHead(500).end();
      else if (failures === 2) request.socket.resetAndDestroy();
      else
        response.writeHead(200, { 'content-length': 1_000 }).write('[10, 11', () => request.socket.destroy());
      return true;
    };
    requests = [];
    const flow = fromPages(plan(25, 10), { retry: delays([1, 1, 1]) });
    const items = await lastValueFrom(flow.pipe(toArray())).finally(() => (onRequest = undefined));
    expect([failures, items]).toEqual([3, numbers(25)]);
  });
});

const laws = [
  ...Object.entries(plans).flatMap(([kind, plan]) =>
    sourceLaws(`fromPages, ${kind}`, (count) => fromPages(plan(count, 10)), { time: 'real', maxItems: 200 }),
  ),
  ...sourceLaws('fromNdjson', (count) => fromNdjson<number>(http, `${origin}/ndjson?total=${count}`), {
    time: 'real',
    maxItems: 2_000,
  }),
];
describe('laws', () => {
  for (const { name, check } of laws) test(name, check);
});

describe('what cannot go on is an error, and no end', () => {
  const failure = (plan: PagePlan<unknown, never>): Promise<unknown> =>
    collect(readPages(plan)).then(
      () => 'it did not fail',
      (error: unknown) => error,
    );

  test('a server that gives smaller pages than it is asked for', async () => {
    const smaller = numberedPages<number>(http, {
      target: (page) => `${origin}/pages?size=5&page=${page}`,
      size: 10,
    });
    expect(await failure(smaller as never)).toMatchObject({ code: 'PAGE', retryable: false });
  });

  test('a page that fills up while it is read is no such server', async () => {
    let asked = 0;
    const growing: PagePlan<number, number> = numberedPages<number>(http, {
      target: (page, size) => `${origin}/pages?total=${++asked === 1 ? 5 : 15}&size=${size}&page=${page}`,
      size: 10,
    });
    expect((await collect(readPages(growing))).map(({ value }) => value)).toEqual(numbers(15));
  });

  test('a next page that is the same one, or elsewhere, or no array', async () => {
    const target = (): string => `${origin}/cursor`;
    const loop = cursorPages<number, Answer>(http, { target, items: ({ items }) => items, next: () => 7 });
    expect(await failure(loop as never)).toMatchObject({ code: 'PAGE' });
    const none = cursorPages<number, Answer>(http, {
      target,
      items: () => undefined as never,
      next: () => null,
    });
    expect(await failure(none as never)).toMatchObject({ code: 'PAGE' });
    onRequest = (_request, response) => {
      response.setHeader('link', '<https://elsewhere.example/>; rel=next').end('[]');
      return true;
    };
    expect(await failure(linkPages(http, origin) as never)).toMatchObject({ code: 'PAGE' });
    onRequest = undefined;
  });

  test('options out of range are refused at once', () => {
    const plan = plans['link']!(1, 1);
    expect(() => fromPages({} as never)).toThrow(/fromPages: plan.read/);
    expect(() => fromPages(plan, { retry: {} as never })).toThrow(/fromPages: retry/);
    expect(() => fromPages({ ...plan, after: 1 as never })).toThrow(/fromPages: plan.after/);
    expect(() => readPages(plan, { from: { at: '' as never, skip: -1 } })).toThrow(/from.skip/);
    expect(() => numberedPages(http, { target: () => '', size: 0 })).toThrow(/size/);
  });
});

test('fromNdjson leaves the server alone where the flow is drained', async () => {
  const run = runFlow(
    fromNdjson<number>(http, `${origin}/ndjson?total=100000`).pipe(
      poolMap((n) => new Promise((resolve) => setTimeout(resolve, 1, n)), { concurrency: 2 }),
    ),
  );
  setTimeout(() => void run.drain(), 50);
  const report = await run;
  expect(report).toMatchObject({ end: 'drained', leftOver: 0 });
  expect(report.delivered).toBeLessThan(100_000);
  await expect.poll(() => http.stats.busy).toBe(0);
});

test('fromPull reads places for a checkpoint', async () => {
  const last = fromPull((signal) => readPages(plans['cursor']!(25, 10), { signal }));
  expect(await lastValueFrom(last)).toEqual({ value: 24, resumeAt: { at: '20', skip: 5 } });
});

test('by numbers, the place of an item is the same whatever the size of pages is', async () => {
  const plan = (size: number): PagePlan<number, never> => plans['numbered']!(25, size);
  const places = (await collect(readPages(plan(10)))).map(({ resumeAt }) => resumeAt);
  expect(places).toEqual(numbers(25).map((n) => ({ at: n + 1, skip: 0 })));
  for (const size of [3, 25]) {
    const from = places[12]!;
    const rest = (await collect(readPages(plan(size), { from }))).map(({ resumeAt }) => resumeAt);
    expect(rest).toEqual(places.slice(13));
  }
});
