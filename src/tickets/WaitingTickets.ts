import { Ticket } from './Ticket.ts';
import type { TicketBook } from './TicketBook.ts';

/**
 * The tickets of one emitter whose items neither reached a stage nor were dropped on purpose: filtered natively, or
 * held. They are never acknowledged on their own; they ride on the next claimed ticket, or on the emitter's end.
 */
export class WaitingTickets {
  /** In the order in which they came. */
  #tickets: Set<Ticket> | undefined;
  /** One ticket for all of them, with their references. */
  #all: Ticket | undefined;

  get size(): number {
    return this.#tickets?.size ?? 0;
  }

  /** Adds a ticket, with a reference of its own; answers in whose book more wait now than may, or all that there is room for. */
  add(ticket: Ticket): TicketBook | undefined {
    if (this.#tickets?.has(ticket)) return undefined; // another part of an item that waits already
    this.#add(ticket);
    const books = new Set<TicketBook>();
    for (const item of ticket.items()) {
      item.book?.add(item);
      if (item.book) books.add(item.book);
    }
    return [...books].find((book) => this.size > book.maxWaiting || book.isFull);
  }

  /** A reference to all of them: for the next that comes, or for a stranger that may be working on any of them. */
  hold(): Ticket | undefined {
    return this.#all?.hold();
  }

  /** The first `count` of them do not wait any more; a `failure`: they are handed back. */
  release(count: number, failure?: unknown): void {
    const gone = this.#all;
    const tickets = [...(this.#tickets ?? [])];
    this.#all = this.#tickets = undefined;
    for (const ticket of tickets.splice(0, count)) for (const item of ticket.items()) item.book?.remove(item);
    for (const ticket of tickets) this.#add(ticket);
    gone?.release(failure);
  }

  #add(ticket: Ticket): void {
    this.#tickets ??= new Set(); // most emitters have none that waits
    this.#tickets.add(ticket);
    this.#all = this.#all ? Ticket.group([this.#all, ticket.hold()]) : ticket.hold();
  }
}
