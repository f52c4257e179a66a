import type { Subscriber } from 'rxjs';
import { HandedBackError } from '../errors.ts';
import { branchOf, emittingBelow, isLeft, setParent } from '../rx/chain.ts';
import { current } from '../tickets/current.ts';
import { Ticket } from '../tickets/Ticket.ts';
import type { Demand } from './Demand.ts';
import type { Outlet } from './Outlet.ts';

/**
 * The item of an outer stream that an inner stream works on. Its ticket is kept while a source inside works, and by what is
 * subscribed there at the end of that, which `repeat`, `retry` and `concat` do.
 */
export class ParentItem {
  readonly ticket: Ticket;
  /** The subscriber that the inner stream ends with; or, where that cannot be told, the one that a source begins with. */
  readonly #stream: Subscriber<never>;
  /** Where the results of the inner stream go, as do those of other items; undefined: that cannot be told. */
  readonly #joint: Subscriber<never> | undefined;
  /** Where the item waits if the inner stream is given up. */
  readonly #demand: Demand;
  #working = 0;
  #held = true;
  #cutShort = false;

  /** `ticket` comes with a reference. */
  private constructor(
    ticket: Ticket,
    stream: Subscriber<never>,
    joint: Subscriber<never> | undefined,
    demand: Demand,
  ) {
    this.ticket = ticket;
    this.#stream = stream;
    this.#joint = joint;
    this.#demand = demand;
    setParent(stream, this);
  }

  /**
   * That of a source or stage which is subscribed now. Where it comes later than in the call of an item, it is also one of
   * those that wait; no program can tell which, so it is all of them.
   */
  static of({ demand, inner, subscriber }: Outlet<never>): ParentItem | undefined {
    const { ticket } = current;
    if (!ticket && !demand.ticketed) return undefined;
    const outer = emittingBelow(subscriber);
    const left = demand.emitting > 0 && demand.emitter?.closed ? demand.emitter : undefined;
    const { end, joint, parent, above } = branchOf(subscriber, outer?.emitter?.subscriber);
    const works = (on: Ticket, stream = end): ParentItem =>
      new ParentItem(on, stream ?? subscriber, joint, outer ?? demand);
    if (ticket && !left) {
      if (parent?.ticket === ticket) return parent;
      // Others work on another item in that stream: it is a group, and the stream of this item is inside.
      return works(ticket.hold(), parent ? above : end);
    }
    const before = parent ?? (left?.joint?.closed ? undefined : left?.parent);
    if (!inner && ticket !== undefined && !before) return undefined;
    const waiting = demand.unclaimedTickets();
    if (parent) waiting.push(parent.ticket.hold());
    else if (ticket && before && before.#feeds(subscriber)) waiting.push(ticket.hold());
    const [first] = waiting;
    if (!first) return undefined;
    return works(waiting.length > 1 ? Ticket.group(waiting) : first, parent ? parent.#stream : end);
  }

  /** Whether a subscriber is below the inner stream, so works on what that has given; not beside it, on another item. */
  #feeds(subscriber: Subscriber<never>): boolean {
    const { joint } = branchOf(subscriber, this.#joint);
    return joint !== undefined && joint !== this.#joint;
  }

  /** Not settled yet: what is subscribed now may be counted to it. */
  get isOpen(): boolean {
    return !this.ticket.isSettled;
  }

  /** Somebody inside begins; `claims`: a source, which says so to the emitter of the item. */
  enter(claims: boolean): void {
    this.#working++;
    if (!this.#held) this.ticket.hold();
    this.#held = true;
    this.#cutShort = false; // it goes on in the place of what was
    if (claims) this.ticket.claims++;
  }

  /** The same has ended; `cutShort`: by an error, or by being given up. */
  leave(cutShort: boolean): void {
    this.#working--;
    if (cutShort) this.#cutShort = true;
    if (this.#working > 0) return;
    this.#held = false;
    const { ended, failure } = this.#demand;
    if (!this.#cutShort) this.ticket.release();
    else if (ended || this.#isLeftByAnother()) {
      this.ticket.release(failure ?? new HandedBackError('sluice', 'the flow was stopped'));
    } else {
      // Given up by a native operator (`switchMap`, `takeUntil`), or replaced: as an item that such an operator swallows.
      this.#demand.defer(this.ticket);
      this.ticket.release();
    }
  }

  /** Another item has just made a native operator (`retry`, `catchError`) leave all that is above. */
  #isLeftByAnother(): boolean {
    const { emitting, emitter } = this.#demand;
    return emitting > 0 && emitter !== undefined && emitter.parent !== this && isLeft(emitter.subscriber);
  }

  /** It was not done, so it has to be given again. */
  handBack(reason: unknown): void {
    this.ticket.hold().release(reason);
  }
}
