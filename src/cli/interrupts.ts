import { Interrupted } from './failures.ts';

/** Signals this close together are one: npm passes on the Ctrl-C that the terminal has sent to us already. */
const sameMs = 300;

/** SIGINT and SIGTERM: the first drains, a later one aborts. */
export class Interrupts {
  readonly #drain = new AbortController();
  readonly #abort = new AbortController();
  #firstAt: number | undefined;
  readonly #listener = (): void => {
    const at = performance.now();
    if (this.#firstAt === undefined) {
      this.#firstAt = at;
      this.#drain.abort(new Interrupted());
    } else if (at - this.#firstAt > sameMs) {
      this.#abort.abort(new Interrupted());
    }
  };

  constructor() {
    process.on('SIGINT', this.#listener);
    process.on('SIGTERM', this.#listener);
  }

  get drain(): AbortSignal {
    return this.#drain.signal;
  }

  get abort(): AbortSignal {
    return this.#abort.signal;
  }

  /** The promise, or a rejection with `Interrupted` at the first signal. */
  async orInterrupted<T>(promise: Promise<T>): Promise<T> {
    const interrupted = new Promise<never>((_resolve, reject) => {
      if (this.drain.aborted) reject(new Interrupted());
      this.drain.addEventListener('abort', () => reject(new Interrupted()), { once: true });
    });
    return Promise.race([promise, interrupted]);
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#listener);
    process.off('SIGTERM', this.#listener);
  }
}
