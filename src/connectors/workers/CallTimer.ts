import type { Subscription } from 'rxjs';
import { after } from '../../clock.ts';
import { TimeoutError } from '../../errors.ts';

/** What a thread may take to start and to load its module, in milliseconds, where a call has less time than that. */
const START_MS = 10_000;

/** The time of one call, which begins when a thread begins it: that threads are replaced costs no item its time. */
export class CallTimer {
  readonly #timeoutMs: number;
  readonly #expire: (error: TimeoutError) => void;
  #timer: Subscription;
  #over = false;

  constructor(timeoutMs: number, expire: (error: TimeoutError) => void) {
    this.#timeoutMs = timeoutMs;
    this.#expire = expire;
    this.#timer = this.#after(Math.max(timeoutMs, START_MS), 'WorkerThreads: a thread that starts');
  }

  begin(): void {
    if (this.#over) return;
    this.#timer.unsubscribe();
    this.#timer = this.#after(this.#timeoutMs, 'WorkerThreads');
  }

  stop(): void {
    this.#over = true;
    this.#timer.unsubscribe();
  }

  #after(ms: number, what: string): Subscription {
    return after(ms, () => {
      this.#over = true;
      this.#expire(new TimeoutError(what, ms));
    });
  }
}
