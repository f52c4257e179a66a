import type { TicketBook } from './TicketBook.ts';

/**
 * A promise to settle one item of an acknowledged source, once, with the worst of its outcomes.
 *
 * It is counted: the source holds one reference while it emits, each stage that accepts the item holds one until the
 * item's last result is delivered. When the count reaches zero it settles. `claims` and `drops` tell an emitter what
 * became of its item during the call: a stage retained it, an operator dropped it on purpose, or neither, which no
 * program can tell from "a native operator still holds it".
 */
export class Ticket {
  /** Times that a stage retained it. */
  claims = 0;
  /** Times that an operator of ours dropped it on purpose. */
  drops = 0;
  /** Why the item is handed back; undefined: acknowledged. The first reason stays. */
  failure: unknown = undefined;
  /** How many items of the source settle with it. */
  readonly size: number;
  readonly book: TicketBook | undefined;
  /** What the source pulled, for sinks that write down what they have stored; undefined for a group. */
  readonly origin: unknown;
  /** Tickets of other items that are given back one reference when this one settles. */
  readonly members: readonly Ticket[] | undefined;
  /** Not given back yet. */
  references = 1;
  /** Tickets of earlier items that settle right after it, with the same outcome. */
  riders: Ticket[] | undefined;
  /** Those that were merged into this one. */
  absorbed: Ticket[] | undefined;
  #settle: (failure: unknown) => void;
  /** The ticket that this one was merged into: they count and settle as one. */
  #merged: Ticket | undefined;

  constructor(
    size: number,
    settle: (failure: unknown) => void,
    book?: TicketBook,
    origin?: unknown,
    members?: readonly Ticket[],
  ) {
    this.size = size;
    this.book = book;
    this.origin = origin;
    this.members = members;
    this.#settle = settle;
  }

  /** One ticket for several, each of which comes with a reference: they share its outcome. */
  static group(members: readonly Ticket[]): Ticket {
    let size = 0;
    for (const member of members) size += member.size;
    const settle = (failure: unknown): void => {
      for (const member of members) member.release(failure);
    };
    return new Ticket(size, settle, undefined, undefined, members);
  }

  get isSettled(): boolean {
    return this.lead.references === 0;
  }

  /** What acknowledged sources have pulled that waits for it: itself, and those behind it. */
  items(found = new Set<Ticket>()): Set<Ticket> {
    if (this.book) found.add(this);
    for (const member of this.members ?? []) member.items(found);
    return found;
  }

  /** The items at the top that wait for it. */
  roots(found = new Set<Ticket>()): Set<Ticket> {
    if (this.members === undefined) found.add(this);
    else for (const member of this.members) member.roots(found);
    return found;
  }

  /** Keeps it unsettled, without saying that the item has arrived anywhere. */
  hold(): this {
    this.lead.references++;
    return this;
  }

  /** A stage accepts the item: keeps the ticket unsettled until `release`. */
  claim(): this {
    this.claims++;
    return this.hold();
  }

  /** An operator drops the item on purpose: it has its outcome as far as that operator is concerned. */
  drop(): void {
    this.drops++;
  }

  /**
   * These share the outcome of this ticket; each comes with a reference that is released then. Answers which cannot, since this
   * one waits for them.
   */
  carry(riders: readonly Ticket[]): Ticket[] {
    const lead = this.lead;
    return riders.filter((each) => {
      const rider = each.lead;
      if (rider !== lead && !rider.#decides(lead)) {
        (lead.riders ??= []).push(rider);
        return false;
      }
      if (rider !== lead && !rider.#carries(lead)) return true;
      // Itself (an earlier part of the same item waited), or one that it rides on: neither could settle first.
      if (rider !== lead) lead.#merge(rider);
      lead.references--;
      return false;
    });
  }

  /** Gives one reference back; a `failure` makes the item one that is handed back. */
  release(failure?: unknown): void {
    const lead = this.lead;
    if (failure !== undefined && lead.failure === undefined) lead.#fail(failure);
    lead.references--;
    if (lead.references > 0) return;
    if (lead.references < 0) throw new Error('sluice: a ticket was released twice');
    const settle = lead.#settle;
    lead.#settle = () => undefined; // once, though it may be held again: by an operator that is left with it
    settle(lead.failure);
    const riders = lead.riders;
    lead.riders = undefined;
    if (riders) for (const rider of riders) rider.release(lead.failure);
  }

  /** Itself, or the ticket that it was merged into. */
  get lead(): Ticket {
    return this.#merged === undefined ? this : this.#merged.lead;
  }

  #fail(failure: unknown): void {
    this.failure = failure;
    for (const { book, origin } of this.items()) book?.failing?.(origin);
  }

  /** Whether that one cannot settle before this one has: it rides on it, or is in it, or on what is. */
  #decides(ticket: Ticket): boolean {
    return [...(this.riders ?? []), ...(this.members ?? [])].some((each) => {
      const other = each.lead;
      return other === ticket || other.#decides(ticket);
    });
  }

  #carries(ticket: Ticket): boolean {
    if (this.riders === undefined) return false;
    return this.riders.some((each) => {
      const rider = each.lead;
      return rider === ticket || rider.#carries(ticket);
    });
  }

  /** Makes one of this ticket and `other`, which carries it. */
  #merge(other: Ticket): void {
    const settleThis = this.#settle;
    const riders = other.riders ?? [];
    other.#merged = this;
    (this.absorbed ??= []).push(other);
    other.riders = undefined;
    this.references += other.references;
    this.failure ??= other.failure;
    this.#settle = (failure) => {
      settleThis(failure);
      other.#settle(failure);
    };
    this.carry(riders);
  }
}
