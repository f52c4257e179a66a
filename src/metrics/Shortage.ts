import { now } from '../clock.ts';

/** How long there was too little of something, in all. */
export class Shortage {
  #ms = 0;
  #since: number | undefined;

  /** Milliseconds up to now. */
  get ms(): number {
    return this.#since === undefined ? this.#ms : this.#ms + now() - this.#since;
  }

  /** Whether there is too little, from now on. */
  note(short: boolean): void {
    if (short === (this.#since !== undefined)) return;
    this.#ms = this.ms;
    this.#since = short ? now() : undefined;
  }
}
