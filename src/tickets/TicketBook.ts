import type { Ticket } from './Ticket.ts';

/** Items that may wait for a ride at once, where no window bounds them; with those that ride on them, where it does. */
export const MAX_WAITING = 1_000;

/** What an acknowledged source keeps of its items that wait for a ride. */
export class TicketBook {
  /** Told of what will be handed back, as soon as one of its parts is. */
  readonly failing: ((origin: unknown) => void) | undefined;
  /** Tickets that may wait at one place. */
  readonly maxWaiting: number;
  readonly #window: number;
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
    this.maxWaiting = maxWaiting;
    this.#pending = pending;
    this.failing = failing;
  }

  /** An item waits at one more place, or rides on one that does. */
  add(item: Ticket): void {
    this.#waiting.set(item, (this.#waiting.get(item) ?? 0) + 1);
  }

  remove(item: Ticket): void {
    const places = (this.#waiting.get(item) ?? 0) - 1;
    if (places > 0) this.#waiting.set(item, places);
    else this.#waiting.delete(item);
  }

  /** Items that wait. */
  get held(): number {
    return this.#waiting.size;
  }

  /** More of them than may, or the window is full of them: nothing else can come. */
  get isFull(): boolean {
    if (this.held > Math.max(this.maxWaiting, MAX_WAITING)) return true;
    return this.#pending() >= this.#window && this.held >= this.#pending();
  }
}
