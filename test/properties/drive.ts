import { vi } from 'vitest';

/** The real one: a turn of the event loop lets every promise callback happen, and takes no time. */
const turnOfTheLoop = setImmediate;

/** Goes from timer to timer of the fake clock, with all promise callbacks in between. Stops where nothing is left to happen. */
export async function drive(ended: () => boolean): Promise<void> {
  for (let step = 0; step < 20_000; step++) {
    await new Promise((resolve) => turnOfTheLoop(resolve));
    if (ended() || vi.getTimerCount() === 0) return;
    vi.advanceTimersToNextTimer();
  }
}

/** A wait of the fake clock. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
