import type { Socket } from 'node:net';
import { lastValueFrom, take, toArray, type Observable } from 'rxjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { poolMap, runFlow } from 'sluice';
import { fromServerSentEvents, HttpConnections, type ServerSentEvent } from 'sluice/http';
import { sourceLaws } from '../../src/testing/laws/index.ts';
import { startRawServer, type RawServer } from './servers/rawServer.ts';

const ok = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream;charset=utf-8\r\nconnection: close\r\n\r\n';
const gone = 'HTTP/1.1 204 No Content\r\n\r\n';

/** A server that does the n-th of `answers` at the n-th request, and what was asked of it. */
async function answering(
  answers: ((socket: Socket) => unknown)[],
  body: (http: HttpConnections, raw: RawServer, heads: string[]) => Promise<void>,
): Promise<void> {
  const heads: string[] = [];
  const raw = await startRawServer((socket, head) => {
    heads.push(head);
    void answers[heads.length - 1]?.(socket);
  });
  const http = new HttpConnections();
  try {
    await body(http, raw, heads);
    await raw.empty();
    expect(http.stats).toMatchObject({ busy: 0, waiting: 0 });
  } finally {
    await http.close();
    await raw[Symbol.asyncDispose]();
  }
}

const all = (events: Observable<ServerSentEvent>): Promise<ServerSentEvent[]> =>
  lastValueFrom(events.pipe(toArray()));
const lastIds = (heads: string[]): (string | undefined)[] =>
  heads.map((head) => /^last-event-id: (.*)$/im.exec(head)?.[1]?.trim());

test('events, their ids and names; comments, blank events and what has not ended are none', async () => {
  const text =
    ': hello\n\nid: 1\ndata: one\ndata: two\n\nevent: change\ndata: ü\r\n\r\nid: 9\n\ndata: unfinished\n';
  const inPieces = async (socket: Socket): Promise<void> => {
    socket.setNoDelay(true).write(ok);
    for (const byte of Buffer.from(text)) {
      await new Promise<void>((resolve) => socket.write(Buffer.from([byte]), () => setImmediate(resolve)));
    }
    socket.end();
  };
  await answering([inPieces, (socket) => socket.end(gone)], async (http, raw, heads) => {
    expect(await all(fromServerSentEvents(http, raw.origin, { reconnectMs: 1 }))).toEqual([
      { event: 'message', data: 'one\ntwo', id: '1' },
      { event: 'change', data: 'ü', id: '1' },
    ]);
    expect(heads[0]).toMatch(/^accept: text\/event-stream$/im);
    expect(lastIds(heads)[0]).toBeUndefined();
  });
});

test('connects again from the last event, when the server said; 204 is the end', async () => {
  const at: number[] = [];
  const sends = (text: string) => (socket: Socket) => {
    at.push(performance.now());
    socket.end(ok + text);
  };
  await answering(
    [
      sends('retry: 300\n\nid: a\ndata: 1\n\n'),
      sends(''),
      (socket) => socket.resetAndDestroy(),
      (socket) => socket.end('HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'),
      sends('id: b\ndata: 2\n\n'),
      (socket) => socket.end(gone),
    ],
    async (http, raw, heads) => {
      const events = await all(fromServerSentEvents(http, raw.origin, { lastEventId: '0', reconnectMs: 1 }));
      expect(events.map(({ data, id }) => [data, id])).toEqual([
        ['1', 'a'],
        ['2', 'b'],
      ]);
      expect(lastIds(heads)).toEqual(['0', 'a', 'a', 'a', 'a', 'b']);
      expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(299);
    },
  );
});

test('a server that asks for a wait longer than any timer takes is not asked again at once', async () => {
  const sends = (socket: Socket): unknown => socket.end(`${ok}retry: 9999999999\n\ndata: 1\n\n`);
  await answering([sends, sends, sends], async (http, raw, heads) => {
    const subscription = fromServerSentEvents(http, raw.origin).subscribe();
    await expect.poll(() => heads.length).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(heads.length).toBe(1);
    subscription.unsubscribe();
  });
});

test('an id without data is the last one, once its block has ended', async () => {
  const sends = (text: string) => (socket: Socket) => socket.end(ok + text);
  const ends = (socket: Socket): unknown =>
    socket.end(gone.replace('\r\n\r\n', '\r\ncontent-encoding: gzip\r\n\r\n'));
  await answering([sends('id: 1\ndata: a\n\nid: 2\n\nid: 3\n'), ends], async (http, raw, heads) => {
    const events = await all(fromServerSentEvents(http, raw.origin, { reconnectMs: 1 }));
    expect(events).toEqual([{ event: 'message', data: 'a', id: '1' }]);
    expect(lastIds(heads)).toEqual([undefined, '2']);
  });
});

describe('errors', () => {
  const failure = (events: Observable<ServerSentEvent>): Promise<unknown> =>
    all(events).then(
      () => 'it did not fail',
      (error: unknown) => error,
    );

  test('a status or a type that no further attempt will change', async () => {
    await answering(
      [
        (socket) => socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'),
        (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n'),
      ],
      async (http, raw) => {
        expect(await failure(fromServerSentEvents(http, raw.origin))).toMatchObject({ status: 404 });
        const error = { code: 'HTTP_BODY', reason: 'type' };
        expect(await failure(fromServerSentEvents(http, raw.origin))).toMatchObject(error);
      },
    );
  });

  test('maxReconnects failures in a row; an event starts the count again', async () => {
    const reset = (socket: Socket): unknown => socket.resetAndDestroy();
    const one = (socket: Socket): unknown => socket.end(`${ok}data: x\n\n`);
    await answering([reset, one, reset, reset, reset], async (http, raw, heads) => {
      const events = fromServerSentEvents(http, raw.origin, { reconnectMs: 1, maxReconnects: 2 });
      expect(await failure(events)).toMatchObject({ code: 'HTTP_CONNECTION', phase: 'headers' });
      expect(heads).toHaveLength(5);
    });
  });

  test('silence is a dead connection: the next one goes on', async () => {
    await answering(
      [(socket) => socket.write(`${ok}id: 1\ndata: x\n\n`), (socket) => socket.end(gone)],
      async (http, raw, heads) => {
        const events = await all(
          fromServerSentEvents(http, raw.origin, { reconnectMs: 1, silenceMs: 1_000 }),
        );
        expect([events.length, lastIds(heads)[1]]).toEqual([1, '1']);
      },
    );
  });

  test('an event that is too large', async () => {
    const raw = await startRawServer((socket) => socket.write(`${ok}data: ${'x'.repeat(5_000)}`));
    await using http = new HttpConnections({ maxBodyBytes: 1_000 });
    expect(await failure(fromServerSentEvents(http, raw.origin))).toMatchObject({ reason: 'tooLarge' });
    await raw[Symbol.asyncDispose]();
  });

  test('options out of range are refused at once', async () => {
    await using http = new HttpConnections();
    for (const options of [{ reconnectMs: -1 }, { maxReconnects: 0.5 }, { silenceMs: 0 }]) {
      expect(() => fromServerSentEvents(http, '', options)).toThrow(/fromServerSentEvents: /);
    }
  });
});

test('leaving, draining and aborting end the connection at once, and a wait between two', async () => {
  const two = (socket: Socket): unknown => socket.write(`${ok}data: 1\n\ndata: 2\n\n`);
  await answering([two, two, two], async (http, raw) => {
    expect(await lastValueFrom(fromServerSentEvents(http, raw.origin).pipe(take(1)))).toMatchObject({
      data: '1',
    });
    await raw.empty();
    const drained = runFlow(fromServerSentEvents(http, raw.origin));
    await expect.poll(() => drained.report().itemsIn).toBe(2);
    expect(await drained.drain()).toMatchObject({ end: 'drained', itemsIn: 2, leftOver: 0 });
    await raw.empty();
    const aborted = runFlow(fromServerSentEvents(http, raw.origin));
    setTimeout(() => void aborted.abort(), 100);
    expect(await aborted).toMatchObject({ end: 'aborted' });
  });
  await answering([(socket) => socket.end(`${ok}data: 1\n\n`)], async (http, raw) => {
    const run = runFlow(fromServerSentEvents(http, raw.origin, { reconnectMs: 60_000 }));
    await expect.poll(() => run.report().itemsIn).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await run.drain()).toMatchObject({ end: 'drained', itemsIn: 1 });
  });
});

test('a slow stage makes the server wait', async () => {
  const event = Buffer.from(`data: ${'x'.repeat(1_000)}\n\n`);
  const block = Buffer.concat(Array.from({ length: 64 }, () => event));
  let written = 0;
  const endless = (socket: Socket): void => {
    socket.write(ok);
    const more = (): void => {
      while (!socket.destroyed) {
        written += block.length;
        if (!socket.write(block)) return void socket.once('drain', more);
      }
    };
    more();
  };
  await answering([endless], async (http, raw) => {
    const work = poolMap(
      (value: ServerSentEvent) => new Promise((resolve) => setTimeout(resolve, 20, value)),
      {
        concurrency: 1,
      },
    );
    const run = runFlow(fromServerSentEvents(http, raw.origin).pipe(work));
    let before = -1;
    await expect
      .poll(
        () => {
          const still = before === written && written > 0;
          before = written;
          return still;
        },
        { interval: 200, timeout: 20_000 },
      )
      .toBe(true);
    expect(written).toBeLessThan(20_000_000);
    await run.abort();
  });
});

describe('laws', () => {
  const perConnection = 500;
  let raw: RawServer;
  let asked = 0;
  const http = new HttpConnections();
  beforeAll(async () => {
    raw = await startRawServer((socket, head) => {
      asked += 1;
      const total = Number(/^GET \/(\d+)/.exec(head)?.[1]);
      const done = Number(/^last-event-id: (\d+)$/im.exec(head)?.[1] ?? 0);
      const ids = Array.from({ length: Math.min(total - done, perConnection) }, (_, i) => done + i + 1);
      const text = ids.map((id) => `id: ${id}\ndata: ${id}\n\n`).join('');
      if (done >= total) socket.end(head.startsWith('GET /2/broken') ? gone.replace('204', '404') : gone);
      else socket.end(ok + text);
    });
  });
  afterAll(async () => {
    await http.close();
    await raw[Symbol.asyncDispose]();
  });

  const from = (path: number | string): Observable<ServerSentEvent> =>
    fromServerSentEvents(http, `${raw.origin}/${path}`, { reconnectMs: 0 });
  // How many events are read cannot be said: those that fit are in buffers of the network.
  const laws = sourceLaws('fromServerSentEvents', from, {
    failing: () => from('2/broken'),
    maxItems: 2_000,
    time: 'real',
  });
  for (const { name, check } of laws) test(name, check);

  test('nobody is asked before it is subscribed to', async () => {
    const before = asked;
    const events = from(3);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(asked).toBe(before);
    expect(await all(events)).toHaveLength(3);
    expect(asked).toBe(before + 2);
  });
});
