import type { Socket } from 'node:net';
import { buildConnector, Client } from 'undici';

/**
 * One connection: an undici client, which owns at most one socket at a time, and of which we use one request at a time.
 * undici's own `Pool` and `Agent` are not used: their line has no bound, they cannot limit the total, and a request that
 * waits in them, or for a connection, cannot be withdrawn.
 */
export interface HttpSocket {
  readonly client: Client;
  readonly origin: string;
  /** What its request waits for. */
  phase: 'connect' | 'headers';
  connected: boolean;
  /** A connection in the making, which undici does not destroy by itself. */
  pending: Socket | undefined;
}

/** Makes TCP and TLS connections. undici's type does not tell of the socket that it returns. */
export type Connector = (...args: Parameters<buildConnector.connector>) => Socket;

/** One connector for all sockets: it remembers TLS sessions. Without a timeout: the attempt has its deadline. */
export const newConnector = (): Connector =>
  buildConnector({ allowH2: false, timeout: 0 }) as unknown as Connector;

export interface HttpSocketOptions {
  readonly connect: Connector;
  readonly keepAliveMs: number;
  /** Settles when the connection may be made. */
  readonly room: Promise<void>;
  /** The server, the time limit or a failure has closed the connection. */
  readonly onClosed: (socket: HttpSocket) => void;
}

/** A socket that connects when it is given a request. */
export function newSocket(
  origin: string,
  { connect, keepAliveMs, room, onClosed }: HttpSocketOptions,
): HttpSocket {
  const client = new Client(origin, {
    connect: (options, callback) => {
      socket.phase = 'connect';
      void room.then(() => {
        if (client.destroyed) return;
        socket.pending = connect(options, (...result) => {
          socket.pending = undefined;
          if (result[0] === null) socket.phase = 'headers';
          callback(...result);
        });
      });
    },
    allowH2: false,
    pipelining: 1,
    // The deadline of the attempt is the one that counts.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: keepAliveMs,
  });
  const socket: HttpSocket = { client, origin, phase: 'connect', connected: false, pending: undefined };
  client.on('connect', () => {
    socket.connected = true;
  });
  client.on('disconnect', () => {
    socket.connected = false;
    onClosed(socket);
  });
  return socket;
}

/** Closes it at once; whatever waits for it fails with `reason`. */
export async function close({ client, pending }: HttpSocket, reason: Error): Promise<void> {
  const destroyed = client.destroy(reason);
  pending?.destroy(reason);
  await destroyed;
}
