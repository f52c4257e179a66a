/** Counters of one source, over all subscriptions to it in one run. */
export class SourceMeter {
  /** Items that it has delivered into the flow. */
  items = 0;
  readonly name: string;
  readonly #now: () => number;
  /** Pulls that are pending. */
  #pending = 0;
  #since = 0;
  #waitedMs = 0;

  constructor(name: string, now: () => number) {
    this.name = name;
    this.#now = now;
  }

  /** Milliseconds, up to now, in which a pull was pending. */
  get waitedMs(): number {
    return this.#pending === 0 ? this.#waitedMs : this.#waitedMs + this.#now() - this.#since;
  }

  /** A pull begins. */
  pulls(): void {
    if (this.#pending++ === 0) this.#since = this.#now();
  }

  /** A pull has ended, or nobody waits for it any more. */
  pulled(): void {
    if (--this.#pending === 0) this.#waitedMs += this.#now() - this.#since;
  }
}
