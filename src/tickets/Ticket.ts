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
  readonly #settle: ((failure: unknown) => void) | undefined;
  #isOver = false;
  /** The ticket that this one was merged into: they count and settle as one. */
  #merged: Ticket | undefined;

  constructor(
    size: number,
    settle?: (failure: unknown) => void,
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
    return new Ticket(size, undefined, undefined, undefined, members);
  }

  get isSettled(): boolean {
    return this.lead.references === 0;
  }

  /** What acknowledged sources have pulled that waits for it: itself, and those behind it. */
  items(): Ticket[] {
    const behind = new Set<Ticket>([this]);
    for (const { members } of behind) members?.forEach((member) => behind.add(member));
    return [...behind].filter(({ book }) => book);
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

  /** These share the outcome of this ticket; each comes with a reference that is released then. */
  carry(riders: readonly Ticket[]): void {
    for (const each of riders) {
      const { lead } = this;
      const rider = each.lead;
      if (rider === lead) {
        lead.references--; // an earlier part of the same item waited
        continue;
      }
      const circle = new Set<Ticket>();
      if (rider.#leadsTo(lead, circle)) {
        lead.references--;
        lead.#merge(circle);
      } else (lead.riders ??= []).push(rider);
    }
  }

  /** Gives one reference back; a `failure` makes the item one that is handed back. */
  release(failure?: unknown): void {
    const { lead } = this;
    if (failure !== undefined && lead.failure === undefined) lead.#fail(failure);
    lead.references--;
    if (lead.references > 0) return;
    if (lead.references < 0) throw new Error('sluice: a ticket was released twice');
    if (lead.#isOver) return; // held once more: by the call of an operator that was left
    lead.#isOver = true;
    lead.#settled(lead.failure);
  }

  /** Itself, or the ticket that it was merged into. */
  get lead(): Ticket {
    return this.#merged === undefined ? this : this.#merged.lead;
  }

  #fail(failure: unknown): void {
    this.failure = failure;
    for (const { book, origin } of this.items()) book?.failing?.(origin);
  }

  #settled(failure: unknown): void {
    this.#settle?.(failure);
    if (!this.members && !this.riders && !this.absorbed) return;
    for (const other of this.absorbed ?? []) other.#settled(failure);
    for (const next of this.#next()) next.release(failure);
  }

  /** What settles as one. */
  #parts(): Ticket[] {
    return [this, ...(this.absorbed ?? []).flatMap((each) => each.#parts())];
  }

  /** Those that are given back one reference when this one settles, but for what settles as one with it. */
  #next(): Ticket[] {
    const next = [...(this.members ?? []), ...(this.riders ?? [])];
    return this.#merged || this.absorbed ? next.filter(({ lead }) => lead !== this.lead) : next;
  }

  /** Whether that one waits for this one, be it by way of others, all of which are put into `circle`. */
  #leadsTo(ticket: Ticket, circle: Set<Ticket>, seen = new Set<Ticket>()): boolean {
    if (seen.has(this)) return circle.has(this);
    seen.add(this);
    for (const part of this.#parts()) {
      for (const { lead } of part.#next()) {
        if (lead === ticket || lead.#leadsTo(ticket, circle, seen)) circle.add(this);
      }
    }
    return circle.has(this);
  }

  /** Makes one of this ticket and of those that wait for it, while it waits for them: none of them could settle first. */
  #merge(circle: ReadonlySet<Ticket>): void {
    const isInside = ({ lead }: Ticket): boolean => lead === this || circle.has(lead);
    for (const each of circle) {
      for (const part of each.#parts()) {
        for (const next of part.#next()) if (isInside(next)) next.lead.references--;
      }
    }
    for (const each of circle) {
      each.#merged = this;
      (this.absorbed ??= []).push(each);
      this.references += each.references;
      this.failure ??= each.failure;
    }
  }
}
