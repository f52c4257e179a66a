import type { Subscriber } from 'rxjs';
import {
  HandedBackError,
  reasonOf,
  TicketHeldError,
  TicketUnclaimedError,
  UnclaimedError,
} from '../errors.ts';
import { demandBelow, endingsBelow, operatorsOnStack, type Endings } from '../rx/chain.ts';
import { current } from '../tickets/current.ts';
import { Ticket } from '../tickets/Ticket.ts';
import type { TicketBook } from '../tickets/TicketBook.ts';
import { WaitingTickets } from '../tickets/WaitingTickets.ts';
import { Demand, UNLIMITED } from './Demand.ts';
import { Place } from './Place.ts';

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
  /** A Demand was found below. */
  readonly linked: boolean;
  readonly place: Place;
  readonly waiting = new WaitingTickets();
  readonly subscriber: Subscriber<T>;
  /** How it has ended, or does so now. */
  ending: 'complete' | 'error' | undefined = undefined;
  /** In an acknowledged flow: how what is between here and the stage below has ended. */
  #endings: Endings | undefined;
  /** Read once, where it is needed: which native operators stand between. It holds what was on the stack, until the end. */
  #subscribedAt: Error | undefined;
  #turn = false;
  /** Unclaimed in a row, and the claims of the Demand when the row began. */
  #row = 0;
  #claimsAtRow = -1;

  constructor(subscriber: Subscriber<T>, emitter: Emitter) {
    this.subscriber = subscriber;
    this.emitter = emitter;
    const below = demandBelow(subscriber);
    this.linked = below !== undefined;
    this.demand = below ?? new Demand(UNLIMITED);
    this.place = Place.of(subscriber, this.demand);
    if (below?.owner && !this.inner) this.#subscribedAt = operatorsOnStack.capture();
    this.demand.attach(this);
  }

  get closed(): boolean {
    return this.subscriber.closed;
  }

  /** It works on an item that was accepted already, so does not obey `draining`. */
  get inner(): boolean {
    return this.place.inner;
  }

  /** An acknowledged source stands above, or beside it. */
  announced(): void {
    if (!this.place.stream) this.#endings ??= endingsBelow(this.subscriber, 'demand');
  }

  /** A native operator below has thrown, and all that is above it was left for that. */
  get hasFailed(): boolean {
    const { stream } = this.place;
    if (!stream) return this.#endings?.failed === true;
    return stream.joint.closed && stream.within.hasFailed;
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

  /** Emits one item under its ticket, of which the caller keeps its reference; then looks what became of it. */
  emit(value: T, ticket: Ticket | null): void {
    if (ticket === null && !this.demand.ticketed) this.#call(value, null);
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
      this.subscriber.next(value);
    } finally {
      demand.emitting--;
      if (emitter !== this && demand.emitting > 0) demand.emitter = emitter;
      if (outerTicket !== ticket) current.ticket = outerTicket;
    }
    if (demand.claims === claims && demand.owner !== undefined) this.#unclaimed(value);
  }

  #emitTicketed(value: T, ticket: Ticket | null): void {
    const { waiting } = this;
    const before = waiting.size;
    const under = this.#under(ticket);
    if (under === null) {
      this.#call(value, null);
      return;
    }
    const { claims, drops } = under;
    this.#call(value, under);
    if (under.claims !== claims) {
      if (before > 0) this.#release(before);
      // Left in the middle of what a native operator takes apart: nobody knows which of its items or parts got through.
      const isCut = this.closed && (under.size > 1 || this.hasFailed);
      under.release(isCut ? this.#left() : undefined);
      return;
    }
    if (ticket !== null && under.drops === drops && this.demand.ticketed) this.wait(ticket);
    under.release();
  }

  /** The ticket of an item, with those of all that may come in the same call: what waits here (`bufferCount`), or beside it (`zip`). */
  #under(ticket: Ticket | null): Ticket | null {
    const { demand, place, waiting } = this;
    const own = waiting.hold();
    const beside = place.stream ? [] : demand.waitingBeside(waiting);
    if (!own && beside.length === 0) return ticket === null ? null : ticket.hold();
    const members = [...beside, own, ticket?.hold()].filter((each) => each !== undefined);
    return new Ticket(ticket?.size ?? 0, undefined, undefined, undefined, members);
  }

  /** Completes, under a ticket that carries those still waiting: `reduce` and its like emit inside this call. */
  complete(): void {
    const { demand, place, waiting } = this;
    if (this.closed) {
      this.detach();
      return;
    }
    const tail = waiting.hold();
    if (tail) this.#release(waiting.size);
    const works = place.end();
    const under = this.#under(tail ?? works ?? null);
    const claims = under?.claims;
    this.ending = 'complete';
    this.#end(under, () => {
      this.subscriber.complete();
    });
    under?.release();
    place.leave(false, works);
    if (!tail) return;
    if (this.hasFailed) tail.release(this.#left());
    else if (under?.claims !== claims || !demand.owner) tail.release();
    else demand.addTail(tail);
  }

  /** Errors; what waits unclaimed is handed back. What comes in its place may work on the same item. */
  error(error: unknown): void {
    const { place } = this;
    this.handBack(reasonOf(error));
    const works = place.end();
    const { claims, drops } = works ?? {};
    this.ending = 'error';
    this.#end(works ?? null, () => {
      this.subscriber.error(error);
    });
    place.leave(works?.claims === claims && works?.drops === drops, works);
  }

  /** Leaves the line and the Demand; what waits unclaimed is handed back. */
  detach(reason?: unknown): void {
    this.#subscribedAt = undefined;
    if (this.waiting.size > 0) this.handBack(reason ?? this.#stopped());
    this.demand.detach(this);
    const { place } = this;
    if (place.stream && this.ending !== 'complete' && place.isLeft) place.home.handBackTails(this.#stopped());
  }

  #release(count: number, failure?: unknown): void {
    this.waiting.release(count, failure);
    if (this.waiting.size === 0) this.demand.unclaimedOf.delete(this.waiting);
  }

  handBack(reason: unknown): void {
    if (this.waiting.size > 0) this.#release(this.waiting.size, reason);
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
    const full = this.waiting.add(ticket);
    if (!this.place.stream) demand.unclaimedOf.add(this.waiting);
    if (full) {
      this.tooManyWait(full);
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
  tooManyWait({ held }: TicketBook): void {
    const error = new TicketHeldError(this.demand.owner?.name ?? '', held);
    this.handBack(error);
    this.emitter.fail(error);
  }

  #stopped(): HandedBackError {
    return new HandedBackError('sluice', 'the flow was stopped');
  }

  #left(): HandedBackError {
    return new HandedBackError(this.demand.owner?.name ?? '', 'the flow ended while the item was on its way');
  }

  #between(): string {
    const names = this.#subscribedAt ? operatorsOnStack.names(this.#subscribedAt) : [];
    return names.length > 0 ? ` (between them: ${names.join(', ')})` : '';
  }
}
