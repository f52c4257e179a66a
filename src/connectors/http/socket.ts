import { isIP, type Socket } from 'node:net';
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
  phase: 'dns' | 'connect' | 'tls' | 'headers';
  connected: boolean;
  /** The host has answered its request. */
  answered: boolean;
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
  /** Whether the host may not be asked at this moment. */
  readonly isHeld: () => boolean;
  /** The server, the time limit or a failure has closed the connection. */
  readonly onClosed: (socket: HttpSocket) => void;
}

/** What a request fails with whose connection was made when the host had just asked for a pause: it was not sent. */
export const heldBack = new Error('the host has asked for a pause');

/** A socket that connects when it is given a request. */
export function newSocket(
  origin: string,
  { connect, keepAliveMs, room, isHeld, onClosed }: HttpSocketOptions,
): HttpSocket {
  const client = new Client(origin, {
    connect: (options, callback) => {
      void room.then(() => {
        if (client.destroyed) return;
        const pending = connect(options, (...result) => {
          socket.pending = undefined;
          const [error] = result;
          if (error !== null) {
            callback(error, null);
          } else if (isHeld()) {
            pending.destroy();
            callback(heldBack, null);
          } else {
            socket.phase = 'headers';
            callback(...result);
          }
        });
        socket.pending = pending;
        watchPhase(socket, options);
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
  const socket: HttpSocket = {
    client,
    origin,
    phase: 'connect',
    connected: false,
    answered: true,
    pending: undefined,
  };
  client.on('connect', () => {
    socket.connected = true;
  });
  client.on('disconnect', () => {
    socket.connected = false;
    onClosed(socket);
  });
  return socket;
}

/** Keeps `phase` while the connection is made. */
function watchPhase(socket: HttpSocket, { hostname, protocol }: buildConnector.Options): void {
  socket.phase = isIP(hostname.replace(/^\[|\]$/g, '')) > 0 ? 'connect' : 'dns';
  socket.pending?.once('lookup', (error: Error | null) => {
    if (error === null) socket.phase = 'connect';
  });
  if (protocol === 'https:') {
    socket.pending?.once('connect', () => {
      socket.phase = 'tls';
    });
  }
}

/** Closes it at once; whatever waits for it fails with `reason`. */
export async function close({ client, pending }: HttpSocket, reason: Error): Promise<void> {
  const destroyed = client.destroy(reason);
  pending?.destroy(reason);
  await destroyed;
}
