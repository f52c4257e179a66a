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

afterAll(removeMutants);

const ids = (count: number): number[] => Array.from({ length: count }, (_, id) => id);
const chunked = head('200 OK', 'transfer-encoding: chunked');

describe('F31: the connection is reset in the middle of a body, one in ten', () => {
  const textOf = (path: string): string => `${path} `.repeat(3_000);

  async function check({ HttpConnections }: Http): Promise<void> {
    let requests = 0;
    await using server = await startRawServer((socket, request) => {
      const text = textOf(pathOf(request));
      if (++requests % 10 !== 0) return void socket.write(ok(text));
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
    expect([texts.length, requests >= 330]).toEqual([300, true]);
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
    await using server = await startRawServer((socket, request) => cuts[pathOf(request)]!(socket));
    await using http = new HttpConnections();
    for (const path of Object.keys(cuts)) {
      const read = async (): Promise<void> => {
        for await (const _line of http.lines(server.origin + path)); // to the end
      };
      expect(await outcome(read(), 5_000)).toMatchObject({ reason: 'truncated', retryable: true });
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

describe.concurrent(
  'F36: headers that never come, one byte a second, a body that stalls after 64 KiB',
  () => {
    const trickle = (socket: Socket): void => {
      socket.write(head('200 OK', 'content-length: 100'));
      const timer = setInterval(() => socket.write('x'), 1_000);
      socket.on('close', () => clearInterval(timer));
    };
    const answers: [phase: string, answer: (socket: Socket) => unknown][] = [
      ['headers', () => undefined],
      ['body', trickle],
      ['body', (socket) => socket.write(head('200 OK', 'content-length: 100000') + 'x'.repeat(65_536))],
    ];

    async function check({ HttpConnections }: Http): Promise<void> {
      const checkOne = async ([phase, answer]: (typeof answers)[number]): Promise<void> => {
        await using server = await startRawServer(answer);
        await using http = new HttpConnections({ timeoutMs: 1_500, closeTimeoutMs: 0 });
        const result = await outcome(http.text(() => server.origin)(0), 6_000);
        expect(result).toMatchObject({ code: 'TIMEOUT', timeoutMs: 1_500, phase, retryable: true });
        expect(await outcome(server.empty(), 5_000)).toBe('success');
        expect(http.stats).toEqual({ open: 0, busy: 0, waiting: 0 });
      };
      await Promise.all(answers.map(checkOne));
    }

    const noDeadline: Sabotage = {
      file: 'src/connectors/http/exchange.ts',
      find: 'setTimeout(this.#onDeadline, this.#timeoutMs)',
      replace: 'setTimeout(() => undefined, this.#timeoutMs)',
    };

    test('it ends by the deadline of the attempt, names the phase, and the socket is destroyed', () =>
      check(sound));
    test('twin: nobody looks at the deadline', async () => mustFail(check(await twin(noDeadline))));
  },
);

describe('F37: 1,000 bodies that nobody reads', () => {
  interface Client {
    /** Asks, and does not read the body. */
    ignore(path: string): Promise<unknown>;
    text(path: string): Promise<unknown>;
    close(): Promise<unknown>;
  }

  async function check(client: (origin: string) => Client): Promise<void> {
    const body = 'x'.repeat(200_000);
    await using server = await startRawServer((socket, request) => {
      const path = pathOf(request);
      if (path === '/fine') socket.write(ok('fine'));
      else if (path === '/missing')
        socket.write(head('404 Not Found', `content-length: ${body.length}`) + body);
      else socket.write(head('404 Not Found', 'content-length: 3') + '404');
    });
    const { ignore, text, close } = client(server.origin);
    const all = Promise.allSettled(ids(1_000).map((id) => ignore(id % 2 ? '/missing' : '/small')));
    expect(await outcome(all, 30_000)).toBe('success');
    const asked = performance.now();
    const next = await outcome(text('/fine'), 3_000);
    const nextMs = performance.now() - asked;
    const closed = performance.now();
    const end = await outcome(close(), 3_000);
    const closeMs = performance.now() - closed;
    expect([next, end]).toEqual(['success', 'success']);
    // 100 ms and 1 s on a machine that has nothing else to do.
    expect([nextMs < 1_000, closeMs < 2_000]).toEqual([true, true]);
  }

  const ours = (origin: string): Client => {
    const http = new sound.HttpConnections({ maxPerHost: 2 });
    return {
      ignore: http.text((path: string) => origin + path),
      text: http.text((path: string) => origin + path),
      close: () => http.close(),
    };
  };
  const stock = (origin: string): Client => {
    const pool = new Pool(origin, { connections: 2 });
    const request = (path: string): Promise<unknown> => pool.request({ path, method: 'GET' });
    // To ignore all of them at once would already take for ever.
    let ignored = 0;
    return {
      ignore: async (path) => (++ignored <= 2 ? request(path) : undefined),
      text: request,
      close: () => pool.close(),
    };
  };

  test('no socket is held: the next request is served, and close() ends', () => check(ours));
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
