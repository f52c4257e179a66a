import type { Subscriber } from 'rxjs';
import { HandedBackError } from '../errors.ts';
import {
  emittingBelow,
  firstOf,
  junctionOf,
  setStream,
  streamBelow,
  streamOf,
  type Junction,
} from '../rx/chain.ts';
import { current } from '../tickets/current.ts';
import { Ticket } from '../tickets/Ticket.ts';
import type { Demand } from './Demand.ts';
import type { Outlet } from './Outlet.ts';

/** An inner stream of a native operator (`concatMap`, `switchMap`). */
export class InnerStream {
  /** Its own last subscriber. */
  readonly end: Subscriber<never> | undefined;
  /** The one below. When that is closed, it is not this stream alone that was left. */
  readonly joint: Subscriber<never>;
  /** The emitter of the item that it is made for. */
  readonly within: Outlet<never>;
  /** What is done in it is done for this item, or for all of those that it may be. Without a reference of its own. */
  #works: Ticket | undefined = undefined;

  constructor({ end, joint }: Junction, within: Outlet<never>) {
    this.end = end;
    this.joint = joint;
    this.within = within;
  }

  /** What is done in it is done for this, which is not settled yet. */
  get open(): Ticket | undefined {
    return this.#works?.isSettled ? undefined : this.#works;
  }

  /** Somebody begins to work in it. */
  begin(works: Ticket | undefined): void {
    this.#works = works;
    if (this.end) setStream(this.end, this);
  }
}

/** Where in a chain a source or stage is subscribed, and for which item of an outer stream it works, if for any. */
export class Place {
  /** The innermost stream that it is in. */
  readonly stream: InnerStream | undefined;
  /** It works on an item that was accepted already, so does not obey `draining`. */
  readonly inner: boolean;
  /** What it works on: an item of an outer stream, or all of those that it may be. Not settled before its own end. */
  works: Ticket | undefined = undefined;
  readonly #demand: Demand;
  /** What it works on: the item in whose call it is subscribed, one that native operators hold, or either. */
  readonly #on: 'item' | 'held' | 'either';
  /** It has a reference to `works`. */
  #holds = false;

  private constructor(
    demand: Demand,
    inner: boolean,
    on: 'item' | 'held' | 'either',
    stream: InnerStream | undefined,
  ) {
    this.#demand = demand;
    this.inner = inner;
    this.#on = on;
    this.stream = stream;
  }

  /** That of a subscriber above `demand`, the nearest one. */
  static of(subscriber: Subscriber<never>, demand: Demand): Place {
    const emitting = emittingBelow(subscriber);
    const emitter = emitting?.emitter;
    if (!emitter) return new Place(demand, false, 'either', streamBelow(subscriber));
    const inner = emitting === demand;
    const above = (trunk: Subscriber<never>, on: 'item' | 'either'): Place => {
      const junction = junctionOf(subscriber, trunk);
      return new Place(demand, inner, on, junction && new InnerStream(junction, emitter));
    };
    if (!emitter.closed) return above(emitter.subscriber, emitter.ending ? 'either' : 'item');
    // In the call of one that has ended, or was left, comes what takes the place of that, or of a stream that it was in.
    for (let left: Place = emitter.place; left.stream; left = left.stream.within.place) {
      const { end, joint, within } = left.stream;
      if (joint.closed) continue;
      const found = firstOf(subscriber, (link) => link === end || link === joint);
      if (!found) return above(joint, 'either');
      const known = found.joint === end ? left.stream : found.end && streamOf(found.end);
      return new Place(demand, inner && left.inner, 'held', known ?? new InnerStream(found, within));
    }
    return new Place(demand, false, 'held', undefined);
  }

  /** Begins to work; `claims`: a source, which says so to the emitter of the item, and not a stage. */
  begin(claims: boolean): Ticket | undefined {
    const { stream } = this;
    const { ticket } = current;
    const before = stream?.open;
    if (!ticket && !before && !this.#demand.ticketed) return undefined;
    const found: Ticket[] = [];
    if (before) found.push(before);
    if (ticket && this.#on !== 'held') found.push(ticket);
    for (const each of found) {
      each.hold();
      if (claims) each.claims++;
    }
    // Or it is one of those that wait; no program can tell which.
    const mayWait = stream ? !ticket || this.#on !== 'item' : ticket === undefined && this.#on === 'either';
    if (mayWait) found.push(...this.home.unclaimedTickets());
    this.works = found.length > 1 ? Ticket.group(found) : found[0];
    this.#holds = this.works !== undefined;
    if (!before) stream?.begin(this.works);
    return this.works;
  }

  /** Goes on with that until its own end, by which something may be subscribed that belongs to the same item. */
  keep(): void {
    if (this.#holds || !this.works) return;
    if (this.works.isSettled) this.works = this.stream?.open;
    this.works?.hold();
    this.#holds = this.works !== undefined;
  }

  /** Ends it: answers what it has worked on, with its reference, the first time. */
  end(): Ticket | undefined {
    const works = this.#holds ? this.works : undefined;
    this.#holds = false;
    return works;
  }

  /** What it works on will not be done, so it has to be given again. */
  handBack(reason: () => unknown): void {
    if (this.#holds) this.works?.hold().release(reason());
  }

  /** Gives back what it has worked on; `cutShort`: by an error, or a teardown. */
  leave(cutShort: boolean, works = this.end()): void {
    if (!works) return;
    const { home } = this;
    if (!cutShort) works.release();
    else if (home.ended || this.isLeft || !home.owner) {
      works.release(home.failure ?? new HandedBackError('sluice', 'the flow was stopped'));
    } else {
      // Given up by a native operator (`switchMap`, `takeUntil`), or replaced: as an item that such an operator swallows.
      home.defer(works);
      works.release();
    }
  }

  /** Where the items wait of which it may work on one. */
  get home(): Demand {
    return this.stream?.within.demand ?? this.#demand;
  }

  /** All that is above has been left, not only the stream that it is in. */
  get isLeft(): boolean {
    if (!this.stream) return this.#demand.isLeft;
    let stream: InnerStream | undefined = this.stream;
    while (stream?.joint.closed) ({ stream } = stream.within.place);
    return !stream;
  }
}
