import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { install } from '@sinonjs/fake-timers';

/** What must not be replaced: the network needs it. */
const realTurn = setImmediate;

/** All sockets of this process that are open; both ends of each connection are among them. */
function watchSockets() {
  const sockets = new Set<Socket>();
  const add = (message: unknown): void => {
    const { socket } = message as { readonly socket: Socket };
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  const channels = ['net.client.socket', 'net.server.socket'];
  for (const channel of channels) subscribe(channel, add);
  const stop = (): void => {
    for (const channel of channels) unsubscribe(channel, add);
  };
  return { sockets, stop };
}

/** The other ends of sockets. */
const others = new WeakMap<Socket, Socket>();

function otherEndOf(socket: Socket, sockets: ReadonlySet<Socket>): Socket | undefined {
  let other = others.get(socket);
  if (other !== undefined) return other;
  const { localPort, remotePort } = socket;
  for (const one of sockets) {
    if (!one.connecting && one.localPort === remotePort && one.remotePort === localPort) other = one;
  }
  if (other !== undefined) others.set(socket, other);
  return other;
}

/** Whether nothing is on its way: each end has read what the other one has written. */
function isQuiet(sockets: ReadonlySet<Socket>): boolean {
  for (const socket of sockets) {
    if (socket.connecting) return false;
    const other = otherEndOf(socket, sockets);
    if (other === undefined || !sockets.has(other) || other.bytesRead !== socket.bytesWritten) return false;
  }
  return true;
}

/** Turns of the event loop after which what was read has been acted upon. */
const turns = 3;
/** Turns without a timer or a byte, after which nothing will happen any more. */
const deadTurns = 10_000;

/**
 * Runs `body` over real sockets of this process in virtual time: it stands still while anything is on its way, and goes on to
 * the next timer when both ends wait. So how busy the machine is changes nothing, and to wait costs nothing.
 */
export async function inVirtualTime<R>(body: () => Promise<R>): Promise<R> {
  const { sockets, stop } = watchSockets();
  const clock = install({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
    now: Date.now(),
  });
  try {
    let over = false;
    const result = body().finally(() => {
      over = true;
    });
    result.catch(() => undefined);
    for (let quiet = 0; !over; quiet = isQuiet(sockets) ? quiet + 1 : 0) {
      if (quiet >= turns && clock.countTimers() > 0) {
        clock.next();
        quiet = 0;
      }
      if (quiet > deadTurns) throw new Error('virtual time: both ends wait, and no timer is set');
      await new Promise((resolve) => realTurn(resolve));
    }
    return await result;
  } finally {
    clock.uninstall();
    stop();
  }
}
