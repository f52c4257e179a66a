import type { Ticket } from './Ticket.ts';

/**
 * The tickets of one emitter whose items neither reached a stage nor were dropped on purpose: filtered natively, or
 * held. They are never acknowledged on their own; they ride on the next claimed ticket, or on the emitter's end.
 */
export class WaitingTickets {
  readonly #tickets = new Set<Ticket>();

  get size(): number {
    return this.#tickets.size;
  }

  /** Adds a ticket, with a reference of its own; answers whether more wait now than may. */
  add(ticket: Ticket): boolean {
    const { book } = ticket;
    if (this.#tickets.has(ticket)) return false; // another part of an item that waits already
    this.#tickets.add(ticket.hold());
    if (!book) return false;
    book.waiting += ticket.size;
    return book.waiting > book.maxWaiting;
  }

  /** Takes all of them out; each comes with its reference. */
  take(): Ticket[] {
    const tickets = [...this.#tickets];
    this.#tickets.clear();
    for (const { book, size } of tickets) if (book) book.waiting -= size;
    return tickets;
  }

  /** A reference to each more: for a stranger that may be working on any of them. */
  holdAll(): Ticket[] {
    return [...this.#tickets].map((ticket) => ticket.hold());
  }
}
