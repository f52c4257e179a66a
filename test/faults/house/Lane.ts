import type { Socket } from 'node:net';

/** What happens to the bytes of one direction. Absent: nothing. */
export interface LaneFaults {
  /** Milliseconds on the way. */
  readonly latencyMs?: number;
  /** Milliseconds by which the latency differs at most, up or down. The order of the bytes stays. */
  readonly jitterMs?: number;
  readonly bytesPerSecond?: number;
  /** Bytes in one write at most. */
  readonly sliceBytes?: number;
  /** Bytes of one connection that pass; what comes after is lost, and the connection closed as if all had been said. */
  readonly limitBytes?: number;
  /** Swallows everything. What was on the way does not come later: the direction stays dead for its connection. */
  readonly blackHole?: boolean;
  /** Milliseconds by which the end of the direction comes late. */
  readonly slowCloseMs?: number;
}

interface Parcel {
  /** Absent: the end of the direction. */
  readonly bytes?: Buffer;
  readonly dueAt: number;
}

/** Bytes that one direction holds before it stops reading. */
const maxHeldBytes = 256 * 1_024;

const until = (time: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, time - performance.now()));

export interface LaneHooks {
  readonly faults: () => LaneFaults;
  readonly random: () => number;
  /** Sees each chunk as it comes; `false` swallows it. */
  readonly onBytes: (bytes: Buffer) => boolean;
  /** Resets both sides. */
  readonly reset: () => void;
}

/** One direction of a connection: takes bytes from one socket, and has them arrive at the other. */
export class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #hooks: LaneHooks;
  readonly #line: Parcel[] = [];
  #heldBytes = 0;
  #passedBytes = 0;
  #running = false;
  #dead = false;
  /** The sender has gone, and nobody has heard of it. */
  #unheard = false;
  /** When the last byte was sent, at the bandwidth. */
  #freeAt = 0;

  constructor(from: Socket, to: Socket, hooks: LaneHooks) {
    this.#from = from;
    this.#to = to;
    this.#hooks = hooks;
    from.on('data', (bytes: Buffer) => {
      this.#dead ||= this.#swallows;
      if (!this.#dead && hooks.onBytes(bytes)) this.#take(bytes);
    });
    from.on('end', () => {
      if (this.#dead || this.#swallows) this.#gone();
      else this.#take(undefined);
    });
    from.on('error', () => {
      this.#gone();
    });
  }

  /** Called when the network is back: who speaks to somebody who has gone hears of it. */
  healed(): void {
    if (this.#unheard) this.#hooks.reset();
  }

  /** It has swallowed something, or said all that it may. */
  get dead(): boolean {
    return this.#dead;
  }

  get #swallows(): boolean {
    return this.#hooks.faults().blackHole === true;
  }

  #gone(): void {
    if (this.#swallows) this.#unheard = true;
    else this.#hooks.reset();
  }

  #take(bytes: Buffer | undefined): void {
    const { latencyMs = 0, jitterMs = 0, slowCloseMs = 0 } = this.#hooks.faults();
    const onTheWay = Math.max(0, latencyMs + (this.#hooks.random() * 2 - 1) * jitterMs);
    const dueAt = performance.now() + onTheWay + (bytes === undefined ? slowCloseMs : 0);
    this.#line.push(bytes === undefined ? { dueAt } : { bytes, dueAt });
    this.#heldBytes += bytes?.length ?? 0;
    if (this.#heldBytes > maxHeldBytes) this.#from.pause();
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let parcel = this.#line.shift(); parcel !== undefined; parcel = this.#line.shift()) {
      if (parcel.dueAt > performance.now()) await until(parcel.dueAt);
      if (parcel.bytes === undefined) this.#to.end();
      else await this.#send(parcel.bytes);
      this.#heldBytes -= parcel.bytes?.length ?? 0;
      if (this.#heldBytes <= maxHeldBytes) this.#from.resume();
    }
    this.#running = false;
  }

  async #send(bytes: Buffer): Promise<void> {
    const { bytesPerSecond, sliceBytes = bytes.length, limitBytes = Infinity } = this.#hooks.faults();
    for (let start = 0; start < bytes.length && !this.#dead && !this.#to.destroyed;) {
      const room = Math.min(sliceBytes, limitBytes - this.#passedBytes);
      const slice = bytes.subarray(start, start + room);
      if (bytesPerSecond !== undefined) await this.#atBandwidth(slice.length, bytesPerSecond);
      start += slice.length;
      this.#passedBytes += slice.length;
      await this.#write(slice);
      if (this.#passedBytes >= limitBytes) {
        this.#dead = true;
        this.#to.end();
        this.#from.destroy();
      }
      // Slices leave one by one: written in one turn, they would arrive as one.
      if (start < bytes.length) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #atBandwidth(length: number, bytesPerSecond: number): Promise<void> {
    const now = performance.now();
    this.#freeAt = Math.max(now, this.#freeAt) + (length * 1_000) / bytesPerSecond;
    if (this.#freeAt > now) await until(this.#freeAt);
  }

  /** Waits while the receiver does not read, and no longer than it lives. */
  #write(slice: Buffer): Promise<void> {
    return new Promise((resolve) => {
      if (this.#to.write(slice) || this.#to.destroyed) {
        resolve();
        return;
      }
      const go = (): void => {
        this.#to.off('drain', go);
        this.#to.off('close', go);
        resolve();
      };
      this.#to.on('drain', go);
      this.#to.on('close', go);
    });
  }
}
