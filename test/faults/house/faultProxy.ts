import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Lane, type LaneFaults } from './Lane.ts';

export interface Faults {
  readonly toServer?: LaneFaults;
  readonly toClient?: LaneFaults;
  /** What becomes of a new connection: accepted and left without a word, or reset. Absent: it is made. */
  readonly atConnect?: 'blackHole' | 'reset';
}

export interface Target {
  readonly host: string;
  readonly port: number;
}

interface Pair {
  readonly client: Socket;
  readonly server?: Socket;
  readonly lanes: readonly Lane[];
}

/** A TCP proxy in front of one server, on a free port of 127.0.0.1, that does to connections what networks do. */
export class FaultProxy {
  readonly #target: Target;
  readonly #random: () => number;
  readonly #listener: Server;
  readonly #pairs = new Set<Pair>();
  #faults: Faults = {};
  #lose: { readonly request: string | RegExp; times: number } | undefined;
  /** Connections that clients have asked for. */
  attempts = 0;
  /** Replies that were lost by `loseReplies`. */
  lost = 0;

  /** @param random For the jitter. @defaultValue Math.random */
  static async start(target: Target, random: () => number = Math.random): Promise<FaultProxy> {
    const proxy = new FaultProxy(target, random);
    await once(proxy.#listener.listen(0, '127.0.0.1'), 'listening');
    return proxy;
  }

  private constructor(target: Target, random: () => number) {
    this.#target = target;
    this.#random = random;
    // Half-open, as TCP is: one side may have said all while the other still speaks.
    this.#listener = createServer({ allowHalfOpen: true }, (client) => {
      this.#connect(client);
    });
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Directions of open connections that are dead: what goes in there comes no more, whatever is healed. */
  get dead(): number {
    return [...this.#pairs].flatMap(({ lanes }) => lanes).filter(({ dead }) => dead).length;
  }

  /** The same address, by way of this proxy. */
  through(address: string): string {
    const url = new URL(address);
    url.hostname = '127.0.0.1';
    url.port = String(this.port);
    return url.href;
  }

  /** Replaces all faults, also of connections that are open. */
  set(faults: Faults): void {
    this.#faults = faults;
  }

  /** No more faults. Directions that have swallowed something stay dead; who speaks into a closed connection is told. */
  heal(): void {
    this.#faults = {};
    this.#lose = undefined;
    for (const { lanes } of [...this.#pairs]) for (const lane of lanes) lane.healed();
  }

  /**
   * Passes each request that contains this text, so that the server carries it out; then loses the reply, and resets the
   * connection.
   */
  loseReplies(request: string | RegExp, times = 1): void {
    this.#lose = { request, times };
  }

  /** Resets the connections that are open. */
  reset(): void {
    for (const pair of [...this.#pairs]) reset(pair);
  }

  async stop(): Promise<void> {
    const closed = once(this.#listener, 'close');
    this.#listener.close();
    this.reset();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #connect(client: Socket): void {
    this.attempts += 1;
    const { atConnect } = this.#faults;
    if (atConnect === undefined) {
      this.#join(client);
      return;
    }
    client.on('error', () => undefined);
    if (atConnect === 'reset') client.resetAndDestroy();
    else this.#add({ client: client.resume(), lanes: [] });
  }

  #join(client: Socket): void {
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    let awaited = false;
    const onRequest = (bytes: Buffer): boolean => {
      awaited ||= this.#losesReplyTo(bytes);
      return true;
    };
    const onReply = (): boolean => {
      if (!awaited) return true;
      this.lost += 1;
      reset(pair);
      return false;
    };
    const hooks = { random: this.#random, reset: () => reset(pair) };
    const there = { ...hooks, faults: () => this.#faults.toServer ?? {}, onBytes: onRequest };
    const back = { ...hooks, faults: () => this.#faults.toClient ?? {}, onBytes: onReply };
    const pair: Pair = {
      client,
      server,
      lanes: [new Lane(client, server, there), new Lane(server, client, back)],
    };
    this.#add(pair);
  }

  #add(pair: Pair): void {
    this.#pairs.add(pair);
    for (const side of [pair.client, pair.server]) {
      side?.once('close', () => {
        if (pair.client.closed && pair.server?.closed !== false) this.#pairs.delete(pair);
      });
    }
  }

  #losesReplyTo(bytes: Buffer): boolean {
    const lose = this.#lose;
    if (lose === undefined || lose.times === 0) return false;
    const text = bytes.toString('latin1');
    const found = typeof lose.request === 'string' ? text.includes(lose.request) : lose.request.test(text);
    if (found) lose.times -= 1;
    return found;
  }
}

function reset({ client, server }: Pair): void {
  client.resetAndDestroy();
  server?.resetAndDestroy();
}
