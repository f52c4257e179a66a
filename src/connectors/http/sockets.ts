import { HttpPausedError, type HttpRequestFacts } from '../../errors.ts';
import { warnOf } from '../../flow/Run.ts';
import { Shortage } from '../../metrics/Shortage.ts';
import { LONGEST_TIMER_MS } from '../../options.ts';
import { toldOnly } from '../../work/toldOf.ts';
import { WaitingLine } from '../WaitingLine.ts';
import { Pace } from './Pace.ts';
import type { Advice } from './rateHeaders.ts';
import { close, newConnector, newSocket, type HttpSocket } from './socket.ts';

interface Origin {
  /** Free connections; the one used last is taken first, so that the others may time out. */
  readonly idle: HttpSocket[];
  readonly line: WaitingLine<Waiting>;
  /** Connections that are busy, idle or being destroyed. */
  size: number;
  /** Requests that the host has been given, or is about to be, and has not answered. */
  unanswered: number;
  /** Once the host has said something of how fast it may be asked. */
  pace: Pace | undefined;
  /** Set for when the pace changes. */
  timer: NodeJS.Timeout | undefined;
}

interface Waiting {
  readonly request: HttpRequestFacts;
  /** Grows by one with each that comes: the smallest one at the head of a line has waited longest. */
  readonly turn: number;
  readonly serve: (socket: HttpSocket) => void;
  readonly refuse: (reason: unknown) => void;
}

/** A place in the line, and the way to leave it. */
export interface Claim {
  readonly socket: Promise<HttpSocket>;
  /** Leaves the line; `false` if a socket has been given, or refused, already. */
  leave(): boolean;
}

export interface SocketLimits {
  readonly maxConnections: number;
  readonly maxPerHost: number;
  readonly keepAliveMs: number;
  /** Milliseconds of a pause for which requests wait. */
  readonly maxPauseMs: number;
  /** Milliseconds of a pause that a 429 asks for without a time. */
  readonly pauseMs: number;
  /** Chance: a number from 0 up to 1. */
  readonly random: () => number;
  readonly onPause: ((pause: HttpPause) => void) | undefined;
}

/** A host has asked to be left alone. */
export interface HttpPause {
  readonly origin: string;
  /** Of the answer that said so. */
  readonly status: number;
  readonly forMs: number;
}

/** By these a host says that it is asked too much; their `Retry-After` holds for all that it is asked. */
const tooMuch = new Set([429, 503]);

/**
 * Sockets, at most `maxConnections` in all and `maxPerHost` for one origin, idle ones included. Who has waited longest is
 * served first, but nobody waits behind a line that only another origin's limit, or its pause, holds up. Where the total is
 * reached, an idle socket of another origin is closed to make room.
 */
export class HttpSockets {
  readonly #limits: SocketLimits;
  readonly #origins = new Map<string, Origin>();
  readonly #connect = newConnector();
  readonly #shortage = new Shortage();
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

  /** Milliseconds in which somebody waited for a socket, pauses that hosts ask for apart. */
  get shortMs(): number {
    return this.#shortage.ms;
  }

  /** Joins the line of the request's origin; refused at once where the origin is paused for too long. */
  claim(request: HttpRequestFacts): Claim {
    const { origin } = request;
    let leaveLine = (): boolean => false;
    const socket = new Promise<HttpSocket>((serve, refuse) => {
      leaveLine = this.#origin(origin).line.join({ request, turn: this.#turns++, serve, refuse });
    });
    this.#refuseIfPausedTooLong(this.#origin(origin));
    this.#serve();
    const leave = (): boolean => {
      const left = leaveLine();
      this.#noteShortage();
      this.#forgetIfEmpty(origin);
      return left;
    };
    return { socket, leave };
  }

  /** The end of the last pause of this origin, on the clock of `performance.now()`. It may be past. */
  opensAt(origin: string): number {
    return this.#origins.get(origin)?.pace?.opensAt ?? -Infinity;
  }

  /** Whether the origin has asked for a pause that is not over. */
  isHeld(origin: string): boolean {
    return performance.now() < this.opensAt(origin);
  }

  /** The host has answered, and said this of how fast it may be asked. */
  answered(socket: HttpSocket, status: number, { retryAfterMs, quotas }: Advice): void {
    this.#noLongerUnanswered(socket);
    const askedMs = tooMuch.has(status)
      ? (retryAfterMs ?? (status === 429 ? this.#defaultPause(quotas) : 0))
      : 0;
    const origin = this.#origin(socket.origin);
    if (askedMs > 0 || quotas.length > 0) this.#heed(origin, socket.origin, { status, askedMs, quotas });
    // With a quota, each answer may let the next request go.
    if (origin.pace !== undefined) this.#serve();
  }

  /** Gives a socket back whose answer was read to its end. */
  release(socket: HttpSocket): void {
    this.#busy -= 1;
    this.#noLongerUnanswered(socket);
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
    this.#noLongerUnanswered(socket);
    this.#drop(socket);
    this.#serve();
  }

  /** Closes what is idle, and waits for no pause any more. */
  async destroyIdle(reason: Error): Promise<void> {
    for (const { timer } of this.#origins.values()) clearTimeout(timer);
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
      socket.answered = false;
      origin.unanswered += 1;
      socket.phase = socket.connected ? 'headers' : 'connect';
      origin.line.take()!.serve(socket);
    }
    this.#noteShortage();
  }

  /** Who waits, and not because of a pause, waits for a socket. */
  #noteShortage(): void {
    const at = performance.now();
    let short = false;
    for (const { line, pace, unanswered } of this.#origins.values()) {
      short ||= line.size > 0 && pace?.mayAsk(unanswered, at) !== false;
    }
    this.#shortage.note(short);
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
      const { line, idle, size, pace, unanswered } = entry[1];
      const first = line.first();
      if (first === undefined || pace?.mayAsk(unanswered, performance.now()) === false) continue;
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
      isHeld: () => this.isHeld(name),
      onClosed,
    });
  }

  /** A 429 without a time: until the quota that is used up begins anew, else `pauseMs`. */
  #defaultPause(quotas: Advice['quotas']): number {
    return quotas.some(({ remaining }) => remaining <= 0) ? 0 : this.#limits.pauseMs;
  }

  #heed(
    origin: Origin,
    name: string,
    { status, askedMs, quotas }: { status: number; askedMs: number; quotas: Advice['quotas'] },
  ): void {
    const at = performance.now();
    const pace = (origin.pace ??= new Pace(this.#limits.random));
    const before = pace.askedMs(at);
    if (askedMs > 0) pace.pause(askedMs, at);
    for (const quota of quotas) pace.count(quota, at);
    const forMs = pace.askedMs(at);
    this.#awaitChange(origin, name);
    this.#refuseIfPausedTooLong(origin);
    if (forMs > 0 && forMs > before) this.#tell({ origin: name, status, forMs });
  }

  /** What the user makes of it changes nothing for the request, which may have succeeded: a failure is a warning. */
  #tell(pause: HttpPause): void {
    const { onPause } = this.#limits;
    if (!onPause) return;
    toldOnly(onPause, pause, (error) => {
      warnOf(undefined, 'HttpConnections', 'onPause', error);
    });
  }

  /** Sees to it that the line goes on when the pace changes; nothing waits for that alone. */
  #awaitChange(origin: Origin, name: string): void {
    clearTimeout(origin.timer);
    const at = performance.now();
    const changesAt = origin.pace?.changesAt(at);
    if (changesAt === undefined) {
      this.#forgetIfEmpty(name);
      return;
    }
    // A timer of Node may be early by a part of a millisecond: then it is set again.
    const waitMs = Math.min(Math.ceil(changesAt - at), LONGEST_TIMER_MS);
    origin.timer = setTimeout(() => {
      this.#awaitChange(origin, name);
      this.#serve();
    }, waitMs).unref();
  }

  #refuseIfPausedTooLong({ pace, line }: Origin): void {
    const { maxPauseMs } = this.#limits;
    const askedMs = pace?.askedMs(performance.now()) ?? 0;
    if (askedMs <= maxPauseMs) return;
    for (let next = line.take(); next !== undefined; next = line.take()) {
      next.refuse(new HttpPausedError(next.request, askedMs, maxPauseMs));
    }
  }

  #noLongerUnanswered(socket: HttpSocket): void {
    if (socket.answered) return;
    socket.answered = true;
    this.#origin(socket.origin).unanswered -= 1;
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
      origin = {
        idle: [],
        line: new WaitingLine(),
        size: 0,
        unanswered: 0,
        pace: undefined,
        timer: undefined,
      };
      this.#origins.set(name, origin);
    }
    return origin;
  }

  #forgetIfEmpty(name: string): void {
    const origin = this.#origins.get(name);
    if (origin === undefined || origin.size > 0 || origin.line.size > 0) return;
    if (origin.pace?.changesAt(performance.now()) !== undefined) return;
    clearTimeout(origin.timer);
    this.#origins.delete(name);
  }
}
