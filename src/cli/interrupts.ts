import { Interrupted, RunError } from './failures.ts';

/** Signals this close together are one: npm passes on the Ctrl-C that the terminal has sent to us already. */
const sameMs = 300;

/** SIGINT and SIGTERM: the first drains, a later one aborts. So does that nothing is left which could bring the end. */
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

  /** Node would end the process where it waits, with a code and a warning of its own. */
  readonly #onIdle = (): void => {
    this.#abort.abort(new RunError('it waits for something that will never come'));
  };

  constructor() {
    process.on('SIGINT', this.#listener);
    process.on('SIGTERM', this.#listener);
    process.on('beforeExit', this.#onIdle);
  }

  get drain(): AbortSignal {
    return this.#drain.signal;
  }

  get abort(): AbortSignal {
    return this.#abort.signal;
  }

  /** The promise, or a rejection: with `Interrupted` at the first signal, with `RunError` where it will never settle. */
  async orInterrupted<T>(promise: Promise<T>): Promise<T> {
    const either = AbortSignal.any([this.drain, this.abort]);
    const interrupted = new Promise<never>((_resolve, reject) => {
      const stop = (): void => reject(either.reason as Error);
      if (either.aborted) stop();
      either.addEventListener('abort', stop, { once: true });
    });
    return Promise.race([promise, interrupted]);
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#listener);
    process.off('SIGTERM', this.#listener);
    process.off('beforeExit', this.#onIdle);
  }
}
