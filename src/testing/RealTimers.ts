import { caller } from './frames.ts';
import { builtin } from './platform.ts';

/**
 * Tells of timers that do not go by the virtual clock: `AbortSignal.timeout` or `node:timers` taken before the clock was
 * installed. Nothing is told in a browser, which has no such hooks.
 */
export class RealTimers {
  /** What was started, and by whom. */
  readonly found: string[] = [];
  readonly #store: { run<R>(store: boolean, run: () => R): R; getStore(): boolean | undefined } | undefined;
  readonly #hook: { disable(): unknown } | undefined;

  constructor() {
    const hooks = builtin('node:async_hooks');
    if (!hooks) return;
    const store = new hooks.AsyncLocalStorage<boolean>();
    this.#store = store;
    this.#hook = hooks
      .createHook({
        init: (_id, type) => {
          if ((type === 'Timeout' || type === 'Immediate') && store.getStore()) this.#tell(type);
        },
      })
      .enable();
  }

  /** Calls `run`, watching it and all that it sets off. */
  watch<R>(run: () => R): R {
    return this.#store ? this.#store.run(true, run) : run();
  }

  /** Calls `run` without watching it. */
  ignore<R>(run: () => R): R {
    return this.#store ? this.#store.run(false, run) : run();
  }

  disable(): void {
    this.#hook?.disable();
  }

  #tell(type: 'Timeout' | 'Immediate'): void {
    const at = new Error();
    const stack = at.stack ?? '';
    let what = type === 'Timeout' ? 'setTimeout or setInterval' : 'setImmediate';
    if (stack.includes('internal/abort_controller')) what = 'AbortSignal.timeout';
    else if (stack.includes('timers/promises')) what = `${what} of node:timers/promises`;
    this.found.push(`${what}${caller(at)}`);
  }
}
