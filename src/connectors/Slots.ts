import { Shortage } from '../metrics/Shortage.ts';
import { WaitingLine } from './WaitingLine.ts';
import { within } from './within.ts';

interface Waiting {
  readonly serve: () => void;
  readonly refuse: (reason: unknown) => void;
}

export interface SlotsOptions {
  /** How many may be in at once. */
  readonly max: number;
  /** For those who come after `close`, or still wait when it is over. */
  readonly closed: () => Error;
  /** How long one may wait, in milliseconds, and the error after that; absent: for ever. */
  readonly patience?: { readonly ms: number; readonly error: () => Error };
}

/** Lets so many in at once, to connections or threads. The others wait, first come, first served, and can leave the line. */
export class Slots {
  readonly #options: SlotsOptions;
  readonly #line = new WaitingLine<Waiting>();
  readonly #shortage = new Shortage();
  /** In use, or promised to the one who is served next. */
  #busy = 0;
  #closing = false;
  #onIdle: (() => void) | undefined;

  constructor(options: SlotsOptions) {
    this.#options = options;
  }

  /** Callers in the line. */
  get waiting(): number {
    return this.#line.size;
  }

  /** Milliseconds in which somebody waited. */
  get shortMs(): number {
    return this.#shortage.ms;
  }

  /** Waits for its turn, until the signal or as long as one may; to be given back by `leave`. */
  async enter(signal: AbortSignal | undefined): Promise<void> {
    const { max, closed, patience } = this.#options;
    if (this.#closing) throw closed();
    signal?.throwIfAborted();
    if (this.#busy < max) {
      this.#busy++;
      return;
    }
    let timer: NodeJS.Timeout | undefined;
    let onAbort: (() => void) | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const leaveLine = this.#line.join({ serve: resolve, refuse: reject });
        this.#noteShortage();
        const refuse = (reason: unknown): void => {
          leaveLine();
          this.#noteShortage();
          reject(reason);
        };
        onAbort = () => refuse(signal?.reason);
        signal?.addEventListener('abort', onAbort, { once: true });
        if (patience) timer = setTimeout(() => refuse(patience.error()), patience.ms);
      });
    } finally {
      clearTimeout(timer);
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
    }
  }

  leave(): void {
    const next = this.#line.take();
    this.#noteShortage();
    if (next !== undefined) {
      next.serve();
      return;
    }
    this.#busy--;
    if (this.#busy === 0) this.#onIdle?.();
  }

  /** Refuses who comes from now on; those inside and in the line have `timeoutMs`, then the line is refused as well. */
  async close(timeoutMs: number): Promise<void> {
    this.#closing = true;
    if (this.#busy > 0) {
      await within(timeoutMs, new Promise<void>((resolve) => (this.#onIdle = resolve)));
    }
    for (let waiting = this.#line.take(); waiting !== undefined; waiting = this.#line.take())
      waiting.refuse(this.#options.closed());
    this.#noteShortage();
  }

  #noteShortage(): void {
    this.#shortage.note(this.#line.size > 0);
  }
}
