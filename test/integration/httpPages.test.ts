import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { lastValueFrom, NEVER, take, toArray } from 'rxjs';
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
type Keys = { readonly keyOf?: (n: number) => number };
const keyed: Keys = { keyOf: (n) => n };
const plans: Record<string, (total: number, size: number, keys?: Keys) => PagePlan<number, never>> = {
  link: (total, size, keys) =>
    linkPages<number>(http, `${origin}/link?total=${total}&size=${size}`, { ...keys }) as never,
  cursor: (total, size, keys) =>
    cursorPages<number, Answer>(http, {
      target: (cursor) =>
        `${origin}/cursor?total=${total}&size=${size}${cursor === undefined ? '' : `&after=${cursor}`}`,
      items: ({ items }) => items,
      next: ({ after }) => after,
      ...keys,
    }) as never,
  numbered: (total, size, keys) =>
    numberedPages<number>(http, {
      target: (page, asked) => `${origin}/pages?total=${total}&size=${asked}&page=${page}`,
      size,
      ...keys,
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

  test.each<[string, Keys]>([
    ['by keys', keyed],
    ['without', {}],
  ])('from behind any item, as JSON keeps it, with pages of any size, %s', async (_how, keys) => {
    const read = await collect(readPages(plan(25, 10, keys)));
    for (const [n, { resumeAt }] of read.entries()) {
      const from = JSON.parse(JSON.stringify(resumeAt)) as PagePosition<never>;
      for (const size of [10, 3, 25]) {
        const rest = collect(readPages(plan(25, size, keys), { from })).then(
          (items) => items.map(({ value }) => value),
          (error: unknown) => (error as { code: string }).code,
        );
        // Without keys, a page of a cursor must have as many items as it had. (A link has the size of pages in it.)
        const { at, skip, items } = from as PagePosition<unknown>;
        const isCounted = kind === 'cursor' && !keys.keyOf && skip > 0;
        const isLost = isCounted && items !== Math.min(size, 25 - Number(at));
        const expected = isLost ? 'PAGE' : numbers(25).slice(n + 1);
        expect(await rest, `after ${n}, pages of ${size}`).toEqual(expected);
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

  test.each([
    ['rel="next"', true],
    ['rel=next', true],
    ['REL = "prev  NEXT"', true],
    ['rel="\\next"', true],
    ['title="a \\"b\\" c"; rel="next"', true],
    ['title="back\\\\"; rel="next"', true],
    ['title="a; rel=last, <b>"; rel="next"', true],
    ["title*=UTF-8''a%20b; rel=next", true],
    ['; rel=next', true],
    ['foo; rel="next";', true],
    ['a/b="x"; rel=next', true],
    ['foo.bar=1:0; type=text/html; rel=next , ,', true],
    ['title="rel=next"; rel="last"', false],
    ['rel="last"; rel="next"', false],
    ['title="not closed; rel="next"', 'PAGE'],
    ['title="not closed; rel=next', 'PAGE'],
    ['rel="next" what', 'PAGE'],
    ['rel="next", nothing', 'PAGE'],
  ])('a link with %s: the next page, the last one, or an error', async (parameters, expected) => {
    onRequest = (request, response) => {
      if (request.url === '/') response.setHeader('link', `</2>; ${parameters}`);
      response.end('[1]');
      return true;
    };
    const read = await collect(readPages(linkPages<number>(http, origin))).then(
      (items) => items.length === 2,
      (error: unknown) => (error as { code: string }).code,
    );
    onRequest = undefined;
    expect(read).toBe(expected);
  });

  test('options out of range are refused at once', () => {
    const plan = plans['link']!(1, 1);
    expect(() => fromPages({} as never)).toThrow(/fromPages: plan.read/);
    expect(() => fromPages(plan, { retry: {} as never })).toThrow(/fromPages: retry/);
    expect(() => fromPages({ ...plan, after: 1 as never })).toThrow(/fromPages: plan.after/);
    expect(() => fromPages({ ...plan, keyOf: 1 as never })).toThrow(/fromPages: plan.keyOf/);
    expect(() => linkPages(http, origin, { keyOf: 'id' as never })).toThrow(/linkPages: keyOf/);
    expect(() => readPages(plan, { from: { at: '' as never, skip: -1 } })).toThrow(/from.skip/);
    const [from, checkpoint] = [{ at: '' as never, skip: 0 }, { source: () => NEVER }];
    expect(() => fromPages(plan, { from, checkpoint })).toThrow(/fromPages: from/);
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

describe('places, where pages are not what they were', () => {
  /** Items that change between two readings, in pages whose cursors are page numbers, or the item before. */
  let items: number[] = [];
  const byNumber = (size: number, keys: Keys = {}): PagePlan<number, number> => ({
    ...keys,
    first: 0,
    read: async (at) => ({
      items: items.slice(at * size, (at + 1) * size),
      next: (at + 1) * size < items.length ? at + 1 : undefined,
    }),
  });
  const byItem = (size: number, keys: Keys = {}): PagePlan<number, number> => ({
    ...keys,
    first: -1,
    read: async (at) => {
      const rest = items.filter((n) => n > at);
      const page = rest.slice(0, size);
      return { items: page, next: rest.length > size ? page.at(-1)! : undefined };
    },
  });
  const outcome = (reading: AsyncIterable<{ value: number }>): Promise<number[] | string> =>
    collect(reading).then(
      (read) => read.map(({ value }) => value),
      (error: unknown) => (error as { code: string }).code,
    );

  test('page numbers for cursors, and another size: by keys exact, or an error, and never another item', async () => {
    items = numbers(57);
    const outcomes = new Set<string>();
    for (const size of [1, 3, 9, 11, 20, 57, 60]) {
      for (const [n, { resumeAt: from }] of (await collect(readPages(byNumber(10, keyed)))).entries()) {
        const rest = await outcome(readPages(byNumber(size, keyed), { from }));
        if (rest !== 'PAGE') expect(rest, `after ${n}, pages of ${size}`).toEqual(items.slice(n + 1));
        outcomes.add(typeof rest === 'string' ? rest : 'exact');
      }
    }
    expect(outcomes).toEqual(new Set(['exact', 'PAGE']));
  });

  test('page numbers for cursors, another size, and no keys: an error within any page but the last', async () => {
    items = numbers(57);
    for (const size of [3, 9, 11, 20]) {
      for (const { value, resumeAt: from } of await collect(readPages(byNumber(10)))) {
        if (from.skip === 0 || value >= 50) continue;
        expect(await outcome(readPages(byNumber(size), { from })), `${value}, ${size}`).toBe('PAGE');
      }
    }
  });

  test('items inserted before: they do not come in place of others', async () => {
    items = numbers(30).map((n) => n + 100);
    const read = await collect(readPages(byNumber(10, keyed)));
    items = [...numbers(13), ...items];
    for (const { value, resumeAt: from } of read) {
      const rest = await outcome(readPages(byNumber(10, keyed), { from }));
      expect(rest).toEqual(items.slice(items.indexOf(value) + 1));
    }
  });

  test('items removed before: by keys exact; where it is the item itself, an error', async () => {
    items = numbers(30);
    const { resumeAt: from } = (await collect(readPages(byItem(10, keyed))))[14]!;
    items = numbers(30).filter((n) => n !== 12);
    expect(await outcome(readPages(byItem(10, keyed), { from }))).toEqual(numbers(30).slice(15));
    items = numbers(30).filter((n) => n !== 14);
    expect(await outcome(readPages(byItem(10, keyed), { from }))).toBe('PAGE');
  });

  test('a last page may grow, and not shrink', async () => {
    for (const keys of [keyed, {}]) {
      items = numbers(25);
      const { resumeAt: from } = (await collect(readPages(byItem(10, keys))))[22]!;
      items = numbers(40);
      expect(await outcome(readPages(byItem(10, keys), { from }))).toEqual(numbers(40).slice(23));
      items = numbers(25).filter((n) => n !== 21);
      const expected = keys.keyOf ? [23, 24] : 'PAGE';
      expect(await outcome(readPages(byItem(10, keys), { from }))).toEqual(expected);
    }
  });

  test('a key that is none is an error', async () => {
    items = numbers(3);
    for (const key of [undefined, null, NaN, {}]) {
      expect(await outcome(readPages(byItem(10, { keyOf: () => key as never })))).toBe('PAGE');
    }
  });

  test('a plan that has keys now and had none, or has them no more, counts', async () => {
    items = numbers(25);
    for (const [before, now] of [
      [keyed, {}],
      [{}, keyed],
    ]) {
      for (const [n, { resumeAt: from }] of (await collect(readPages(byItem(10, before)))).entries()) {
        expect(await outcome(readPages(byItem(10, now), { from }))).toEqual(items.slice(n + 1));
      }
    }
  });
});

test('fromPull reads places for a checkpoint', async () => {
  const last = fromPull((signal) => readPages(plans['cursor']!(25, 10), { signal }));
  const resumeAt = { at: '20', skip: 5, items: 5, isLast: true };
  expect(await lastValueFrom(last)).toEqual({ value: 24, resumeAt });
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
