import type { Subscriber } from 'rxjs';
import { HandedBackError } from '../errors.ts';
import { emittingBelow, endOfBranch, parentBelow, setParent } from '../rx/chain.ts';
import { current } from '../tickets/current.ts';
import { Ticket } from '../tickets/Ticket.ts';
import type { Demand } from './Demand.ts';
import type { Outlet } from './Outlet.ts';

/**
 * The item of an outer stream that an inner stream works on. A source inside keeps its ticket until the inner stream ends,
 * so that it covers what is subscribed there later as well, by `repeat`, `retry` or `concat`.
 */
export class ParentItem {
  readonly ticket: Ticket;
  /** The subscriber that the inner stream ends with. */
  readonly #stream: Subscriber<never>;
  /** That cannot be told, so it is the one that a single source was subscribed with. */
  readonly #guessed: boolean;
  /** Where the item waits if the inner stream is given up. */
  readonly #demand: Demand;
  #working = 0;
  #held = true;
  #kept = false;
  #cutShort = false;

  /** `ticket` comes with a reference. */
  private constructor(ticket: Ticket, stream: Subscriber<never>, guessed: boolean, demand: Demand) {
    this.ticket = ticket;
    this.#stream = stream;
    this.#guessed = guessed;
    this.#demand = demand;
    setParent(stream, this);
  }

  /**
   * That of a source or stage which is subscribed now. Where it comes later than in the call of an item, or by the end of
   * another inner stream, it is one of those that wait; no program can tell which, so it is all of them.
   */
  static of({ demand, inner, subscriber }: Outlet<never>): ParentItem | undefined {
    if (!current.ticket && !demand.ticketed) return undefined;
    const outer = emittingBelow(subscriber);
    const stream = outer?.emitter && endOfBranch(subscriber, outer.emitter.subscriber);
    const known = parentBelow(subscriber, stream);
    if (known) return known;
    const works = (ticket: Ticket): ParentItem =>
      new ParentItem(ticket, stream ?? subscriber, !stream, outer ?? demand);
    const left = demand.emitting > 0 && demand.emitter?.closed ? demand.emitter : undefined;
    if (current.ticket && !left) return works(current.ticket.hold());
    const before = left?.parent;
    if (!inner && current.ticket !== undefined && !before) return undefined;
    const waiting = demand.unclaimedTickets();
    if (before?.isOpen && before.#guessed) waiting.push(before.ticket.hold());
    const [first] = waiting;
    return first && works(waiting.length > 1 ? Ticket.group(waiting) : first);
  }

  /** Not settled yet: what is subscribed now may be counted to it. */
  get isOpen(): boolean {
    return !this.ticket.isSettled;
  }

  /** Somebody inside begins; `keeps`: a source, for which it is kept until the inner stream ends. */
  enter(keeps: boolean): void {
    this.#working++;
    if (!this.#held) this.ticket.hold();
    this.#held = true;
    if (!keeps) return;
    this.ticket.claims++;
    if (this.#kept) return;
    this.#kept = true;
    this.#stream.add(() => {
      this.#releaseIfOver();
    });
  }

  /** The same has ended; `cutShort`: by an error or a teardown, which counts if the inner stream ends with it. */
  leave(cutShort: boolean): void {
    this.#working--;
    if (cutShort && this.#stream.closed) this.#cutShort = true;
    this.#releaseIfOver();
  }

  /** It was not done, so it has to be given again. */
  handBack(reason: unknown): void {
    this.ticket.hold().release(reason);
  }

  #releaseIfOver(): void {
    if (!this.#held || this.#working > 0 || (this.#kept && !this.#stream.closed)) return;
    this.#held = false;
    const { ended, failure } = this.#demand;
    if (!this.#cutShort) this.ticket.release();
    else if (ended) this.ticket.release(failure ?? new HandedBackError('sluice', 'the flow was stopped'));
    else {
      // Given up by a native operator (`switchMap`, `takeUntil`), or replaced: as an item that such an operator swallows.
      this.#demand.defer(this.ticket);
      this.ticket.release();
    }
  }
}
