import type { Ticket } from './Ticket.ts';

/**
 * The tickets of one emitter whose items neither reached a stage nor were dropped on purpose: filtered natively, or
 * held. They are never acknowledged on their own; they ride on the next claimed ticket, or on the emitter's end.
 */
export class WaitingTickets {
  /** Each with the number of items that settle with it, when it began to wait. */
  readonly #tickets = new Map<Ticket, number>();

  get size(): number {
    return this.#tickets.size;
  }

  /** Adds a ticket, with a reference of its own; answers whether more wait now than may. */
  add(ticket: Ticket): boolean {
    const { book } = ticket;
    if (this.#tickets.has(ticket)) return false; // another part of an item that waits already
    const { weight } = ticket;
    this.#tickets.set(ticket.hold(), weight);
    if (!book) return false;
    book.waiting += ticket.size;
    book.held += weight;
    return book.waiting > book.maxWaiting || book.isStuck();
  }

  /** Takes all of them out; each comes with its reference. */
  take(): Ticket[] {
    const tickets = [...this.#tickets.keys()];
    for (const [{ book, size }, weight] of this.#tickets) {
      if (!book) continue;
      book.waiting -= size;
      book.held -= weight;
    }
    this.#tickets.clear();
    return tickets;
  }

  /** A reference to each more: for a stranger that may be working on any of them. */
  holdAll(): Ticket[] {
    return [...this.#tickets.keys()].map((ticket) => ticket.hold());
  }
}
