import { StageMeter } from './StageMeter.ts';

/** Counters of the sources of one name in one run, over all subscriptions to them. */
export class SourceMeter {
  /** Items that they have delivered into the flow. */
  items = 0;
  pulls = 0;
  /** Milliseconds in which pulls were pending; call `countTime` first. */
  waitedMs = 0;
  readonly name: string;
  readonly now: () => number;
  /** Of the subscriptions that there are now. */
  readonly timers = new Set<PullTimer>();

  constructor(name: string, now: () => number) {
    this.name = name;
    this.now = now;
  }

  /** Adds the time, up to now, of pulls that are pending. */
  countTime(): void {
    for (const timer of this.timers) timer.count();
  }
}

/** Times the pulls of one subscription, of which one is pending at most: each of them at first, and then a sample. */
export class PullTimer {
  readonly meter: SourceMeter;
  #weight = 0;
  #since = 0;
  #countedTo: number;

  constructor(meter: SourceMeter) {
    this.meter = meter;
    this.#countedTo = meter.now();
    meter.timers.add(this);
  }

  begins(): void {
    this.#weight = StageMeter.weight(this.meter.pulls++);
    if (this.#weight > 0) this.#since = this.meter.now();
  }

  ends(): void {
    this.count();
    this.#weight = 0;
  }

  /** A sampled pull stands for others before it, which cannot have taken longer than the time since the one before. */
  count(): void {
    if (this.#weight === 0) return;
    const at = this.meter.now();
    this.meter.waitedMs += Math.min((at - this.#since) * this.#weight, at - this.#countedTo);
    this.#since = this.#countedTo = at;
  }

  /** The subscription is over. */
  leave(): void {
    this.ends();
    this.meter.timers.delete(this);
  }
}
