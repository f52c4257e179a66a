/**
 * The shop whose orders the example collects: a small HTTP API in a process of its own, with moods. It answers late, and
 * now and then with a 503. Both follow from the seed in the address, so that a run can be had again.
 *
 *     GET /<seed>/orders?page=1   → { "ids": [1, 2, …, 25], "next": 2 }      next: null on the last page
 *     GET /<seed>/orders/7        → { "id": 7, "timestamp": "…", "value": 843, "source": "B" }, or 503
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export interface Order {
  readonly id: number;
  readonly timestamp: string;
  /** 1 to 1000. */
  readonly value: number;
  readonly source: 'A' | 'B' | 'C';
}

export interface OrderPage {
  readonly ids: readonly number[];
  readonly next: number | null;
}

export interface Moods {
  /** Orders that there are. @defaultValue 100 */
  readonly orders?: number;
  /** Share of the requests for an order that are answered with 503, from 0 to 1. @defaultValue 0.2 */
  readonly refusing?: number;
  /** How often one order is refused at most. @defaultValue 3: the fourth attempt gets it */
  readonly maxRefusals?: number;
  /** Milliseconds that an answer takes, from and to. @defaultValue [10, 40] */
  readonly delayMs?: readonly [number, number];
}

export interface OrdersApi extends AsyncDisposable {
  /** `http://127.0.0.1:port` */
  readonly origin: string;
}

/** Starts the API in a process of its own, on a free port of this machine. It ends with `await using`, or with us. */
export async function startOrdersApi(moods: Moods = {}): Promise<OrdersApi> {
  // In a session of its own: a Ctrl-C in the terminal is for us, and we may still have questions.
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(moods)], {
    execArgv: [],
    detached: true,
  });
  const [port] = (await once(child, 'message')) as [number];
  return {
    origin: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}

function serve({ orders = 100, refusing = 0.2, maxRefusals = 3, delayMs = [10, 40] }: Moods): Server {
  const pageSize = 25;
  const attempts = new Map<string, number>();

  const page = (number: number): OrderPage => {
    const first = (number - 1) * pageSize + 1;
    const last = Math.min(number * pageSize, orders);
    const ids = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
    return { ids, next: last < orders ? number + 1 : null };
  };

  const order = (seed: string, id: number): Order => ({
    id,
    timestamp: new Date(Date.UTC(2026, 0, 1) + id * 60_000).toISOString(),
    value: 1 + Math.floor(1_000 * chance(seed, id, 'value')),
    source: (['A', 'B', 'C'] as const)[Math.floor(3 * chance(seed, id, 'source'))]!,
  });

  const answer = async (response: ServerResponse, path: string): Promise<void> => {
    const { pathname, searchParams } = new URL(path, 'http://localhost');
    const [, seed = '', collection, item] = pathname.split('/');
    const attempt = (attempts.get(pathname) ?? 0) + 1;
    attempts.set(pathname, attempt);

    const [from, to] = delayMs;
    await sleep(from + (to - from) * chance(seed, item, attempt, 'delay'));

    const id = Number(item);
    if (collection !== 'orders' || (item !== undefined && !(id >= 1 && id <= orders)))
      send(response, 404, {});
    else if (item === undefined) send(response, 200, page(Number(searchParams.get('page') ?? 1)));
    else if (attempt <= maxRefusals && chance(seed, id, attempt, 'mood') < refusing) send(response, 503, {});
    else send(response, 200, order(seed, id));
  };

  return createServer((request, response) => void answer(response, request.url ?? '/'));
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** A number from 0 up to 1 that looks like chance, and is the same for the same words each time. */
function chance(...words: readonly unknown[]): number {
  let hash = 2_166_136_261;
  for (const character of words.join('/')) {
    hash = Math.imul(hash ^ character.charCodeAt(0), 16_777_619);
  }
  for (const shift of [15, 13, 16]) hash = Math.imul(hash ^ (hash >>> shift), 2_246_822_507);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

// Started by `startOrdersApi`: this is the child. It says its port, and ends when the parent does.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = serve(JSON.parse(process.argv[2] ?? '{}') as Moods);
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
  process.on('disconnect', () => process.exit());
}
