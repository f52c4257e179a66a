import type { Subscription } from 'rxjs';
import { after, now } from '../clock.ts';
import { inThisContext } from './asyncContext.ts';

/** One in the line. */
interface Waiting {
  readonly go: (pass: number) => void;
  /** Says that it may be its turn. */
  call: () => void;
}

/** The state of a circuit breaker, and the line of those that wait for it to close. */
export class Breaker {
  readonly #maxFailures: number;
  readonly #openMs: number;
  readonly #waiting = new Set<Waiting>();
  /** The first of them, where it was called: it comes in an async context of its own, and then the line goes on. */
  #called: Waiting | undefined;
  #admitting = false;
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

  get #isCalled(): boolean {
    return this.#called !== undefined;
  }

  get #lets(): boolean {
    return this.#state === 'closed' || (this.#state === 'open' && now() >= this.#triesAt);
  }

  #pass(): number | undefined {
    if (!this.#lets) return undefined;
    if (this.#state === 'open') this.#state = 'trying';
    return this.#opened;
  }

  /** Calls `go` with a pass when there is one, first come, first served, in the async context of now; the result leaves the line. */
  wait(go: (pass: number) => void): () => void {
    const waiting: Waiting = { go, call: () => undefined };
    this.#listen(waiting);
    this.#waiting.add(waiting);
    if (this.#state === 'open') this.#await();
    return () => {
      this.#waiting.delete(waiting);
      if (this.#waiting.size === 0) this.#stopTimer(); // nobody waits, and nothing keeps the process
      if (this.#called !== waiting) return;
      this.#called = undefined;
      this.#admit();
    };
  }

  #listen(waiting: Waiting): void {
    waiting.call = inThisContext(() => {
      if (this.#called !== waiting) return; // it has left
      this.#called = undefined;
      const pass = this.#pass();
      if (pass === undefined)
        this.#listen(waiting); // somebody has failed since it was called
      else {
        this.#waiting.delete(waiting);
        waiting.go(pass);
      }
      this.#admit();
    });
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

  /** Calls those who wait, one after the other: each starts before it is known whether the next one may. */
  #admit(): void {
    if (this.#admitting || this.#isCalled) return;
    this.#stopTimer();
    this.#admitting = true;
    // Those who come meanwhile are the last of them.
    for (const waiting of this.#waiting) {
      if (!this.#lets) break;
      this.#called = waiting;
      waiting.call();
      if (this.#isCalled) break;
    }
    this.#admitting = false;
    if (this.#state === 'open' && !this.#isCalled) this.#await();
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
