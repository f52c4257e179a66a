/** 100 requests to a server that takes 30 to 50 ms for each, over 100 connections. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { fromPull, poolMap, runFlow } from '../../dist/index.js';
import { HttpConnections } from '../../dist/http.js';
import { byHand } from './byHand.mjs';

const ids = Array.from({ length: 100 }, (_, id) => id);

export async function http() {
  const server = fork(fileURLToPath(new URL('slowServer.mjs', import.meta.url)));
  const [port] = await once(server, 'message');
  const url = (id) => `http://127.0.0.1:${port}/items/${id}`;

  const dispatcher = new Agent({ connections: 100 });
  const fetchByHand = async (id) => {
    const { statusCode, body } = await request(url(id), { dispatcher });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`status ${statusCode}`);
    return text;
  };
  const connections = new HttpConnections({ maxPerHost: 100 });
  const fetchText = connections.text(url);

  return {
    title: '100 HTTP requests of 30 to 50 ms, 100 connections',
    claim: 11.9,
    count: ids.length,
    one: () => byHand(ids, 1, fetchByHand),
    loop: () => byHand(ids, 100, fetchByHand),
    ours: async () => (await runFlow(fromPull(ids).pipe(poolMap(fetchText, { concurrency: 100 })))).delivered,
    async [Symbol.asyncDispose]() {
      await Promise.all([dispatcher.close(), connections.close()]);
      const exited = once(server, 'exit');
      server.disconnect();
      await exited;
    },
  };
}
