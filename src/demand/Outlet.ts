import type { Subscriber } from 'rxjs';
import {
  HandedBackError,
  reasonOf,
  TicketHeldError,
  TicketUnclaimedError,
  UnclaimedError,
} from '../errors.ts';
import { demandBelow, operatorsOnStack } from '../rx/chain.ts';
import { current } from '../tickets/current.ts';
import { Ticket, type TicketBook } from '../tickets/Ticket.ts';
import { WaitingTickets } from '../tickets/WaitingTickets.ts';
import { Demand, UNLIMITED } from './Demand.ts';

/** Who emits through an Outlet: a source or a stage. Neither call may throw. */
export interface Emitter {
  /** Demand is open and it is this one's turn: emit, begin a pull or finish. */
  resume(): void;
  /** Draining begins. */
  stop(): void;
  /** An acknowledged source beside it waits for its window: let go of what is only being gathered. */
  urged?(): void;
  /** Ends the emitter with an error. */
  fail(error: unknown): void;
}

/** Unclaimed items in a row that are still thought to be filtered, at the least. */
const UNCLAIMED_ROW = 1_000;

/**
 * The one way out of a source or stage: asks the Demand below for its turn, emits under the item's ticket, and looks
 * what became of the item. A step of an emitter is: while there is something to emit and `ready()`, `emit`; then `pass`.
 */
export class Outlet<T> {
  /** Neighbours in the line of those who wait; kept by Demand. */
  before: Outlet<never> | undefined = undefined;
  behind: Outlet<never> | undefined = undefined;
  queued = false;
  /** Asked for another turn during this one. */
  waits = false;
  /** Subscribed again while draining: neither pulls nor completes. */
  parked = false;
  readonly emitter: Emitter;
  readonly demand: Demand;
  /** Works on an item that was accepted already, so does not obey `draining`. */
  readonly inner: boolean;
  /** A Demand was found below. */
  readonly linked: boolean;
  readonly waiting = new WaitingTickets();
  readonly #subscriber: Subscriber<T>;
  /** The ticket that it was subscribed under; undefined: outside of any call of ours. No reference of its own. */
  #under: Ticket | null | undefined;
  /** Subscribed in the call of an emitter that had been left. */
  readonly #inPlace: boolean;
  /** It works on an item from above, or is in the place of one that did. */
  #works: boolean;
  /** Read once, where it is needed: which native operators stand between. It holds what was on the stack, until the end. */
  #subscribedAt: Error | undefined;
  #turn = false;
  /** Unclaimed in a row, and the claims of the Demand when the row began. */
  #row = 0;
  #claimsAtRow = -1;

  constructor(subscriber: Subscriber<T>, emitter: Emitter) {
    this.#subscriber = subscriber;
    this.emitter = emitter;
    const below = demandBelow(subscriber);
    this.linked = below !== undefined;
    this.demand = below ?? new Demand(UNLIMITED);
    this.inner = below?.inner ?? false;
    const { emitter: above, emitting } = this.demand;
    const left = emitting > 0 && above?.closed ? above : undefined;
    this.#inPlace = left !== undefined;
    this.#under = left ? left.#under : current.ticket;
    this.#works = this.inner || (left !== undefined && left.#works);
    if (below?.owner && !this.inner) this.#subscribedAt = operatorsOnStack.capture();
    this.demand.attach(this);
  }

  get closed(): boolean {
    return this.#subscriber.closed;
  }

  /** Whether it may emit now; if not, it is in the line, and `resume` is called when it may. */
  ready(): boolean {
    const { demand } = this;
    const myTurn = this.#turn;
    if (myTurn) this.#turn = false;
    if (demand.open && (myTurn || this.#mayGoFirst())) return true;
    demand.joinLine(this);
    return false;
  }

  /** Ends a step: lets others that wait have their turn. */
  pass(): void {
    this.demand.pump();
  }

  /** Its turn has come. Called by Demand. */
  called(): void {
    this.#turn = true;
    this.emitter.resume();
    this.#turn = false;
  }

  /**
   * The ticket of what it works on, with a reference: of the item in whose call it is subscribed. In the place of an
   * emitter that was left in that call (`retry` and `catchError` do so, and a buffer of inners when one has ended) it is
   * what that one worked on, or one of those that wait; later than in its item's call, one of those that wait. No program
   * can tell which. `claims`: it keeps the ticket until its own end.
   */
  inherit(claims: boolean): Ticket | null {
    const { demand } = this;
    const under = this.#under?.isSettled ? null : this.#under;
    const oneOfThose = under === undefined || (this.#works && (this.#inPlace || under === null));
    const found = demand.ticketed && oneOfThose ? demand.unclaimedTickets() : [];
    if (under) {
      if (claims) under.claims++;
      found.push(under.hold());
    }
    const ticket = found.length > 1 ? Ticket.group(found) : found[0];
    if (!ticket) return null;
    this.#under = ticket;
    this.#works = true;
    return ticket;
  }

  /** Emits one item under its ticket, of which the caller keeps its reference; then looks what became of it. */
  emit(value: T, ticket: Ticket | null): void {
    if (ticket === null) this.#call(value, null);
    else this.#emitTicketed(value, ticket);
  }

  #call(value: T, ticket: Ticket | null): void {
    const { demand } = this;
    const { claims, emitter } = demand;
    const outerTicket = current.ticket;
    if (outerTicket !== ticket) current.ticket = ticket;
    if (emitter !== this) demand.emitter = this;
    demand.emitting++;
    try {
      this.#subscriber.next(value);
    } finally {
      demand.emitting--;
      if (emitter !== this && demand.emitting > 0) demand.emitter = emitter;
      if (outerTicket !== ticket) current.ticket = outerTicket;
    }
    if (demand.claims === claims && demand.owner !== undefined) this.#unclaimed(value);
  }

  #emitTicketed(value: T, ticket: Ticket): void {
    const { claims, drops } = ticket;
    this.#call(value, ticket);
    if (ticket.claims !== claims) {
      if (this.waiting.size > 0) ticket.carry(this.waiting.take());
      // Left in the middle of a batch that a native operator takes apart: nobody knows which of its items got through.
      if (ticket.size > 1 && this.closed) ticket.hold().release(this.#left());
    } else if (ticket.drops === drops && this.demand.ticketed) this.wait(ticket);
  }

  /** Completes, under a ticket that carries those still waiting: `reduce` and its like emit inside this call. */
  complete(): void {
    const { demand } = this;
    if (this.closed) {
      this.detach();
      return;
    }
    const tail = this.waiting.size > 0 ? Ticket.group(this.waiting.take()) : null;
    this.#under = null; // what comes in its place works on something else
    this.#end(tail, () => {
      this.#subscriber.complete();
    });
    if (tail === null) return;
    if (tail.claims > 0 || !demand.owner) tail.release();
    else {
      demand.addTail(tail);
      if (this.inner) demand.limitTails(tail);
    }
  }

  /** Errors; what waits unclaimed is handed back. */
  error(error: unknown, ticket: Ticket | null = null): void {
    this.handBack(reasonOf(error));
    this.#end(ticket, () => {
      this.#subscriber.error(error);
    });
  }

  /** Leaves the line and the Demand; what waits unclaimed is handed back. */
  detach(reason?: unknown): void {
    this.#subscribedAt = undefined;
    if (this.waiting.size > 0) {
      this.handBack(reason ?? new HandedBackError('sluice', 'the flow was stopped'));
    }
    this.demand.detach(this);
  }

  handBack(reason: unknown): void {
    if (this.waiting.size > 0) for (const ticket of this.waiting.take()) ticket.release(reason);
  }

  /** Nobody else waits; while the stage below is subscribing, one whose item was held lets others be subscribed. */
  #mayGoFirst(): boolean {
    const { demand } = this;
    if (!demand.firstInLine(this)) return false;
    return !(demand.subscribing && this.#row > 0 && this.#claimsAtRow === demand.claims);
  }

  /** A terminal call counts as one towards the Demand, so that what it subscribes waits for its turn. */
  #end(ticket: Ticket | null, run: () => void): void {
    const { demand } = this;
    const outerTicket = current.ticket;
    const { emitter } = demand;
    current.ticket = ticket;
    demand.emitter = this;
    demand.emitting++;
    try {
      run();
    } finally {
      demand.emitting--;
      demand.emitter = emitter;
      current.ticket = outerTicket;
    }
    demand.detach(this);
    demand.pump();
  }

  #unclaimed(value: T): void {
    const { demand } = this;
    demand.unclaimed++;
    if (this.closed) demand.owner?.run?.lostOnTheWay(demand.owner.name, value);
    if (demand.claims !== this.#claimsAtRow) this.#row = 0;
    this.#claimsAtRow = demand.claims;
    this.#row++;
    if (demand.declared || this.#row <= Math.max(UNCLAIMED_ROW, 10 * demand.limit)) return;
    const stage = demand.owner?.name ?? '';
    demand.complain(
      'unclaimed',
      () =>
        new UnclaimedError(
          `${stage}: ${this.#row} items in a row did not arrive: a native operator drops or holds them${this.#between()}; ` +
            'use poolMap, or batch, for one that holds, or say that it is meant: stage(name, operator); drops(operator) for a filter',
        ),
    );
  }

  /** An item that neither arrived nor was dropped on purpose: its ticket waits. */
  wait(ticket: Ticket): void {
    const { demand } = this;
    const stage = demand.owner?.name ?? '';
    if (this.closed) {
      ticket.hold().release(this.#left());
      return;
    }
    if (this.waiting.add(ticket)) {
      this.tooManyWait(ticket.book);
      return;
    }
    demand.complain(
      'ticket',
      () =>
        new TicketUnclaimedError(
          `${stage}: an acknowledged item did not arrive within its call${this.#between()}, and is settled with the next ` +
            'that does; use filterOr or drops(operator) for a filter, poolMap for work, batch for a buffer',
        ),
    );
  }

  /** More acknowledged items wait for a ride than may. */
  tooManyWait(book: TicketBook | undefined): void {
    const error = new TicketHeldError(this.demand.owner?.name ?? '', book?.held ?? this.waiting.size);
    this.handBack(error);
    this.emitter.fail(error);
  }

  #left(): HandedBackError {
    return new HandedBackError(this.demand.owner?.name ?? '', 'the flow ended while the item was on its way');
  }

  #between(): string {
    const names = this.#subscribedAt ? operatorsOnStack.names(this.#subscribedAt) : [];
    return names.length > 0 ? ` (between them: ${names.join(', ')})` : '';
  }
}
