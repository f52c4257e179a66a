import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { delays, fromPull, runFlow, storeTo } from 'sluice';
import { classifyHttpError, HttpConnections, toHttp, type ToHttpOptions } from 'sluice/http';
import { deliveryLaws, sinkLaws, type ObservedSink } from '../../src/testing/laws/index.ts';

interface Got {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly type: string | undefined;
  readonly key: string | undefined;
  readonly body: string;
}

let origin = '';
let got: Got[] = [];
/** By idempotency key: a server that heeds it. */
const stored = new Map<string, unknown[]>();
/** Answers in place of the server, if it says so. Called when the items are stored. */
let onStored: ((response: ServerResponse) => boolean) | undefined;

const linesOf = (body: string): unknown[] =>
  body.startsWith('[')
    ? (JSON.parse(body) as unknown[])
    : body
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line));

const server = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (text: string) => (body += text));
  request.on('end', () => {
    const { method, url: path, headers } = request;
    const key = headers['idempotency-key'] as string | undefined;
    got.push({ method, path, type: headers['content-type'], key, body });
    const items = linesOf(body);
    if (items.some((item) => (item as { bad?: boolean }).bad === true)) return response.writeHead(422).end();
    if (!stored.has(key!)) stored.set(key!, items);
    if (onStored?.(response) !== true) response.writeHead(201).end('stored');
    return undefined;
  });
});
const http = new HttpConnections({ pauseMs: 1 });

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => {
  got = [];
  stored.clear();
  onStored = undefined;
});
afterAll(async () => {
  await http.close();
  server.close();
});

const context = { attempt: 1, signal: new AbortController().signal };
const store = <T>(items: readonly T[], options?: ToHttpOptions<T>): Promise<void> =>
  toHttp<T>(http, origin, options).store(items, context);

test('one request a batch, as lines or as an array; the target may choose', async () => {
  await store([{ a: 1 }, 'ü\n'], {});
  await store([1, 2], { format: 'json' });
  await toHttp<number>(http, ([first]) => ({
    url: `${origin}/n/${first}`,
    method: 'PUT',
    headers: { 'Content-Type': 'x/y' },
  })).store([7], context);
  expect(got.map(({ method, path, type, body }) => [method, path, type, body])).toEqual([
    ['POST', '/', 'application/x-ndjson', '{"a":1}\n"ü\\n"\n'],
    ['POST', '/', 'application/json', '[1,2]'],
    ['PUT', '/n/7', 'x/y', '7\n'],
  ]);
});

describe('the idempotency key', () => {
  const keys = (): (string | undefined)[] => got.map(({ key }) => key);

  test('is one for a batch, at each attempt, and another for an equal batch', async () => {
    const sink = toHttp<number>(http, origin);
    const batch = [1];
    await sink.store(batch, context);
    await sink.store(batch, { ...context, attempt: 2 });
    await sink.store([1], context);
    const [first, second, third] = keys();
    expect(first).toMatch(/^[\w-]{20,}$/);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
  });

  test('of the content is the same after a restart, and another for other content', async () => {
    for (const items of [[1], [1], [2]]) await store(items, { idempotencyKey: 'content' });
    const [first, second, third] = keys();
    expect([second === first, third === first]).toEqual([true, false]);
  });

  test('may be made of the items; it must not be empty', async () => {
    await store([{ id: 4 }, { id: 5 }], { idempotencyKey: (items) => items.map(({ id }) => id).join() });
    expect(keys()).toEqual(['4,5']);
    await expect(store([1], { idempotencyKey: () => '' })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    expect(got).toHaveLength(1);
  });
});

test('a success is one, whatever its body is', async () => {
  const bodies: [headers: Record<string, string>, body: string | Buffer][] = [
    [{ 'content-encoding': 'gzip' }, gzipSync('stored')],
    [{ 'content-encoding': 'gzip' }, 'no gzip'],
    [{ 'content-encoding': 'unknown' }, 'x'],
    [{}, 'x'.repeat(1_000_000)],
  ];
  for (const [headers, body] of bodies) {
    onStored = (response) => Boolean(response.writeHead(200, headers).end(body));
    await store([1]);
  }
  expect(got).toHaveLength(bodies.length);
  expect(http.stats).toMatchObject({ busy: 0, waiting: 0 });
});

test('a lost answer, a reset and a 503: every item is stored once by a server that heeds the key', async () => {
  const faults = ['none', 'lost', 'reset', '503'];
  let batches = 0;
  onStored = (response) => {
    const fault = faults[batches++ % faults.length];
    if (fault === 'lost') response.socket?.destroy();
    else if (fault === 'reset') (response.socket as unknown as { resetAndDestroy(): void }).resetAndDestroy();
    else if (fault === '503') response.writeHead(503).end();
    return fault !== 'none';
  };
  const items = Array.from({ length: 100 }, (_, id) => ({ id }));
  const sink = storeTo(toHttp<{ id: number }>(http, origin), { maxItems: 10, retry: delays([1, 1, 1, 1]) });
  expect(await runFlow(fromPull(items).pipe(sink))).toMatchObject({ delivered: 100, leftOver: 0 });
  expect([...stored.values()].flat()).toEqual(items);
  expect(got.length).toBeGreaterThan(20);
});

test('a bad item is found, and the others are stored', async () => {
  const items = Array.from({ length: 64 }, (_, id) => ({ id, bad: id === 33 }));
  const dead: unknown[] = [];
  const sink = storeTo(toHttp<{ id: number; bad: boolean }>(http, origin), {
    maxItems: 64,
    maxWaitMs: 60_000, // one batch, however busy the machine is
    onFailure: ({ value, error }) => dead.push([value.id, (error as { status: number }).status]),
  });
  await runFlow(fromPull(items).pipe(sink));
  expect(dead).toEqual([[33, 422]]);
  expect([...stored.values()].flat()).toHaveLength(63);
  expect(got.length).toBeLessThanOrEqual(2 * Math.log2(64) + 2);
});

test('what has no JSON text is data', async () => {
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  for (const item of [circular, 1n, undefined, () => 1]) {
    const error: unknown = await store([item]).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'HTTP_ITEM' });
    expect(classifyHttpError(error)).toBe('data');
  }
  expect(got).toEqual([]);
});

test('which failure is of which class', async () => {
  const table = {
    data: [400, 413, 422],
    retry: [408, 409, 425, 429, 500, 502, 503, 504],
    fatal: [301, 401, 403, 404, 405, 415],
  };
  for (const [expected, statuses] of Object.entries(table)) {
    for (const status of statuses) {
      onStored = (response) => Boolean(response.writeHead(status).end());
      const error: unknown = await store([1]).catch((thrown: unknown) => thrown);
      expect([status, classifyHttpError(error)]).toEqual([status, expected]);
    }
  }
  const closed = new HttpConnections();
  await closed.close();
  const refused: unknown = await toHttp(closed, origin)
    .store([1], context)
    .catch((thrown: unknown) => thrown);
  expect(classifyHttpError(refused)).toBe('fatal');
});

describe('laws', () => {
  const laws = sinkLaws<unknown>('toHttp', () => (stored.clear(), toHttp(http, origin)), {
    stored: () => [...stored.values()].flat().length,
    bad: () => ({ bad: true }),
    time: 'real',
  });
  for (const { name, check } of laws) test(name, check);

  interface Item {
    readonly id: number;
  }
  let places = 0;
  let cuts = 0;
  /** Cuts all connections when the next batch is stored: its answer is lost. */
  const cut = (): void => {
    onStored = () => {
      onStored = undefined;
      cuts += 1;
      server.closeAllConnections();
      return true;
    };
  };
  /** Each sink has a place of its own. A server that heeds keys takes a batch with a key that it knows for the same. */
  const delivery = (heedsKeys: boolean): ReturnType<typeof deliveryLaws> => {
    const make = (): ObservedSink<Item> => {
      const path = `/${++places}`;
      const stored = (): number[] => {
        const batches = got.filter((batch) => batch.path === path);
        const kept = heedsKeys ? new Map(batches.map((batch) => [batch.key, batch])).values() : batches;
        return [...kept].flatMap(({ body }) => linesOf(body)).map((item) => (item as Item).id);
      };
      return { sink: toHttp<Item>(http, origin + path), stored };
    };
    const key = ({ id }: Item): number => id;
    return deliveryLaws<Item>('toHttp', make, {
      input: (id) => ({ id }),
      key,
      keyed: true,
      cut,
      time: 'real',
    });
  };
  for (const { name, check } of delivery(true)) test(name, check);

  test('twin: at a server that does not heed keys, a lost answer stores a batch twice', async () => {
    cuts = 0;
    const [law] = delivery(false).filter(({ name }) => name.endsWith('where its connection is cut'));
    await expect(law!.check()).rejects.toThrow('no item to be stored twice');
    expect(cuts).toBeGreaterThan(0);
  });
});
