import { asyncScheduler, NEVER, timer, map, type Observable } from 'rxjs';
import { TestScheduler, type RunHelpers } from 'rxjs/testing';
import { expect } from 'vitest';

/** Runs a marble test of RxJS's own kind in virtual time: one column is one millisecond. */
export function virtual(test: (helpers: RunHelpers) => void): void {
  new TestScheduler((actual, expected) => {
    expect(actual).toEqual(expected);
  }).run(test);
}

/** The frame that virtual time has reached. */
export function frame(): number {
  return asyncScheduler.now();
}

/** A generator that notes the frame of each pull, and whether it was closed. */
export class Pulls {
  readonly frames: number[] = [];
  returnedAt: number | undefined;
  readonly #count: number;

  constructor(count = Infinity) {
    this.#count = count;
  }

  *[Symbol.iterator](): Generator<number, void> {
    try {
      for (let i = 0; i < this.#count; i++) {
        this.frames.push(frame());
        yield i;
      }
    } finally {
      this.returnedAt = frame();
    }
  }
}

/** Work of one result after `ms`. */
export function taking<T>(ms: number): (value: T) => Observable<T> {
  return (value) => (ms === Infinity ? NEVER : timer(ms).pipe(map(() => value)));
}
