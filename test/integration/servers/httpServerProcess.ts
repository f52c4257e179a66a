/** The server's side of `startHttpServer`: a program of its own, so that its work does not disturb what is measured. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { HttpServerCounts } from './httpServer.ts';

const counts: HttpServerCounts = {
  requests: 0,
  connections: 0,
  open: [],
  maxOpen: [],
  maxOpenInAll: 0,
  cutOff: 0,
};
const tries = new Map<string, number>();

/** A number in [0, 1) that follows from the path: the same run each time. */
const chance = (path: string): number =>
  Buffer.from(path).reduce((hash, byte) => (hash * 31 + byte) % 9_973, 7) / 9_973;

const json = (response: ServerResponse, status: number, value: unknown, headers = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
};

const routes: Record<string, (request: IncomingMessage, response: ServerResponse, url: URL) => void> = {
  /** Answers after 30 to 50 ms. */
  orders: (_request, response, url) => {
    const id = Number(url.pathname.split('/')[2]);
    setTimeout(() => json(response, 200, { id, value: id * 10 }), 30 + 20 * chance(url.pathname));
  },
  /** 503 for the first `times` requests of this path. */
  flaky: (_request, response, url) => {
    const made = tries.get(url.pathname) ?? 0;
    tries.set(url.pathname, made + 1);
    if (made < Number(url.searchParams.get('times'))) json(response, 503, { made }, { 'retry-after': '2' });
    else json(response, 200, { made });
  },
  status: (_request, response, url) => {
    const after = url.searchParams.get('retry-after');
    const headers = after === null ? {} : { 'retry-after': after };
    json(response, Number(url.pathname.split('/')[2]), { error: 'as you asked' }, headers);
  },
  /** A 404 whose body is larger than anybody would read in order to save the connection. */
  vast: (_request, response) => {
    response.writeHead(404);
    response.end(Buffer.alloc(1_000_000, 'x'));
  },
  echo: (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method, headers } = request;
      json(response, 200, { method, headers, body: Buffer.concat(chunks).toString() });
    });
  },
  /** Never answers, and counts who gives up. */
  never: (request) => void request.on('close', () => (counts.cutOff += 1)),
  /** `lines` lines of JSON, as fast as they are taken. */
  lines: (_request, response, url) => {
    const total = Number(url.searchParams.get('lines'));
    let sent = 0;
    const more = (): void => {
      while (sent < total)
        if (!response.write(`${JSON.stringify({ id: sent++, text: 'x'.repeat(100) })}\n`)) return;
      response.end();
    };
    response.on('drain', more);
    more();
  },
};

const onConnection = (port: number, socket: Socket): void => {
  counts.connections += 1;
  counts.open[port] = (counts.open[port] ?? 0) + 1;
  // An end that the network brought before this connection may be seen after it; answers take much longer than this.
  setTimeout(() => {
    counts.maxOpen[port] = Math.max(counts.maxOpen[port] ?? 0, counts.open[port]!);
    const openInAll = counts.open.reduce((sum, open) => sum + open, 0);
    counts.maxOpenInAll = Math.max(counts.maxOpenInAll, openInAll);
  }, 5);
  let open = true;
  const close = (): void => {
    if (open) counts.open[port]! -= 1;
    open = false;
  };
  // The client's end counts, not the moment at which this process has also closed its side.
  socket.on('end', close);
  socket.on('close', close);
};

const listen = (port: number): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer((request, response) => {
      counts.requests += 1;
      const url = new URL(request.url!, 'http://localhost');
      const route = routes[url.pathname.split('/')[1]!];
      if (route === undefined) json(response, 404, { error: 'no such route' });
      else route(request, response, url);
    });
    server.on('connection', (socket) => onConnection(port, socket));
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });

process.on('message', (message) => {
  if (message === 'counts') process.send!(counts);
});
process.on('disconnect', () => process.exit(0));

const ports = await Promise.all(Array.from({ length: Number(process.argv[2]) }, (_, port) => listen(port)));
process.send!(ports);
