import { now } from '../clock.ts';
import type { CountedConnections } from './connections.ts';

/** Which stage: made once per call of an operator, so that subscribing again goes on counting where it was. */
export interface StageIdentity {
  /** The operator's name. */
  readonly operator: string;
  /** The name that the user gave, or the operator's. */
  readonly name: string;
  /** Items it can work on at once, from its next subscription; 0: it does no work of its own. */
  readonly slots: number;
  /** What its work, or its sink, takes connections from. */
  readonly connections?: CountedConnections | undefined;
}

/** Items are timed one by one up to this many, then one in `TIMED_EVERY`, a power of two. */
const TIMED_ALL = 1_024;
const TIMED_EVERY = 64;

/** A stage, as far as its meter reads it while it runs. */
interface Gauged {
  readonly demand: { readonly open: boolean; readonly unclaimed: number; readonly late: number };
  /** Slots in use. */
  readonly active: number;
  /** Items that wait for a slot, or for room below. */
  readonly waiting: number;
  /** Counts the time, up to now, of what is at work or short. */
  countTime(): void;
}

/**
 * Counters of one stage. At every instant `in = out + rejected + dropped + dead + held`, all in input items.
 * Busy and blocked time are added up over slots, from every item at first and then from a sample.
 */
export class StageMeter {
  in = 0;
  out = 0;
  emitted = 0;
  rejected = 0;
  dropped = 0;
  dead = 0;
  retried = 0;
  overruns = 0;
  stored = 0;
  /** Milliseconds that slots spent at work. */
  busyMs = 0;
  /** Milliseconds that finished results waited for the stage below. */
  blockedMs = 0;
  /** Milliseconds in which items waited since its rate let none through. */
  shortMs = 0;
  name: string;
  readonly identity: StageIdentity;
  readonly #startedAt: number;
  #slots: number;
  /** Slot time that was offered beyond what the slots of now would have been all the time, in milliseconds. */
  #beyondMs = 0;
  /** The stages that run now: one, or, inside items, as many as there are items. */
  readonly stages = new Set<Gauged>();
  #unclaimedBefore = 0;
  #lateBefore = 0;

  /** `startedAt`: since when its slots count. */
  constructor(identity: StageIdentity, startedAt = now()) {
    this.identity = identity;
    this.name = identity.name;
    this.#startedAt = startedAt;
    this.#slots = identity.slots;
  }

  get held(): number {
    return this.in - this.out - this.rejected - this.dropped - this.dead;
  }

  /** Emissions towards the stage that did not arrive, and were not dropped by an operator of ours. */
  get unclaimed(): number {
    return this.#unclaimedBefore + this.#sum((stage) => stage.demand.unclaimed);
  }

  /** Items that arrived later than they were emitted. */
  get late(): number {
    return this.#lateBefore + this.#sum((stage) => stage.demand.late);
  }

  /** Items it can work on at once, now. */
  get slots(): number {
    return this.#slots;
  }

  /** The time that its slots offered in the first `elapsedMs`, added up over slots, in milliseconds. */
  slotMs(elapsedMs: number): number {
    return this.#slots * elapsedMs + this.#beyondMs;
  }

  /** It has another number of slots from now on. */
  resize(slots: number): void {
    if (slots === this.#slots) return;
    this.#beyondMs += (this.#slots - slots) * (now() - this.#startedAt);
    this.#slots = slots;
  }

  /** Counts the time up to now of what else is counted when it ends. */
  countTime(): void {
    for (const stage of this.stages) stage.countTime();
  }

  get active(): number {
    return this.#sum((stage) => stage.active);
  }

  get waiting(): number {
    return this.#sum((stage) => stage.waiting);
  }

  /** The stage is subscribed to once more. */
  watch(stage: Gauged): void {
    this.resize(this.identity.slots);
    this.stages.add(stage);
  }

  /** That subscription is over: what it counted is kept. */
  leave(stage: Gauged): void {
    if (!this.stages.delete(stage)) return;
    this.#unclaimedBefore += stage.demand.unclaimed;
    this.#lateBefore += stage.demand.late;
  }

  #sum(count: (stage: Gauged) => number): number {
    let total = 0;
    for (const stage of this.stages) total += count(stage);
    return total;
  }

  /** How many items this one stands for when it is timed; 0: it is not timed. */
  static weight(index: number): number {
    if (index < TIMED_ALL) return 1;
    return (index & (TIMED_EVERY - 1)) === 0 ? TIMED_EVERY : 0;
  }
}
