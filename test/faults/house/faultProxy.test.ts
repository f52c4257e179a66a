import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FaultProxy } from './faultProxy.ts';

/** Answers each byte with itself, and ends when the client has ended. */
let server: Server;
let proxy: FaultProxy;
/** The server's sides of its connections. */
let served: Socket[];
/** What the server has read. */
let heard: string;
const clients: Socket[] = [];

beforeEach(async () => {
  [served, heard] = [[], ''];
  server = createServer((socket) => {
    served.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => (heard += bytes.toString()));
    socket.pipe(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  proxy = await FaultProxy.start(
    { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    () => 1,
  );
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await proxy.stop();
  for (const socket of served) socket.destroy();
  server.close();
});

interface Peer {
  readonly socket: Socket;
  readonly chunks: string[];
  readonly heard: () => string;
  /** Resolves with the code of the error, or '' after a clean end. */
  readonly closed: Promise<string>;
}

function dial(): Peer {
  const socket = connect({ host: '127.0.0.1', port: proxy.port, noDelay: true });
  clients.push(socket);
  const chunks: string[] = [];
  let code = '';
  socket.on('data', (bytes) => chunks.push(bytes.toString()));
  socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code ?? ''));
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(code)));
  return { socket, chunks, heard: () => chunks.join(''), closed };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Milliseconds until the peer has heard this many bytes back. */
async function echoMs(peer: Peer, text: string): Promise<number> {
  const start = performance.now();
  const before = peer.heard().length;
  peer.socket.write(text);
  await expect.poll(() => peer.heard().length - before, { interval: 1, timeout: 10_000 }).toBe(text.length);
  return performance.now() - start;
}

describe('FaultProxy', () => {
  test('passes everything both ways, in order, and both ends', async () => {
    const peer = dial();
    const text = Array.from({ length: 200_000 }, (_, i) => String(i % 10)).join('');
    await echoMs(peer, text);
    expect(peer.heard() === text).toBe(true);
    peer.socket.end();
    expect(await peer.closed).toBe('');
    await expect.poll(() => proxy.connections).toBe(0);
    expect(proxy.attempts).toBe(1);
  });

  test('latency delays each way, jitter adds to it, and many chunks are on the way at once', async () => {
    proxy.set({ toServer: { latencyMs: 50, jitterMs: 20 }, toClient: { latencyMs: 100 } });
    const peer = dial();
    expect(await echoMs(peer, 'a')).toBeGreaterThan(168);
    const start = performance.now();
    for (let i = 0; i < 20; i++) {
      peer.socket.write('b');
      await pause(2);
    }
    await expect.poll(() => peer.heard().length, { interval: 1, timeout: 10_000 }).toBe(21);
    // One after the other, 20 would take 3,400 ms.
    expect(performance.now() - start).toBeLessThan(2_000);
  });

  test('bandwidth bounds the bytes in a second', async () => {
    proxy.set({ toClient: { bytesPerSecond: 100_000 } });
    expect(await echoMs(dial(), 'x'.repeat(30_000))).toBeGreaterThan(299);
  });

  test('the slicer cuts what was written at once into small pieces', async () => {
    const text = 'abcdefghij';
    proxy.set({ toServer: { sliceBytes: 3 } });
    const pieces: string[] = [];
    server.once('connection', (socket) => socket.on('data', (bytes) => pieces.push(bytes.toString())));
    await echoMs(dial(), text);
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.join('')).toBe(text);
  });

  test('a limit lets so many bytes pass, then closes as if all had been said', async () => {
    proxy.set({ toClient: { limitBytes: 4 } });
    const peer = dial();
    peer.socket.write('abcdefghij');
    expect(await peer.closed).toBe('');
    expect(peer.heard()).toBe('abcd');
  });

  test.each([
    ['both ways', { toServer: { blackHole: true }, toClient: { blackHole: true } }, '1'],
    ['replies only', { toClient: { blackHole: true } }, '12'],
  ])(
    'a black hole (%s) swallows, and the connection stays dead when it is gone',
    async (_, faults, reaches) => {
      const peer = dial();
      await echoMs(peer, '1');
      proxy.set(faults);
      peer.socket.write('2');
      await expect.poll(() => proxy.dead).toBe(1);
      proxy.heal();
      peer.socket.write('3');
      await pause(50);
      expect(peer.heard()).toBe('1');
      expect(heard.slice(0, reaches.length)).toBe(reaches);
      expect(peer.socket.closed).toBe(false);
      await echoMs(dial(), 'a new one passes');
    },
  );

  test('the server does not hear, out of a black hole, that a client is gone, and is told later', async () => {
    const peer = dial();
    await echoMs(peer, '1');
    proxy.set({ toServer: { blackHole: true }, toClient: { blackHole: true } });
    peer.socket.destroy();
    await pause(50);
    expect(served[0]!.closed).toBe(false);
    proxy.heal();
    await expect.poll(() => [served[0]!.closed, proxy.connections]).toEqual([true, 0]);
  });

  test('at connect: a black hole answers nothing and makes no connection, a reset refuses', async () => {
    proxy.set({ atConnect: 'blackHole' });
    const peer = dial();
    peer.socket.write('1');
    await expect.poll(() => proxy.connections).toBe(1);
    await pause(50);
    expect([served.length, peer.heard(), peer.socket.closed, proxy.connections]).toEqual([0, '', false, 1]);
    proxy.set({ atConnect: 'reset' });
    expect(await dial().closed).toBe('ECONNRESET');
  });

  test('reset ends open connections on both sides', async () => {
    const peer = dial();
    await echoMs(peer, '1');
    proxy.reset();
    expect(await peer.closed).toBe('ECONNRESET');
    await expect.poll(() => served[0]!.closed).toBe(true);
  });

  test('a lost reply: the server gets the request, the client gets a reset; only so many times', async () => {
    proxy.loseReplies('COMMIT');
    const peer = dial();
    await echoMs(peer, 'INSERT');
    peer.socket.write('COMMIT');
    expect(await peer.closed).toBe('ECONNRESET');
    expect([heard, peer.heard(), proxy.lost]).toEqual(['INSERTCOMMIT', 'INSERT', 1]);
    await echoMs(dial(), 'COMMIT');
  });

  test('a slow close: the end comes late, and after all that was said', async () => {
    proxy.set({ toClient: { slowCloseMs: 200 } });
    const peer = dial();
    await echoMs(peer, 'all of it');
    const start = performance.now();
    peer.socket.end();
    expect(await peer.closed).toBe('');
    expect(performance.now() - start).toBeGreaterThan(198);
  });

  test('a receiver that does not read stops the sender', async () => {
    const peer = dial();
    peer.socket.pause();
    const megabyte = 'x'.repeat(1_000_000);
    for (let i = 0; i < 64; i++) peer.socket.write(megabyte);
    await pause(200);
    const stopped = peer.socket.writableLength;
    expect(stopped).toBeGreaterThan(10_000_000);
    peer.socket.resume();
    await expect.poll(() => peer.heard().length, { interval: 20, timeout: 20_000 }).toBe(64_000_000);
  });
});
