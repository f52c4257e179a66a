import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, expectTypeOf, test, vi } from 'vitest';
import { HttpConnections, type HttpConnectionsOptions, type HttpTarget, type HttpWork } from 'sluice/http';
import { startHttpServer, type HttpServer } from './servers/httpServer.ts';
import { startRawServer } from './servers/rawServer.ts';

interface Order {
  id: number;
  value: number;
}

const ids = (count: number): number[] => Array.from({ length: count }, (_, id) => id);

/** An error, and whatever fields it may have. */
type Failure = Error & Readonly<Record<string, unknown>>;

/** The error of a promise that must reject. */
async function failure(promise: Promise<unknown>): Promise<Failure> {
  try {
    await promise;
  } catch (error) {
    return error as Failure;
  }
  throw new Error('it did not reject');
}

async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}

async function elapsedMs(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/**
 * The best of up to five: the machine may be busy. `measure` does all of it each time, so that each is as good as the first.
 */
async function bestMs(limitMs: number, measure: () => Promise<number>): Promise<number> {
  let best = Infinity;
  for (let round = 0; round < 5 && best >= limitMs; round++) best = Math.min(best, await measure());
  return best;
}

/** Connections whose requests are all over at the end of the test. */
async function using(
  options: HttpConnectionsOptions,
  body: (http: HttpConnections) => Promise<void>,
): Promise<void> {
  const http = new HttpConnections(options);
  try {
    await body(http);
    expect(http.stats).toMatchObject({ busy: 0, waiting: 0 });
  } finally {
    expect(await elapsedMs(() => http.close())).toBeLessThan(4_000); // it has nothing to wait for
  }
  expect(http.stats).toEqual({ open: 0, busy: 0, waiting: 0 });
}

const head = (status: string, ...headers: string[]): string =>
  [`HTTP/1.1 ${status}`, ...headers, '', ''].join('\r\n');
const chunked = head('200 OK', 'transfer-encoding: chunked');

let server: HttpServer;
beforeAll(async () => void (server = await startHttpServer()));
afterAll(() => server.stop());

const at = (path: string) => (): string => server.origins[0]! + path;

describe('limits', () => {
  test('100 requests of 30 to 50 ms, 30 at a time, on reused connections', async () => {
    await using({}, async (http) => {
      const before = await server.counts();
      const fetchOrder = http.json<Order>((id: number) => at(`/orders/${id}`)());
      const all = Promise.all(ids(100).map((id) => fetchOrder(id)));
      expect(http.stats).toEqual({ open: 30, busy: 30, waiting: 70 });
      expect(await all).toEqual(ids(100).map((id) => ({ id, value: id * 10 })));
      const after = await server.counts();
      expect(after.maxOpen).toEqual([30]);
      expect(after.connections - before.connections).toBe(30);
      expect(http.stats).toEqual({ open: 30, busy: 0, waiting: 0 });
    });
  });

  test('one after another, all use one connection', async () => {
    await using({}, async (http) => {
      const before = await server.counts();
      for (const id of ids(5)) await http.text(at(`/orders/${id}`))(id);
      expect((await server.counts()).connections - before.connections).toBe(1);
    });
  });

  test('the total holds over several origins, idle connections included, and nobody starves', async () => {
    const four = await startHttpServer(4);
    await using({ maxConnections: 10, maxPerHost: 4 }, async (http) => {
      const fetchOrder = http.json<Order, number>((id) => `${four.origins[id % 4]}/orders/${id}`);
      const order: number[] = [];
      await Promise.all(ids(120).map(async (id) => order.push((await fetchOrder(id)).id)));
      const counts = await four.counts();
      expect(counts.maxOpenInAll).toBe(10);
      expect(Math.max(...counts.maxOpen)).toBeLessThanOrEqual(4);
      // To make room costs a connection each time: it is the exception.
      expect(counts.connections).toBeLessThan(40);
      // First come, first served: nobody is overtaken by more than what runs at once and the spread of the answers.
      expect(Math.max(...order.map((id, place) => Math.abs(id - place)))).toBeLessThan(30);
    });
    await four.stop();
  });

  test('a request behind a full origin does not hold up another origin', async () => {
    await using({ maxConnections: 3, maxPerHost: 2 }, async (http) => {
      const two = await startHttpServer(1);
      const controller = new AbortController();
      const stuck = ids(5).map((id) => failure(http.text(at('/never'))(id, { signal: controller.signal })));
      expect(await http.text(() => `${two.origins[0]}/orders/1`)(1)).toContain('"id":1');
      expect(http.stats).toMatchObject({ busy: 2, waiting: 3 });
      controller.abort(new Error('enough'));
      await Promise.all(stuck);
      await two.stop();
    });
  });

  test('20,000 requests at once: no more in undici than it has sockets, and all can be withdrawn', async () => {
    await using({}, async (http) => {
      const controllers = ids(20_000).map(() => new AbortController());
      const never = http.text(at('/never'));
      const all = Promise.allSettled(controllers.map(({ signal }, id) => never(id, { signal })));
      expect(http.stats).toEqual({ open: 30, busy: 30, waiting: 19_970 });
      for (const controller of controllers) controller.abort(new Error('withdrawn'));
      expect((await all).every(({ status }) => status === 'rejected')).toBe(true);
    });
  });
});

describe('requests', () => {
  test('method, headers, body and the credentials of the address arrive', async () => {
    await using({ headers: { 'User-Agent': 'sluice-test', accept: 'text/plain' } }, async (http) => {
      const url = new URL(at('/echo')());
      url.username = 'ann';
      url.password = 'p@ss';
      const echo = http.json<Record<string, unknown>>(() => ({
        url,
        method: 'post',
        body: 'hello',
        headers: { Accept: 'x/y' },
      }));
      const { method, headers, body } = await echo(0);
      expect({ method, body }).toEqual({ method: 'POST', body: 'hello' });
      expect(headers).toMatchObject({
        'user-agent': 'sluice-test',
        accept: 'x/y',
        authorization: `Basic ${Buffer.from('ann:p@ss').toString('base64')}`,
      });
    });
  });

  test('what cannot be a request is refused, and holds nothing', async () => {
    await using({}, async (http) => {
      for (const target of [
        'orders/1',
        'ftp://host/x',
        '',
        undefined,
        null,
        {},
        'http://us%er:geheim@host/',
        'http://us:geh%e9eim@host/',
      ]) {
        const error = await failure(http.text(() => target as HttpTarget)(0));
        expect(error).toMatchObject({ code: 'INVALID_OPTION', retryable: false });
        expect(inspect(error)).not.toMatch(/geh.*eim/);
      }
      const bad = http.text(() => ({ url: at('/echo')(), headers: { 'not a name': 'x' } }));
      expect(await failure(bad(0))).toMatchObject({ code: 'INVALID_OPTION' });
      const throwing = http.text((): string => {
        throw new RangeError('mine');
      });
      expect(await failure(throwing(0))).toBeInstanceOf(RangeError);
    });
  });

  test('options out of range are refused at once', () => {
    for (const options of [
      { maxConnections: 0 },
      { maxPerHost: 1.5 },
      { timeoutMs: 0 },
      { timeoutMs: Infinity },
      { maxBodyBytes: 0 },
    ]) {
      expect(() => new HttpConnections(options)).toThrow(/HttpConnections: /);
    }
  });
});

describe('status', () => {
  test('which are retryable', async () => {
    await using({}, async (http) => {
      const get = http.text((status: number) => at(`/status/${status}`)());
      for (const [status, retryable] of [
        [301, false],
        [400, false],
        [401, false],
        [404, false],
        [408, true],
        [409, false],
        [422, false],
        [425, true],
        [429, true],
        [500, true],
        [502, true],
        [503, true],
        [504, true],
      ] as const) {
        expect(await failure(get(status))).toMatchObject({ code: 'HTTP_STATUS', status, retryable });
      }
    });
  });

  test('503 twice, then it works, with a plain loop as policy', async () => {
    await using({}, async (http) => {
      const flaky = http.json<{ made: number }>(at('/flaky/loop?times=2'));
      const errors: Failure[] = [];
      let result: { made: number } | undefined;
      for (let attempt = 1; attempt <= 4 && result === undefined; attempt++) {
        result = await flaky(0).catch((error: unknown) => void errors.push(error as Failure));
      }
      expect(result).toEqual({ made: 2 });
      expect(errors.map(({ status, retryAfterMs }) => [status, retryAfterMs])).toEqual([
        [503, 2_000],
        [503, 2_000],
      ]);
    });
  });

  test('Retry-After in all its forms', async () => {
    {
      const asked = async (header: string): Promise<number | undefined> => {
        const url = `${at('/status/429')()}?retry-after=${encodeURIComponent(header)}`;
        await using http = new HttpConnections(); // what one is told, another has not heard
        return (await failure(http.text(() => url)(0)))['retryAfterMs'] as number | undefined;
      };
      expect(await asked('3')).toBe(3_000);
      expect(await asked('0')).toBe(0);
      expect(await asked('120')).toBe(120_000);
      const date = await asked(new Date(Date.now() + 10_000).toUTCString());
      expect(date).toBeGreaterThan(5_000);
      expect(date).toBeLessThanOrEqual(11_000); // whole seconds, against the server's own date
      expect(await asked(new Date(Date.now() - 60_000).toUTCString())).toBe(0);
      expect(await asked('Sun Nov  6 08:49:37 2094')).toBeGreaterThan(1e11);
      for (const nonsense of ['soon', '-1', '1.5', '3 s', '99999999999999', 'Mon, nonsense']) {
        expect(await asked(nonsense), nonsense).toBeUndefined();
      }
    }
  });

  test('says where, and nothing secret', async () => {
    await using({}, async (http) => {
      const url = new URL(at('/status/404?api_key=hunter2#part')());
      url.username = 'ann';
      url.password = 'hunter2';
      const error = await failure(http.text(() => url)(0));
      expect(error).toMatchObject({ method: 'GET', url: at('/status/404')() });
      expect(error.message).toBe(`GET ${server.origins[0]}/status/404: status 404`);
      expect(error.detail).toBe('{"error":"as you asked"}');
      expect(JSON.stringify(error) + String(error.stack)).not.toMatch(/hunter2|as you asked/);
    });
  });
});

describe('bodies that are of no use', () => {
  const json = '{"id":1,"text":"whole"}';
  const gzip = gzipSync(json.repeat(100));
  const plain = `content-length: ${json.length}`;

  test.each<[string, string | Buffer, object]>([
    [
      'shorter than its content-length',
      head('200 OK', 'content-length: 100') + json,
      { reason: 'truncated', retryable: true },
    ],
    ['chunked, without the last chunk', `${chunked}5\r\n{"id"\r\n`, { reason: 'truncated', retryable: true }],
    ['chunked, cut within a chunk', `${chunked}50\r\n{"id"`, { reason: 'truncated', retryable: true }],
    [
      'gzip, cut short, to the end of a smaller content-length',
      Buffer.concat([
        Buffer.from(head('200 OK', 'content-encoding: gzip', `content-length: ${gzip.length - 9}`)),
        gzip.subarray(0, -9),
      ]),
      { reason: 'truncated', retryable: true },
    ],
    [
      'not gzip at all',
      head('200 OK', 'content-encoding: gzip', plain) + json,
      { reason: 'encoding', retryable: false },
    ],
    [
      'in an encoding nobody knows',
      head('200 OK', 'content-encoding: x', plain) + json,
      { reason: 'encoding' },
    ],
    [
      'a page of HTML',
      `${head('200 OK', 'content-length: 13')}<html></html>`,
      { reason: 'json', retryable: false },
    ],
    ['nothing', head('200 OK', 'content-length: 0'), { reason: 'json', retryable: false }],
    [
      'too large',
      head('200 OK', 'content-length: 5000') + 'x'.repeat(5_000),
      { reason: 'tooLarge', retryable: false },
    ],
  ])('%s', async (_title, answer, expected) => {
    await using({ maxBodyBytes: 4_096 }, async (http) => {
      await answering(
        (socket) => socket.end(answer),
        async (origin) => {
          const error = await failure(http.json(() => origin)(0));
          expect(error).toMatchObject({ code: 'HTTP_BODY', ...expected });
          expect(inspect(error)).not.toContain('html>');
        },
      );
    });
  });

  test('what is not in its character set is an error, and not replaced in silence', async () => {
    const bytes = Buffer.from('"gr\xfc\xdfe"', 'latin1');
    const sent = (type: string): Buffer =>
      Buffer.concat([
        Buffer.from(head('200 OK', `content-type: ${type}`, `content-length: ${bytes.length}`)),
        bytes,
      ]);
    const expected = { code: 'HTTP_BODY', reason: 'charset', retryable: false };
    let type = '';
    await answering(
      (socket) => socket.write(sent(type)),
      async (origin) => {
        await using({}, async (http) => {
          const [json, text] = [http.json(() => origin), http.text(() => origin)];
          // JSON is UTF-8, whatever is said of it.
          for (type of ['application/json', 'application/json; charset=latin1'])
            expect(await failure(json(0)), type).toMatchObject(expected);
          for (type of ['text/plain', 'text/plain; charset=utf-8', 'text/plain; charset=klingon'])
            expect(await failure(text(0)), type).toMatchObject(expected);
          for (type of ['text/plain;charset=ISO-8859-1', 'text/plain; Charset = "latin1"; x=y'])
            expect(await text(0), type).toBe('"grüße"');
        });
      },
    );
  });

  test.each([
    ['HEAD', head('200 OK', 'content-encoding: gzip', 'content-length: 100')],
    ['GET', head('204 No Content', 'content-encoding: br')],
    ['GET', head('200 OK', 'content-encoding: gzip', 'content-length: 0')],
  ])('%s: an answer without a body is empty, whatever it says of its encoding', async (method, answer) => {
    await answering(
      (socket) => socket.write(answer),
      async (origin) => {
        await using({}, async (http) => {
          expect(await http.text(() => ({ url: origin, method }))(undefined)).toBe('');
        });
      },
    );
  });

  test('gzip and brotli arrive whole, and so does a character cut in two', async () => {
    await using({}, async (http) => {
      const compressed = gzipSync('"grüße"');
      const answers = [
        Buffer.concat([
          Buffer.from(head('200 OK', 'content-encoding: gzip', `content-length: ${compressed.length}`)),
          compressed,
        ]),
        Buffer.from(`${head('200 OK', 'content-length: 9')}"grüße"`),
      ];
      await answering(
        (socket) => {
          const answer = answers.shift()!;
          socket.write(answer.subarray(0, -5));
          setImmediate(() => socket.write(answer.subarray(-5)));
        },
        async (origin) => {
          const get = http.json<string>(() => origin);
          expect([await get(0), await get(0)]).toEqual(['grüße', 'grüße']);
        },
      );
    });
  });
});

/** Runs `body` against a server that answers each request with `answer`; then all its sockets must be gone. */
async function answering(
  answer: (socket: Socket) => unknown,
  body: (origin: string) => Promise<void>,
): Promise<void> {
  const raw = await startRawServer((socket) => void answer(socket));
  try {
    await body(raw.origin);
  } finally {
    await raw[Symbol.asyncDispose]();
  }
}

describe('timeouts', () => {
  test.each<[string, (socket: Socket) => unknown]>([
    ['headers', () => undefined],
    ['headers', (socket) => socket.write('HTTP/1.1 200')],
    ['body', (socket) => socket.write(head('200 OK', 'content-length: 100'))],
    ['body', (socket) => socket.write(`${head('200 OK', 'content-length: 100000')}${'x'.repeat(65_536)}`)],
    [
      'body',
      (socket) => {
        socket.write(head('200 OK', 'content-length: 100'));
        const timer = setInterval(() => socket.write('x'), 50);
        socket.on('close', () => clearInterval(timer));
      },
    ],
  ])('%s: the error names the phase, the socket is destroyed', async (phase, answer) => {
    const raw = await startRawServer(answer);
    // So long, that on a busy machine the phase before is over.
    await using({ timeoutMs: 500 }, async (http) => {
      const ms = await elapsedMs(async () =>
        expect(await failure(http.text(() => raw.origin)(0))).toMatchObject({
          name: 'TimeoutError',
          code: 'TIMEOUT',
          timeoutMs: 500,
          phase,
          retryable: true,
        }),
      );
      expect(ms).toBeGreaterThan(490);
      expect(ms).toBeLessThan(5_000);
      await raw.empty();
    });
    await raw[Symbol.asyncDispose]();
  });

  test('acquire: waiting for a connection counts', async () => {
    await answering(
      (socket) => socket.write(`${chunked}2\r\na\n\r\n`),
      async (origin) => {
        await using({ timeoutMs: 500, maxPerHost: 1 }, async (http) => {
          const lines = http.lines(origin);
          expect(await lines.next()).toEqual({ done: false, value: 'a' });
          expect(await failure(http.text(() => origin)(0))).toMatchObject({
            code: 'TIMEOUT',
            phase: 'acquire',
          });
          await lines.return!();
        });
      },
    );
  });

  test('tls: a server that never answers the TLS handshake', async () => {
    const raw = await startRawServer(() => undefined);
    await using({ timeoutMs: 500 }, async (http) => {
      const error = await failure(http.text(() => raw.origin.replace('http', 'https'))(0));
      expect(error).toMatchObject({ code: 'TIMEOUT', phase: 'tls' });
      await raw.empty();
    });
    await raw[Symbol.asyncDispose]();
  });

  test('a POST that may have been carried out is not retryable, unless it has an idempotency key', async () => {
    await answering(
      () => undefined,
      async (origin) => {
        await using({ timeoutMs: 500 }, async (http) => {
          const post = http.text((headers: Record<string, string>) => ({
            url: origin,
            method: 'POST',
            headers,
          }));
          expect(await failure(post({}))).toMatchObject({ phase: 'headers', retryable: false });
          expect(await failure(post({ 'Idempotency-Key': 'k' }))).toMatchObject({
            phase: 'headers',
            retryable: true,
          });
        });
      },
    );
  });
});

describe('errors say what was asked for, where it was, and nothing of the query', () => {
  const body = head('200 OK', 'content-length: 1') + '{';
  const busy = head('429 Too Many Requests', 'content-length: 0', 'retry-after: 9');
  type Case = [code: string, phase: string, says: string, answer: (socket: Socket) => unknown];
  const cases: Case[] = [
    [
      'HTTP_STATUS',
      'headers',
      ': status 503',
      (socket) => socket.write(head('503 Busy', 'content-length: 0')),
    ],
    [
      'HTTP_CONNECTION',
      'headers',
      ': connection failed (headers, ECONNRESET)',
      (socket) => socket.resetAndDestroy(),
    ],
    ['TIMEOUT', 'headers', ' (headers): no result within 1000 ms', () => undefined],
    ['HTTP_BODY', 'body', ': the body is not JSON', (socket) => socket.write(body)],
    [
      'HTTP_PAUSED',
      'acquire',
      ': not sent, the host asks for a pause of 9000 ms more (maxPauseMs: 5)',
      (socket) => socket.write(busy),
    ],
  ];

  test.each(cases)('%s', async (code, phase, says, answer) => {
    await using({ timeoutMs: 1_000, maxPauseMs: 5, random: () => 0 }, async (http) => {
      await answering(answer, async (origin) => {
        const method = 'PUT';
        const url = `${origin.replace('//', '//ann:hunter2@')}/orders/7?api_key=hunter2#hunter2`;
        const ask = http.json(() => ({ url, method, body: '{}', headers: { cookie: 'hunter2' } }));
        // The second one is not sent where the first one has been told to wait.
        if (code === 'HTTP_PAUSED') await failure(ask(0));
        const error = await failure(ask(0));
        expect(error).toMatchObject({ code, phase, method, origin, url: `${origin}/orders/7` });
        expect(error.message.replace(/[5-8]\d{3} ms/, '9000 ms')).toBe(`PUT ${origin}/orders/7${says}`);
        expect(JSON.stringify(error) + inspect(error, { depth: 9, showHidden: true })).not.toContain(
          'hunter2',
        );
      });
    });
  });
});

describe('connection failures', () => {
  test('reset in the middle of the body', async () => {
    await answering(
      (socket) => {
        socket.write(head('200 OK', 'content-length: 100') + 'x'.repeat(50), () =>
          setImmediate(() => socket.resetAndDestroy()),
        );
      },
      async (origin) => {
        await using({}, async (http) => {
          expect(await failure(http.text(() => origin)(0))).toMatchObject({ retryable: true });
        });
      },
    );
  });

  test('reset before the headers', async () => {
    await answering(
      (socket) => socket.resetAndDestroy(),
      async (origin) => {
        await using({}, async (http) => {
          const error = await failure(http.text(() => origin)(0));
          expect(error).toMatchObject({ code: 'HTTP_CONNECTION', phase: 'headers', retryable: true });
          expect(error.cause).toBeDefined();
          const post = http.text(() => ({ url: origin, method: 'POST', body: 'x' }));
          expect(await failure(post(0))).toMatchObject({ phase: 'headers', retryable: false });
        });
      },
    );
  });

  test('refused, unknown host, not TLS, not HTTP', async () => {
    const ssh = createServer((socket) => {
      socket.on('error', () => undefined).once('data', () => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
    });
    await once(ssh.listen(0, '127.0.0.1'), 'listening');
    const { port } = ssh.address() as AddressInfo;
    await using({ timeoutMs: 5_000 }, async (http) => {
      const get = http.text((url: string) => url);
      expect(await failure(get('http://127.0.0.1:1'))).toMatchObject({
        phase: 'connect',
        retryable: true,
        cause: { code: 'ECONNREFUSED' },
      });
      expect(await failure(get('http://no-such-host.invalid'))).toMatchObject({
        phase: 'dns',
        retryable: true,
      });
      const tls = await failure(get(`https://127.0.0.1:${port}`));
      expect(tls).toMatchObject({ code: 'HTTP_CONNECTION', phase: 'tls', retryable: false });
      const http11 = await failure(get(`http://127.0.0.1:${port}`));
      expect(http11).toMatchObject({ code: 'HTTP_CONNECTION', phase: 'headers', retryable: false });
    });
    ssh.close();
  });

  test('headers that are too large: no further attempt will mend it', async () => {
    await answering(
      (socket) => socket.write(head('200 OK', `x: ${'x'.repeat(100_000)}`)),
      async (origin) => {
        await using({}, async (http) => {
          expect(await failure(http.text(() => origin)(0))).toMatchObject({
            code: 'HTTP_CONNECTION',
            retryable: false,
            cause: { code: 'UND_ERR_HEADERS_OVERFLOW' },
          });
        });
      },
    );
  });

  test('the server closes an idle connection: the next request makes a new one', async () => {
    await answering(
      (socket) => socket.end(`${head('200 OK', 'content-length: 2')}ok`),
      async (origin) => {
        await using({}, async (http) => {
          const get = http.text(() => origin);
          for (const id of ids(20)) expect(await get(id)).toBe('ok');
        });
      },
    );
  });
});

describe('nothing holds a socket', () => {
  test('F37: after 1,000 failures the next request takes less than 100 ms', async () => {
    const nextMs = async (): Promise<number> => {
      await using own = await startHttpServer();
      let ms = Infinity;
      await using({ maxPerHost: 2 }, async (http) => {
        const get = http.json((path: string) => own.origins[0]! + path);
        const paths = ['/status/404', '/vast', '/lines?lines=3', '/never'];
        const each = ids(1_000).map((id) => {
          const path = paths[id % 4]!;
          return get(path, path === '/never' ? { signal: AbortSignal.timeout(50) } : undefined);
        });
        const settled = await Promise.allSettled(each);
        expect(settled.every(({ status }) => status === 'rejected')).toBe(true);
        ms = await elapsedMs(() => get('/orders/1'));
      });
      expect((await own.counts()).maxOpen[0]).toBeLessThanOrEqual(2);
      return ms;
    };
    expect(await bestMs(100, nextMs)).toBeLessThan(100);
  });

  test('a body that is not read, or does not end, costs its connection and not the next one', async () => {
    const endless =
      (status: string, ...headers: string[]) =>
      (socket: Socket) => {
        const more = setInterval(() => socket.write(`6\r\nendles\r\n`), 10);
        socket.on('close', () => clearInterval(more));
        socket.write(head(status, 'transfer-encoding: chunked', ...headers));
      };
    const answers = [endless('404 Not Found'), endless('200 OK', 'content-encoding: unknown')];
    const nextMs = async (answer: (socket: Socket) => void): Promise<number> => {
      let requests = 0;
      let ms = Infinity;
      await answering(
        (socket) =>
          ++requests === 1 ? answer(socket) : socket.write(`${head('200 OK', 'content-length: 2')}ok`),
        async (origin) => {
          await using({ maxPerHost: 1 }, async (http) => {
            const get = http.text(() => origin);
            expect(await elapsedMs(() => failure(get(0)))).toBeLessThan(5_000);
            ms = await elapsedMs(() => get(1));
          });
        },
      );
      return ms;
    };
    for (const answer of answers) expect(await bestMs(100, () => nextMs(answer))).toBeLessThan(100);
  });

  test('aborting destroys the socket, and the server sees it', async () => {
    await using own = await startHttpServer();
    await using({}, async (http) => {
      const never = http.text(() => `${own.origins[0]!}/never`);
      const controller = new AbortController();
      const answer = failure(never(0, { signal: controller.signal }));
      await expect.poll(async () => (await own.counts()).requests).toBe(1);
      const reason = new Error('no longer wanted');
      controller.abort(reason);
      expect(await answer).toBe(reason);
      await expect.poll(() => own.counts()).toMatchObject({ cutOff: 1, open: [0] });
      expect(await failure(never(0, { signal: controller.signal }))).toBe(reason);
      expect((await own.counts()).connections).toBe(1);
    });
  });

  test('a long-lived signal keeps no listeners', async () => {
    await using({}, async (http) => {
      const { signal } = new AbortController();
      const added = vi.spyOn(signal, 'addEventListener');
      const removed = vi.spyOn(signal, 'removeEventListener');
      await Promise.allSettled(
        ids(20).map((id) => http.text(at(id % 2 ? '/orders/1' : '/status/404'))(id, { signal })),
      );
      const listeners = (calls: unknown[][]): Set<unknown> => new Set(calls.map(([, listener]) => listener));
      expect(added).toHaveBeenCalledTimes(20);
      expect(listeners(removed.mock.calls)).toEqual(listeners(added.mock.calls));
    });
  });
});

describe('lines', () => {
  test('every line, once, in order', async () => {
    await using({}, async (http) => {
      const seen: number[] = [];
      for await (const { id } of http.ndjson<{ id: number }>(at('/lines?lines=20000')())) seen.push(id);
      expect(seen).toEqual(ids(20_000));
    });
  });

  test('a slow reader stops the server: the rest is not in memory', async () => {
    const total = 100_000_000;
    let written = 0;
    await answering(
      (socket) => {
        socket.write(head('200 OK', `content-length: ${total}`));
        const line = Buffer.alloc(1_000, 'x');
        line[999] = 10;
        const block = Buffer.concat(Array.from({ length: 64 }, () => line));
        const more = (): void => {
          while (written < total) {
            const part = block.subarray(0, Math.min(block.length, total - written));
            written += part.length;
            if (!socket.write(part)) return void socket.once('drain', more);
          }
        };
        more();
      },
      async (origin) => {
        await using({}, async (http) => {
          let lines = 0;
          for await (const line of http.lines(origin)) {
            expect(line).toHaveLength(999);
            lines += 1;
            if (lines === 10) {
              // Once nothing moves any more, the kernel's buffers are full and ours hold less than a megabyte.
              let before = -1;
              while (before !== written) {
                before = written;
                await new Promise((resolve) => setTimeout(resolve, 100));
              }
              expect(written).toBeLessThan(20_000_000);
              break;
            }
          }
          expect(lines).toBe(10);
        });
      },
    );
  });

  test('cut short is an error, after the whole lines', async () => {
    for (const answer of [
      `${chunked}8\r\n{"a":1}\n\r\n8\r\n{"a":2}\n\r\n3\r\n{"a\r\n`,
      `${head('200 OK', 'content-length: 100')}{"a":1}\n{"a":2}\n{"a`,
    ]) {
      await answering(
        (socket) => socket.end(answer),
        async (origin) => {
          await using({}, async (http) => {
            const seen: unknown[] = [];
            const read = async (): Promise<void> => {
              for await (const value of http.ndjson(origin)) seen.push(value);
            };
            expect(await failure(read())).toMatchObject({ reason: 'truncated', retryable: true });
            expect(seen).toEqual([{ a: 1 }, { a: 2 }]);
          });
        },
      );
    }
  });

  test('line ends, blank lines, characters cut in two, no last line end, a mark at the beginning', async () => {
    const bytes = Buffer.from('\ufeff"ä"\r\n\n  \n"öé"\n"last"');
    await answering(
      (socket) => {
        socket.write(head('200 OK', `content-length: ${bytes.length}`));
        let sent = 0;
        const next = (): void => {
          if (sent === bytes.length) return;
          socket.write(bytes.subarray(sent, ++sent), () => setImmediate(next));
        };
        socket.setNoDelay(true);
        next();
      },
      async (origin) => {
        await using({}, async (http) => {
          expect(await collect(http.ndjson(origin))).toEqual(['ä', 'öé', 'last']);
          expect(await collect(http.lines(origin))).toEqual(['"ä"', '', '  ', '"öé"', '"last"']);
        });
      },
    );
  });

  test('a line that is not UTF-8 is an error with its number, after the whole lines; bytes are bytes', async () => {
    const bad = Buffer.concat([Buffer.from('"ä"\n\n"b"\n"c'), Buffer.from([0xff]), Buffer.from('"\n"d"\n')]);
    const cut = Buffer.from('"a"\n"\xc3', 'latin1');
    for (const [body, values, line] of [
      [bad, ['ä', 'b'], 4],
      [cut, ['a'], 2],
    ] as const) {
      for (const pieces of [1, body.length]) {
        await answering(
          (socket) => {
            socket.setNoDelay(true);
            socket.write(head('200 OK', `content-length: ${body.length}`));
            const size = body.length / pieces;
            for (let i = 0; i < pieces; i++)
              setTimeout(() => socket.write(body.subarray(i * size, (i + 1) * size)), i * 2);
          },
          async (origin) => {
            await using({}, async (http) => {
              const seen: unknown[] = [];
              const read = async (): Promise<void> => {
                for await (const value of http.ndjson(origin)) seen.push(value);
              };
              expect(await failure(read())).toMatchObject({ reason: 'charset', retryable: false, line });
              expect(seen).toEqual(values);
              expect(await failure(collect(http.lines(origin)))).toMatchObject({ reason: 'charset', line });
              expect(Buffer.concat(await collect(http.bytes(origin)))).toEqual(body);
            });
          },
        );
      }
    }
  });

  test('a line that is not JSON is named, a line that is too long is refused', async () => {
    const body = `{"a":1}\n\nnonsense\n${'x'.repeat(5_000)}\n`;
    await answering(
      (socket) => socket.write(head('200 OK', `content-length: ${body.length}`) + body),
      async (origin) => {
        await using({ maxBodyBytes: 4_096 }, async (http) => {
          expect(await failure(collect(http.ndjson(origin)))).toMatchObject({ reason: 'json', line: 3 });
          expect(await failure(collect(http.lines(origin)))).toMatchObject({ reason: 'tooLarge' });
        });
      },
    );
  });

  test('404 is an error', async () => {
    await using({}, async (http) => {
      expect(await failure(collect(http.lines(at('/status/404')())))).toMatchObject({ status: 404 });
    });
  });

  test('leaving while the server says nothing ends the wait at once, and the socket', async () => {
    const raw = await startRawServer((socket) => socket.write(`${chunked}2\r\na\n\r\n`));
    await using({}, async (http) => {
      const lines = http.lines(raw.origin);
      expect(await lines.next()).toEqual({ done: false, value: 'a' });
      const pending = lines.next();
      expect(await elapsedMs(async () => lines.return!())).toBeLessThan(5_000);
      expect(await pending).toEqual({ done: true, value: undefined });
      await raw.empty();
    });
    await raw[Symbol.asyncDispose]();
  });

  test('a slow reader is no timeout', async () => {
    await answering(
      (socket) => socket.write(`${chunked}4\r\na\nb\n\r\n0\r\n\r\n`),
      async (origin) => {
        await using({ timeoutMs: 500 }, async (http) => {
          const seen: string[] = [];
          for await (const line of http.lines(origin)) {
            seen.push(line);
            await new Promise((resolve) => setTimeout(resolve, 700));
          }
          expect(seen).toEqual(['a', 'b']);
        });
      },
    );
  });

  test('silence is a timeout, and a signal ends it', async () => {
    await answering(
      (socket) => socket.write(`${chunked}4\r\na\nb\n\r\n`),
      async (origin) => {
        await using({ timeoutMs: 500 }, async (http) => {
          const seen: string[] = [];
          const read = async (signal?: AbortSignal): Promise<void> => {
            for await (const line of http.lines(origin, { signal })) seen.push(line);
          };
          expect(await failure(read())).toMatchObject({ code: 'TIMEOUT', phase: 'body' });
          expect(seen).toEqual(['a', 'b']);
          const controller = new AbortController();
          setTimeout(() => controller.abort('reason'), 50);
          expect(await failure(read(controller.signal))).toBe('reason');
        });
      },
    );
  });
});

describe('close', () => {
  test('refuses new requests and lets those that run and wait end', async () => {
    const http = new HttpConnections({ maxPerHost: 2 });
    const fetchOrder = http.json<Order, number>((id) => at(`/orders/${id}`)());
    const running = Promise.all(ids(6).map((id) => fetchOrder(id)));
    const closed = http.close();
    expect(http.close()).toBe(closed);
    expect(await failure(fetchOrder(7))).toMatchObject({ code: 'CONNECTIONS_CLOSED', retryable: false });
    expect(await failure(http.lines(at('/lines?lines=1')()).next())).toMatchObject({
      code: 'CONNECTIONS_CLOSED',
    });
    expect(await running).toHaveLength(6);
    await closed;
    expect(http.stats).toEqual({ open: 0, busy: 0, waiting: 0 });
  });

  test('destroys after closeTimeoutMs what has not ended', async () => {
    const http = new HttpConnections({ maxPerHost: 2, closeTimeoutMs: 200 });
    const stuck = ids(5).map((id) => failure(http.text(at('/never'))(id)));
    const ms = await elapsedMs(() => http.close());
    expect(ms).toBeGreaterThan(190);
    expect(ms).toBeLessThan(4_000); // and not after the 5 s that it has unless it is told
    for (const error of await Promise.all(stuck)) expect(error).toMatchObject({ code: 'CONNECTIONS_CLOSED' });
    await expect.poll(() => http.stats).toEqual({ open: 0, busy: 0, waiting: 0 });
  });

  test('await using closes', async () => {
    let http: HttpConnections;
    {
      await using inner = new HttpConnections();
      http = inner;
      await inner.text(at('/orders/1'))(1);
    }
    expect(http.stats.open).toBe(0);
  });
});

test('the type of a value is that of the parameter of its target, or told, or unknown', async () => {
  await using http = new HttpConnections();
  expectTypeOf(http.json((id: number) => `${id}`)).toEqualTypeOf<HttpWork<number, unknown>>();
  expectTypeOf(http.json<Order>((id: number) => `${id}`)).toEqualTypeOf<HttpWork<unknown, Order>>();
  expectTypeOf(http.json<Order, number>((id) => `${id}`)).toEqualTypeOf<HttpWork<number, Order>>();
  const address = (told: { toBeUnknown: () => unknown }): string => String(told.toBeUnknown());
  http.json<Order>((id) => address(expectTypeOf(id)));
  http.answer<Order>((id) => address(expectTypeOf(id)));
});
