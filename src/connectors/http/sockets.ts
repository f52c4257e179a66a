import { WaitingLine } from '../WaitingLine.ts';
import { close, newConnector, newSocket, type HttpSocket } from './socket.ts';

interface Origin {
  /** Free connections; the one used last is taken first, so that the others may time out. */
  readonly idle: HttpSocket[];
  readonly line: WaitingLine<Waiting>;
  /** Connections that are busy, idle or being destroyed. */
  size: number;
}

interface Waiting {
  /** Grows by one with each that comes: the smallest one at the head of a line has waited longest. */
  readonly turn: number;
  readonly serve: (socket: HttpSocket) => void;
}

/** A place in the line, and the way to leave it. */
export interface Claim {
  readonly socket: Promise<HttpSocket>;
  /** Leaves the line; `false` if a socket has been given already. */
  leave(): boolean;
}

export interface SocketLimits {
  readonly maxConnections: number;
  readonly maxPerHost: number;
  readonly keepAliveMs: number;
}

/**
 * Sockets, at most `maxConnections` in all and `maxPerHost` for one origin, idle ones included. Who has waited longest is
 * served first, but nobody waits behind a line that only another origin's limit holds up. Where the total is reached, an
 * idle socket of another origin is closed to make room.
 */
export class HttpSockets {
  readonly #limits: SocketLimits;
  readonly #origins = new Map<string, Origin>();
  readonly #connect = newConnector();
  #size = 0;
  #busy = 0;
  #turns = 0;

  constructor(limits: SocketLimits) {
    this.#limits = limits;
  }

  get open(): number {
    return this.#size;
  }

  get busy(): number {
    return this.#busy;
  }

  get waiting(): number {
    let waiting = 0;
    for (const { line } of this.#origins.values()) waiting += line.size;
    return waiting;
  }

  claim(origin: string): Claim {
    let served = false;
    let leaveLine = (): void => undefined;
    const socket = new Promise<HttpSocket>((resolve) => {
      const serve = (given: HttpSocket): void => {
        served = true;
        resolve(given);
      };
      leaveLine = this.#origin(origin).line.join({ turn: this.#turns++, serve });
    });
    this.#serve();
    const leave = (): boolean => {
      leaveLine();
      this.#forgetIfEmpty(origin);
      return !served;
    };
    return { socket, leave };
  }

  /** Gives a socket back whose answer was read to its end. */
  release(socket: HttpSocket): void {
    this.#busy -= 1;
    if (socket.connected) {
      this.#origin(socket.origin).idle.push(socket);
    } else {
      void socket.client.destroy();
      this.#drop(socket);
    }
    this.#serve();
  }

  /** Gives a socket back in any other state. Its place is free once it is closed. */
  async destroy(socket: HttpSocket, reason: Error): Promise<void> {
    await close(socket, reason);
    this.#busy -= 1;
    this.#drop(socket);
    this.#serve();
  }

  /** Closes what is idle. */
  async destroyIdle(reason: Error): Promise<void> {
    const idle = [...this.#origins.values()].flatMap((origin) => origin.idle.splice(0));
    await Promise.all(
      idle.map(async (socket) => {
        await close(socket, reason);
        this.#drop(socket);
      }),
    );
  }

  #serve(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const [name, origin] = next;
      const socket = origin.idle.pop() ?? this.#create(name, origin);
      this.#busy += 1;
      socket.phase = socket.connected ? 'headers' : 'connect';
      origin.line.take()!.serve(socket);
    }
  }

  /**
   * The origin whose head of the line has waited longest, of those that may have a socket now. Who needs another origin's
   * socket closed lets up to `maxConnections` younger ones go first: with several origins at the limit, the sockets would
   * otherwise be closed and made anew for almost every request.
   */
  #next(): [string, Origin] | undefined {
    const { maxConnections, maxPerHost } = this.#limits;
    const full = this.#size >= maxConnections;
    let best: [string, Origin] | undefined;
    let bestRank = Infinity;
    for (const entry of this.#origins) {
      const { line, idle, size } = entry[1];
      const first = line.first();
      if (first === undefined) continue;
      const mustEvict = idle.length === 0 && full;
      if (idle.length === 0 && (size >= maxPerHost || (full && this.#evictable() === undefined))) continue;
      const rank = mustEvict ? first.turn + maxConnections : first.turn;
      if (rank < bestRank) {
        best = entry;
        bestRank = rank;
      }
    }
    return best;
  }

  /** An idle socket that may go: of its origin, the one that has been idle longest. */
  #evictable(): HttpSocket | undefined {
    for (const { idle } of this.#origins.values()) if (idle.length > 0) return idle[0];
    return undefined;
  }

  #create(name: string, origin: Origin): HttpSocket {
    let evicted = Promise.resolve();
    if (this.#size >= this.#limits.maxConnections) {
      const idle = this.#evictable()!;
      this.#origin(idle.origin).idle.shift();
      evicted = close(idle, new Error('evicted'));
      this.#drop(idle);
    }
    origin.size += 1;
    this.#size += 1;
    const onClosed = (socket: HttpSocket): void => this.#forgetIdle(socket);
    return newSocket(name, {
      connect: this.#connect,
      keepAliveMs: this.#limits.keepAliveMs,
      room: evicted,
      onClosed,
    });
  }

  /** The server, or the time limit, has closed a socket that nobody uses. */
  #forgetIdle(socket: HttpSocket): void {
    const idle = this.#origins.get(socket.origin)?.idle;
    const place = idle?.indexOf(socket) ?? -1;
    if (place < 0) return;
    idle!.splice(place, 1);
    void socket.client.destroy();
    this.#drop(socket);
    this.#serve();
  }

  #drop(socket: HttpSocket): void {
    this.#size -= 1;
    this.#origin(socket.origin).size -= 1;
    this.#forgetIfEmpty(socket.origin);
  }

  #origin(name: string): Origin {
    let origin = this.#origins.get(name);
    if (origin === undefined) {
      origin = { idle: [], line: new WaitingLine(), size: 0 };
      this.#origins.set(name, origin);
    }
    return origin;
  }

  #forgetIfEmpty(name: string): void {
    const origin = this.#origins.get(name);
    if (origin?.size === 0 && origin.line.size === 0) this.#origins.delete(name);
  }
}
