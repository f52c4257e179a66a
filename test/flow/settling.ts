import { vi } from 'vitest';

/** A promise with its two ends outside. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((...ends) => {
    [resolve, reject] = ends;
  });
  return { promise, resolve, reject };
}

/** Lets everything happen that needs no time: promise callbacks and timers of 0 ms, under fake timers. */
export async function settle(ms = 0): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

/** Waits `ms` on the (fake) clock. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** An endless generator that says how many were pulled and whether it was closed. */
export class Endless {
  pulled = 0;
  closed = false;

  *[Symbol.iterator](): Generator<number, void> {
    try {
      for (;;) yield this.pulled++;
    } finally {
      this.closed = true;
    }
  }
}
