import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface CommitCutter {
  readonly connectionString: string;
  /** Of the next COMMITs, so many get no answer: the server has carried them out, and the connection is reset. */
  cut(commits: number): void;
  /** How many were cut so far. */
  readonly cuts: number;
  stop(): Promise<void>;
}

/** A relay in front of a PostgreSQL server. */
export async function commitCutter(connectionString: string): Promise<CommitCutter> {
  const url = new URL(connectionString);
  const target = { host: url.hostname, port: Number(url.port) };
  const sockets = new Set<Socket>();
  let toCut = 0;
  let cuts = 0;
  const server = createServer((client) => {
    const upstream = connect(target);
    let cutting = false;
    client.on('data', (chunk) => {
      if (toCut > 0 && chunk.includes('COMMIT\0')) {
        toCut--;
        cutting = true;
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (!cutting) {
        client.write(chunk);
        return;
      }
      cuts++;
      upstream.destroy();
      client.resetAndDestroy();
    });
    const pairs: [Socket, Socket][] = [
      [client, upstream],
      [upstream, client],
    ];
    for (const [socket, other] of pairs) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('end', () => other.end());
      socket.on('close', () => sockets.delete(socket));
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  url.port = String((server.address() as AddressInfo).port);
  return {
    connectionString: url.href,
    cut: (commits) => void (toCut += commits),
    get cuts() {
      return cuts;
    },
    async stop() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
