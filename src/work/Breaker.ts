import type { Subscription } from 'rxjs';
import { after, now } from '../clock.ts';

/** The state of a circuit breaker, and the line of those that wait for it to close. */
export class Breaker {
  readonly #maxFailures: number;
  readonly #openMs: number;
  readonly #waiting = new Set<(pass: number) => void>();
  #state: 'closed' | 'open' | 'trying' = 'closed';
  /** How often it has opened: what was let in before says nothing of now. */
  #opened = 0;
  #failures = 0;
  #triesAt = 0;
  #timer: Subscription | undefined;

  constructor(maxFailures: number, openMs: number) {
    this.#maxFailures = maxFailures;
    this.#openMs = openMs;
  }

  /** Milliseconds until one may be tried. */
  get remainingMs(): number {
    return this.#state === 'closed' ? 0 : Math.max(0, this.#triesAt - now());
  }

  /** A pass, to tell the outcome with; undefined: not now, or not before those who wait. */
  enter(): number | undefined {
    return this.#waiting.size > 0 ? undefined : this.#pass();
  }

  #pass(): number | undefined {
    if (this.#state === 'open' && now() >= this.#triesAt) this.#state = 'trying';
    else if (this.#state !== 'closed') return undefined;
    return this.#opened;
  }

  /** Calls `go` with a pass when there is one, first come, first served; the result leaves the line. */
  wait(go: (pass: number) => void): () => void {
    this.#waiting.add(go);
    if (this.#state === 'open') this.#await();
    return () => {
      this.#waiting.delete(go);
      if (this.#waiting.size === 0) this.#stopTimer(); // nobody waits, and nothing keeps the process
    };
  }

  succeeded(pass: number): void {
    if (pass !== this.#opened) return;
    this.#failures = 0;
    if (this.isTrying) this.#close();
  }

  #close(): void {
    this.#state = 'closed';
    this.#admit();
  }

  /** One is tried. */
  get isTrying(): boolean {
    return this.#state === 'trying';
  }

  /**
   * What is tried has a result that waits, perhaps for one of those in the line: they are let in. Where it fails after
   * all, it opens again.
   */
  answered(pass: number): void {
    if (pass !== this.#opened || !this.isTrying) return;
    this.#failures = this.#maxFailures - 1;
    this.#close();
  }

  failed(pass: number): void {
    if (pass !== this.#opened) return;
    if (this.#state === 'closed' && ++this.#failures < this.#maxFailures) return;
    this.#state = 'open';
    this.#opened++;
    this.#failures = 0;
    this.#triesAt = now() + this.#openMs;
    this.#await();
  }

  /** Its work is over. If it was tried and told nothing, the next one is. */
  left(pass: number): void {
    if (this.#state !== 'trying' || pass !== this.#opened) return;
    this.#state = 'open';
    this.#admit();
  }

  #admit(): void {
    this.#stopTimer();
    // Those who come meanwhile are the last of them.
    for (const go of this.#waiting) {
      const pass = this.#pass();
      if (pass === undefined) break;
      this.#waiting.delete(go);
      go(pass);
    }
    if (this.#state === 'open') this.#await();
  }

  #await(): void {
    if (this.#waiting.size === 0) return;
    this.#timer ??= after(this.remainingMs, () => {
      this.#timer = undefined;
      this.#admit();
    });
  }

  #stopTimer(): void {
    this.#timer?.unsubscribe();
    this.#timer = undefined;
  }
}
