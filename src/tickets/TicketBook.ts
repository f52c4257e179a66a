import type { Ticket } from './Ticket.ts';

/** What an acknowledged source keeps of its items that wait for a ride. */
export class TicketBook {
  /** Told of what will be handed back, as soon as one of its parts is. */
  readonly failing: ((origin: unknown) => void) | undefined;
  readonly #window: number;
  readonly #maxWaiting: number;
  /** Items without an outcome. */
  readonly #pending: () => number;
  /** Each with the number of places that it waits at. */
  readonly #waiting = new Map<Ticket, number>();

  constructor(
    window: number,
    maxWaiting: number,
    pending: () => number,
    failing?: (origin: unknown) => void,
  ) {
    this.#window = window;
    this.#maxWaiting = maxWaiting;
    this.#pending = pending;
    this.failing = failing;
  }

  /** An item waits at one more place. Answers whether that is too much: more of them wait than may, or nothing else can come. */
  add(item: Ticket): boolean {
    this.#waiting.set(item, (this.#waiting.get(item) ?? 0) + 1);
    if (this.#waiting.size > this.#maxWaiting) return true;
    return this.#pending() >= this.#window && this.held >= this.#pending();
  }

  remove(item: Ticket): void {
    const places = (this.#waiting.get(item) ?? 0) - 1;
    if (places > 0) this.#waiting.set(item, places);
    else this.#waiting.delete(item);
  }

  /** Items that wait, or settle with one that does. */
  get held(): number {
    const held = new Set<Ticket>(this.#waiting.keys());
    for (const { lead } of held) {
      held.add(lead);
      for (const next of [...(lead.riders ?? []), ...(lead.members ?? [])]) held.add(next);
    }
    return [...held].filter(({ book }) => book === this).length;
  }
}
