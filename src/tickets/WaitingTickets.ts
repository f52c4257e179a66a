import type { Ticket } from './Ticket.ts';
import type { TicketBook } from './TicketBook.ts';

/**
 * The tickets of one emitter whose items neither reached a stage nor were dropped on purpose: filtered natively, or
 * held. They are never acknowledged on their own; they ride on the next claimed ticket, or on the emitter's end.
 */
export class WaitingTickets {
  readonly #tickets = new Set<Ticket>();

  get size(): number {
    return this.#tickets.size;
  }

  /** Adds a ticket, with a reference of its own; answers in whose book more wait now than may. */
  add(ticket: Ticket): TicketBook | undefined {
    if (this.#tickets.has(ticket)) return undefined; // another part of an item that waits already
    this.#tickets.add(ticket.hold());
    return bookedIn(ticket);
  }

  /** Takes all of them out; each comes with its reference. */
  take(): Ticket[] {
    const tickets = [...this.#tickets];
    for (const ticket of tickets) for (const item of ticket.items()) item.book?.remove(item);
    this.#tickets.clear();
    return tickets;
  }

  /** A reference to each more: for a stranger that may be working on any of them. */
  holdAll(): Ticket[] {
    return [...this.#tickets].map((ticket) => ticket.hold());
  }
}

/** Puts a ticket that waits into the books of its items; answers which of them is too full now. */
export function bookedIn(ticket: Ticket): TicketBook | undefined {
  let full: TicketBook | undefined;
  for (const item of ticket.items()) if (item.book?.add(item)) full = item.book;
  return full;
}
