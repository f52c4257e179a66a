import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import dns from 'node:dns';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { lastValueFrom, toArray } from 'rxjs';
import { Pool } from 'undici';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { delays, fromPull, poolMap, runFlow, withRetry, type DeadLetter } from 'sluice';
import * as sound from 'sluice/http';
import { startRawServer } from '../integration/servers/rawServer.ts';
import { removeMutants, type Sabotage } from '../support/mutant.ts';
import {
  forgivesTruncation,
  head,
  mustFail,
  ok,
  outcome,
  pathOf,
  sleep,
  twin,
  type Http,
} from './http/twin.ts';
import { inVirtualTime } from './http/virtualTime.ts';

afterAll(removeMutants);

const ids = (count: number): number[] => Array.from({ length: count }, (_, id) => id);
const chunked = head('200 OK', 'transfer-encoding: chunked');

describe('F31: the connection is reset in the middle of a body, one in ten', () => {
  const textOf = (path: string): string => `${path} `.repeat(3_000);

  async function check({ HttpConnections }: Http): Promise<void> {
    let [requests, resets] = [0, 0];
    await using server = await startRawServer((socket, request) => {
      const text = textOf(pathOf(request));
      if (++requests % 10 !== 0) return void socket.write(ok(text));
      resets += 1;
      const half = head('200 OK', `content-length: ${text.length}`) + text.slice(0, text.length / 2);
      // Once it is on its way: a reset overtakes what is not.
      return void socket.write(half, () => setTimeout(() => socket.resetAndDestroy(), 5));
    });
    await using http = new HttpConnections();
    const fetch = withRetry(
      http.text((id: number) => `${server.origin}/${id}`),
      delays([1, 1, 1, 1]),
    );
    const flow = fromPull(ids(300)).pipe(poolMap(fetch, { concurrency: 10, ordered: true }), toArray());
    const texts = await lastValueFrom(flow);
    expect(texts.filter((text, id) => text !== textOf(`/${id}`))).toEqual([]);
    // Each that was reset was asked for once more, and no other one.
    expect([texts.length, resets, requests]).toEqual([300, 33, 333]);
  }

  test('it is asked for again as a whole, and no half is delivered', () => check(sound));
  test('twin: what breaks off counts as whole', async () => mustFail(check(await twin(forgivesTruncation))));
});

describe('F32: bodies that are cut short, and one that is no JSON', () => {
  const body = '{"text":"whole"}';
  const gzip = gzipSync(body);
  const cutGzip = head('200 OK', 'content-encoding: gzip', `content-length: ${gzip.length - 9}`);
  const cuts: Record<string, (socket: Socket) => unknown> = {
    '/length': (socket) => socket.end(head('200 OK', 'content-length: 100') + body),
    '/chunked': (socket) => socket.end(`${chunked}${body.length.toString(16)}\r\n${body}\r\n`),
    '/gzip': (socket) => socket.end(Buffer.concat([Buffer.from(cutGzip), gzip.subarray(0, -9)])),
  };
  /** The same with a whole line before the one that is cut. */
  const lineCuts: typeof cuts = {
    ...cuts,
    '/lines': (socket) => socket.end(`${head('200 OK', 'content-length: 100')}${body}\n${body}`),
    '/reset': (socket) =>
      socket.write(`${head('200 OK', 'content-length: 100')}${body}\n${body}`, () =>
        setTimeout(() => socket.resetAndDestroy(), 5),
      ),
  };

  async function check({ HttpConnections }: Http): Promise<void> {
    const asked: Record<string, number> = {};
    await using server = await startRawServer((socket, request) => {
      const path = pathOf(request);
      const times = (asked[path] = (asked[path] ?? 0) + 1);
      if (path === '/json') socket.write(ok('{"text":'));
      else if (times <= 2) cuts[path]!(socket);
      else socket.write(ok(body));
    });
    await using http = new HttpConnections();
    const dead: DeadLetter<string>[] = [];
    const fetch = withRetry(
      http.json<{ text: string }, string>((path) => server.origin + path),
      delays([1, 1, 1]),
    );
    const flow = fromPull([...Object.keys(cuts), '/json']).pipe(
      poolMap(fetch, { concurrency: 4, onFailure: (letter) => dead.push(letter) }),
    );
    const { delivered } = await runFlow(flow);
    expect(asked).toEqual({ '/length': 3, '/chunked': 3, '/gzip': 3, '/json': 1 });
    expect(delivered).toBe(3);
    expect(
      dead.map(({ value, attempts, error }) => [value, attempts, (error as { reason: string }).reason]),
    ).toEqual([['/json', 1, 'json']]);
  }

  async function checkStream({ HttpConnections }: Http): Promise<void> {
    await using server = await startRawServer((socket, request) => lineCuts[pathOf(request)]!(socket));
    await using http = new HttpConnections();
    for (const path of Object.keys(lineCuts)) {
      const lines: string[] = [];
      const read = async (): Promise<void> => {
        for await (const line of http.lines(server.origin + path)) lines.push(line);
      };
      expect(await outcome(read(), 5_000), path).toMatchObject({
        code: path === '/reset' ? 'HTTP_CONNECTION' : 'HTTP_BODY',
        phase: 'body',
        retryable: true,
      });
      // What is cut off is no line, though it reads like one.
      expect(lines, path).toEqual(['/lines', '/reset'].includes(path) ? [body] : []);
    }
  }

  const streamForgives: Sabotage = {
    file: 'src/connectors/http/streamBody.ts',
    find: 'for await (const chunk of body as AsyncIterable<Buffer>) {',
    replace: 'for await (const chunk of (async function* () { try { yield* body; } catch {} })()) {',
  };

  test('what is cut is tried again, what is no JSON is a dead letter', () => check(sound));
  test('twin: what breaks off counts as whole', async () => mustFail(check(await twin(forgivesTruncation))));
  test('a stream that is cut ends with an error, and is never complete', () => checkStream(sound));
  test('twin: a stream that breaks off is complete', async () =>
    mustFail(checkStream(await twin(streamForgives))));
});

describe('F36: headers that never come, one byte a second, a body that stalls after 64 KiB', () => {
  type Answer = readonly [phase: string, answer: (socket: Socket) => unknown];
  const answers = (byteMs: number): Answer[] => [
    ['headers', () => undefined],
    [
      'body',
      (socket) => {
        socket.write(head('200 OK', 'content-length: 100'));
        const timer = setInterval(() => socket.write('x'), byteMs);
        socket.on('close', () => clearInterval(timer));
      },
    ],
    ['body', (socket) => socket.write(head('200 OK', 'content-length: 100000') + 'x'.repeat(65_536))],
  ];

  /** How long the attempt takes. */
  async function attempt(
    { HttpConnections }: Http,
    [phase, answer]: Answer,
    timeoutMs: number,
  ): Promise<number> {
    await using server = await startRawServer(answer);
    await using http = new HttpConnections({ timeoutMs, closeTimeoutMs: 0 });
    const start = performance.now();
    const error = await outcome(http.text(() => server.origin)(0), 50 * timeoutMs);
    const tookMs = performance.now() - start;
    expect(error).toMatchObject({ code: 'TIMEOUT', timeoutMs, phase, retryable: true });
    expect((error as Error).message).toContain(`(${phase})`);
    expect(await outcome(server.empty(), 50 * timeoutMs)).toBe('success');
    expect(http.stats).toEqual({ open: 0, busy: 0, waiting: 0 });
    return tookMs;
  }

  /** In virtual time: to the millisecond. */
  async function check(lib: Http): Promise<void> {
    for (const answer of answers(1_000)) {
      const tookMs = await inVirtualTime(() => attempt(lib, answer, 10_000));
      expect(Math.round(tookMs)).toBe(10_000);
    }
  }

  const noDeadline: Sabotage = {
    file: 'src/connectors/http/exchange.ts',
    find: 'setTimeout(this.#onDeadline, this.#timeoutMs)',
    replace: 'setTimeout(() => undefined, this.#timeoutMs)',
  };
  test('it ends by the deadline of the attempt, names the phase, and the socket is destroyed', () =>
    check(sound));
  test('twin: nobody looks at the deadline', async () => mustFail(check(await twin(noDeadline))));

  test('in real time: not before, and not 50 ms later; the best of five counts, as the machine may be busy', async () => {
    for (const answer of answers(50)) {
      const took: number[] = [];
      for (let round = 0; round < 5 && Math.min(...took) >= 250; round++) {
        took.push(await attempt(sound, answer, 200));
      }
      // A timer of Node may be early by a part of a millisecond.
      expect(Math.min(...took)).toBeGreaterThanOrEqual(199);
      expect(Math.min(...took)).toBeLessThan(250);
    }
  });
});

describe('F37: 1,000 bodies that nobody reads', () => {
  interface Client {
    /** Asks, and does not read the body, or not all of it. */
    ignore(id: number): Promise<unknown>;
    text(path: string): Promise<unknown>;
    close(): Promise<unknown>;
  }
  type Found = { readonly nextMs: number; readonly closeMs: number };

  const large = 'a line\n'.repeat(30_000);
  const answers: Record<string, string> = {
    '/fine': ok('fine'),
    '/large': ok(large),
    '/missing': head('404 Not Found', `content-length: ${large.length}`) + large,
    '/small': head('404 Not Found', 'content-length: 3') + '404',
  };

  async function measure(client: (origin: string) => Client): Promise<Found> {
    await using server = await startRawServer((socket, request) => socket.write(answers[pathOf(request)]!));
    const { ignore, text, close } = client(server.origin);
    const all = Promise.all(ids(1_000).map(ignore));
    expect(await outcome(all, 60_000)).toBe('success');
    const asked = performance.now();
    const next = await outcome(text('/fine'), 2_000);
    const nextMs = performance.now() - asked;
    const closed = performance.now();
    const end = await outcome(close(), 2_000);
    const closeMs = performance.now() - closed;
    expect([next, end]).toEqual(['success', 'success']);
    return { nextMs, closeMs };
  }

  /** The best of up to five: others may be using the machine. */
  async function check(client: (origin: string) => Client): Promise<void> {
    let best: Found = { nextMs: Infinity, closeMs: Infinity };
    for (let round = 0; round < 5 && (best.nextMs >= 100 || best.closeMs >= 1_000); round++) {
      const { nextMs, closeMs } = await measure(client);
      best = { nextMs: Math.min(best.nextMs, nextMs), closeMs: Math.min(best.closeMs, closeMs) };
    }
    expect(best.nextMs).toBeLessThan(100);
    expect(best.closeMs).toBeLessThan(1_000);
  }

  const ours = (origin: string): Client => {
    const http = new sound.HttpConnections({ maxPerHost: 2 });
    const text = http.text((path: string) => origin + path);
    const unlucky = new Error('thrown before all of it was read');
    const ways: (() => Promise<unknown>)[] = [
      () => expect(text('/missing')).rejects.toMatchObject({ status: 404 }),
      () => expect(text('/small')).rejects.toMatchObject({ status: 404 }),
      async () => {
        const read = async (): Promise<void> => {
          for await (const _line of http.lines(`${origin}/large`)) throw unlucky;
        };
        await expect(read()).rejects.toBe(unlucky);
      },
      // A body that is asked for when it is read, which it is not.
      async () => void http.lines(`${origin}/large`),
    ];
    return { ignore: (id) => ways[id % ways.length]!(), text, close: () => http.close() };
  };
  const stock = (origin: string): Client => {
    const pool = new Pool(origin, { connections: 2 });
    const text = (path: string): Promise<unknown> => pool.request({ path, method: 'GET' });
    // To ignore all of them at once would already take for ever.
    return { ignore: async (id) => (id < 2 ? text('/missing') : undefined), text, close: () => pool.close() };
  };

  test('no socket is held: the next request takes less than 100 ms, and close() less than 1 s', () =>
    check(ours));
  test('twin: a stock pool, of two connections, after two', () => mustFail(check(stock)));
});

describe('F39: what cannot be reached, by a table', () => {
  async function check({ HttpConnections, classifyHttpError }: Http): Promise<void> {
    const noHttps = createServer((socket) => {
      socket.on('error', () => undefined).once('data', () => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
    });
    await once(noHttps.listen(0, '127.0.0.1'), 'listening');
    const plainPort = (noHttps.address() as AddressInfo).port;
    const noCertificate = createTlsServer({});
    await once(noCertificate.listen(0, '127.0.0.1'), 'listening');
    const tlsPort = (noCertificate.address() as AddressInfo).port;
    const down = createServer();
    await once(down.listen(0, '127.0.0.1'), 'listening');
    const downPort = (down.address() as AddressInfo).port;
    down.close();
    const names = vi.spyOn(dns, 'lookup').mockImplementation((name: string, ...rest: unknown[]) => {
      const code = name.startsWith('again') ? 'EAI_AGAIN' : 'ENOTFOUND';
      const error = Object.assign(new Error(`getaddrinfo ${code}`), { code, syscall: 'getaddrinfo' });
      process.nextTick(rest.at(-1) as (error: Error) => void, error);
    });
    const table: [url: string, phase: string, cause: RegExp, retryable: boolean][] = [
      [`http://127.0.0.1:${downPort}`, 'connect', /^ECONNREFUSED$/, true],
      ['http://missing.example', 'dns', /^ENOTFOUND$/, true],
      ['https://again.example', 'dns', /^EAI_AGAIN$/, true],
      [`https://127.0.0.1:${plainPort}`, 'tls', /^(ERR_SSL_|EPROTO)/, false],
      [`https://127.0.0.1:${tlsPort}`, 'tls', /^(ERR_SSL_|EPROTO)/, false],
    ];
    const http = new HttpConnections({ timeoutMs: 5_000 });
    try {
      for (const [url, phase, cause, retryable] of table) {
        const error = await outcome(http.text(() => url)(0), 10_000);
        expect(error).toMatchObject({ code: 'HTTP_CONNECTION', phase, retryable });
        expect((error as { cause: { code: string } }).cause.code).toMatch(cause);
        expect(classifyHttpError(error)).toBe(retryable ? 'retry' : 'fatal');
        // A request that has not been sent may be sent again, whatever it is.
        const post = await outcome(http.text(() => ({ url, method: 'POST', body: 'x' }))(0), 10_000);
        expect(post).toMatchObject({ phase, retryable });
      }
      await http.close();
      const closed = await outcome(http.text(() => `http://127.0.0.1:${plainPort}`)(0), 1_000);
      expect(closed).toMatchObject({ code: 'CONNECTIONS_CLOSED', retryable: false });
      expect(classifyHttpError(closed)).toBe('fatal');
    } finally {
      names.mockRestore();
      await http.close();
      noCertificate.close();
      noHttps.close();
    }
  }

  test('it is said what failed, and whether to try again', () => check(sound));
  test('twin: everything is worth another attempt', async () => {
    const hopeful = {
      file: 'src/connectors/http/failures.ts',
      find: 'retryable && !hopeless.test(code)',
      replace: 'retryable',
    };
    await mustFail(check(await twin(hopeful)));
  });
  test('twin: the phase of a connection in the making is not kept', async () => {
    const blind = {
      file: 'src/connectors/http/socket.ts',
      find: 'watchPhase(socket, options);',
      replace: '',
    };
    await mustFail(check(await twin(blind)));
  });
});

describe('F40: 20,000 requests at once', () => {
  interface Client {
    /** Requests that undici has been given. */
    given(): number;
    close(): Promise<unknown>;
  }

  /** Offers them, and waits until nothing more happens. */
  async function check(offer: (origin: string) => Client, sockets: number): Promise<void> {
    let arrived = 0;
    await using server = await startRawServer(() => {
      arrived += 1;
    });
    const client = offer(server.origin);
    try {
      await expect.poll(() => arrived, { timeout: 20_000 }).toBe(sockets);
      await sleep(300);
      expect([client.given(), arrived]).toEqual([sockets, sockets]);
    } finally {
      await client.close();
    }
  }

  const ours = (origin: string): Client => {
    let given = 0;
    const count = (): void => {
      given += 1;
    };
    subscribe('undici:request:create', count);
    const http = new sound.HttpConnections({ maxPerHost: 30, closeTimeoutMs: 0 });
    const never = http.text(() => origin);
    for (const id of ids(20_000)) never(id).catch(() => undefined);
    const close = async (): Promise<void> => {
      unsubscribe('undici:request:create', count);
      await http.close();
    };
    return { given: () => given, close };
  };
  const stock = (origin: string): Client => {
    const pool = new Pool(origin, { connections: 30 });
    for (const _id of ids(20_000)) pool.request({ path: '/', method: 'GET' }).catch(() => undefined);
    return { given: () => pool.stats.size, close: () => pool.destroy() };
  };

  test('undici is given as many as there are sockets', () => check(ours, 30));
  test('twin: a stock pool takes them all', () => mustFail(check(stock, 30)));
});
