import { vi } from 'vitest';

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
