import { Observable, type MonoTypeOperatorFunction, type Subscriber, type Subscription } from 'rxjs';
import { after, now } from '../src/clock.ts';
import { Stage } from '../src/demand/Stage.ts';
import { HandedBackError } from '../src/errors.ts';
import type { StageIdentity } from '../src/metrics/StageMeter.ts';
import { atLeast, callable, given, nonEmpty, wholeNumber } from '../src/options.ts';
import { RingQueue } from '../src/queue/RingQueue.ts';
import { TokenBuckets } from '../src/rate/TokenBuckets.ts';
import { under } from '../src/tickets/current.ts';
import type { Ticket } from '../src/tickets/Ticket.ts';
import { atOnce } from '../src/work/isPromiseLike.ts';

export interface RateLimitOptions<T> {
  /** Items that may leave in `perMs`, on average. Whole number, 1 or more. */
  readonly limit: number;
  /** Milliseconds, 1 or more. */
  readonly perMs: number;
  /** Items that may leave at once after a pause. Whole number, 1 or more. @defaultValue Math.ceil(limit / perMs) */
  readonly burst?: number;
  /** The limit holds for each key on its own. @defaultValue no keys */
  readonly by?: (value: T) => unknown;
  /** Items that may wait for their turn, those of all keys together. Whole number, 1 or more. @defaultValue 1 */
  readonly maxWaiting?: number;
  /** Name in reports and messages. @defaultValue 'rateLimit' */
  readonly name?: string;
}

/**
 * Lets `limit` items pass in `perMs`, a token bucket; it waits, and closes demand instead of buffering.
 *
 *     source         abcd|
 *     output         a--b--c--(d|)
 *     source.pulled  12-3--4
 *     rateLimit({ limit: 1, perMs: 3 })
 *
 * - **Emits when** the key of an item has a token and the stage below has room: evenly spaced, or up to `burst` at once
 *   after a pause. No stretch of `perMs` ever has more than `limit + burst - 1` items of a key.
 * - **Waits when** `maxWaiting` items wait for a token: its demand is closed then. Of one key they leave in order;
 *   items of other keys overtake them. Over a source that cannot wait the line grows, and is counted.
 * - **Drops** nothing.
 * - **Completes when** the source has completed and every item is delivered; draining keeps to the limit, too.
 * - **Errors when** the source errors, after what it holds is delivered; or `by` throws.
 * - **Unsubscribing** hands back what waits. Each subscription begins with full buckets.
 *
 * Spacing evenly is the default, where many limiters let `limit` items go at once: nobody knows when the window of a server
 * begins, and `limit` items at the end of one with `limit` at the start of the next are twice what it allows. Say `burst`
 * where the server takes more at once.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 * @see `throttleTime` of RxJS, which drops what comes too fast.
 */
export function rateLimit<T>(options: RateLimitOptions<T>): MonoTypeOperatorFunction<T> {
  const { limit, perMs } = given(options);
  wholeNumber('rateLimit: limit', limit, 1);
  atLeast('rateLimit: perMs', perMs, 1);
  const { burst = Math.ceil(limit / perMs), by, maxWaiting = 1, name = 'rateLimit' } = options;
  wholeNumber('rateLimit: burst', burst, 1);
  if (by !== undefined) callable('rateLimit: by', by);
  wholeNumber('rateLimit: maxWaiting', maxWaiting, 1);
  nonEmpty('rateLimit: name', name);
  const identity = { operator: 'rateLimit', name, slots: 0 };
  return (source) =>
    new Observable((subscriber) => {
      const buckets = new TokenBuckets(limit, perMs, burst);
      new RateStage(identity, subscriber, buckets, maxWaiting, by).connect(source, subscriber);
    });
}

/** An item that waits for a token of its key. */
interface Waiting<T> {
  readonly value: T;
  readonly ticket: Ticket | null;
}

class RateStage<T> extends Stage<T, T> {
  readonly #buckets: TokenBuckets;
  readonly #by: ((value: T) => unknown) | undefined;
  /** What waits, by key; a line that is empty is forgotten. */
  readonly #lines = new Map<unknown, RingQueue<Waiting<T>>>();
  /** Since when items wait for a token, up to when that time is counted. */
  #shortSince: number | undefined;
  #timer: Subscription | undefined;
  #timerAt = Infinity;

  constructor(
    identity: StageIdentity,
    subscriber: Subscriber<T>,
    buckets: TokenBuckets,
    maxWaiting: number,
    by: ((value: T) => unknown) | undefined,
  ) {
    super(identity, subscriber, maxWaiting);
    this.#buckets = buckets;
    this.#by = by;
  }

  protected override accept(value: T, ticket: Ticket | null): void {
    let key: unknown;
    try {
      const by = this.#by;
      key = by && under(null, () => by(value));
      atOnce(this.name, 'by', key);
      if (this.over) throw new HandedBackError(this.name, 'the flow was stopped while its key was asked for');
    } catch (error) {
      this.demand.held--;
      this.fail(error);
      this.leave(value, ticket, error);
      return;
    }
    let line = this.#lines.get(key);
    if (!line) this.#lines.set(key, (line = new RingQueue()));
    line.push({ value, ticket });
    this.deliver();
  }

  protected override emitNext(): boolean {
    const next = this.#earliest();
    if (!next) return false;
    const [key, line, dueAt] = next;
    const at = now();
    this.#count(at);
    if (at < dueAt) {
      this.#shortSince = at;
      this.#wakeAt(dueAt, at);
      return false;
    }
    this.#shortSince = undefined;
    if (!this.out.ready()) return false;
    this.#buckets.take(key, at);
    const { value, ticket } = line.take();
    if (line.size === 0) this.#lines.delete(key);
    this.meter.emitted++;
    this.out.emit(value, ticket);
    this.meter.out++;
    if (ticket !== null) ticket.release();
    if (!this.dead) this.demand.release();
    return true;
  }

  protected override idle(): boolean {
    return this.#lines.size === 0;
  }

  protected override abandon(reason: unknown, keepFinished: boolean): void {
    if (keepFinished) return; // what waits was accepted, and there is no work to abort
    this.#timer?.unsubscribe();
    for (const line of this.#lines.values()) {
      while (line.size > 0) {
        const { value, ticket } = line.take();
        this.leave(value, ticket, reason);
      }
    }
    this.#lines.clear();
  }

  override countTime(): void {
    this.#count(now());
  }

  #count(at: number): void {
    if (this.#shortSince === undefined) return;
    this.meter.shortMs += at - this.#shortSince;
    this.#shortSince = at;
  }

  /** The key whose first item may leave before those of all others, its line, and when that is. */
  #earliest(): readonly [key: unknown, line: RingQueue<Waiting<T>>, dueAt: number] | undefined {
    let earliest: readonly [unknown, RingQueue<Waiting<T>>, number] | undefined;
    for (const [key, line] of this.#lines) {
      const dueAt = this.#buckets.dueAt(key);
      if (!earliest || dueAt < earliest[2]) earliest = [key, line, dueAt];
    }
    return earliest;
  }

  /** A host timer counts whole milliseconds and may be early by a part of one: then it is set again. */
  #wakeAt(dueAt: number, at: number): void {
    if (this.#timer && this.#timerAt <= dueAt) return;
    this.#timer?.unsubscribe();
    this.#timerAt = dueAt;
    this.#timer = after(Math.ceil(dueAt - at), () => {
      this.#timer = undefined;
      this.deliver();
    });
  }
}
