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
  /** How many items of the source it was issued for. */
  readonly size: number;
  readonly book: TicketBook | undefined;
  /** What the source pulled, for sinks that write down what they have stored; undefined for a group. */
  readonly origin: unknown;
  /** Tickets that are given back one reference when this one settles. All are older, so that none can come to wait for itself. */
  readonly members: readonly Ticket[] | undefined;
  /** Not given back yet. */
  references = 1;
  readonly #settle: ((failure: unknown) => void) | undefined;
  #failing: (() => void)[] | undefined;

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
    return this.references === 0;
  }

  /** What acknowledged sources have pulled that waits for it: itself, and those behind it. */
  items(): Ticket[] {
    const behind = new Set<Ticket>([this]);
    for (const { members } of behind) members?.forEach((member) => behind.add(member));
    return [...behind].filter(({ book }) => book);
  }

  /** Tells when it will be handed back, as soon as that is known. */
  onFailing(tell: () => void): void {
    (this.#failing ??= []).push(tell);
  }

  /** Keeps it unsettled, without saying that the item has arrived anywhere. */
  hold(): this {
    this.references++;
    return this;
  }

  /** A stage accepts the item: keeps the ticket unsettled until `release`. */
  claim(): this {
    this.claims++;
    this.references++;
    return this;
  }

  /** An operator drops the item on purpose: it has its outcome as far as that operator is concerned. */
  drop(): void {
    this.drops++;
  }

  /** Gives one reference back; a `failure` makes the item one that is handed back. */
  release(failure?: unknown): void {
    if (failure !== undefined) this.#fail(failure);
    this.references--;
    if (this.references === 0) this.#settled();
    else if (this.references < 0) throw new Error('sluice: a ticket was released twice');
  }

  /** It and all that settles with it will be handed back: told at once. */
  #fail(failure: unknown): void {
    if (this.failure !== undefined) return;
    const failing: Ticket[] = [this];
    for (const ticket of failing) {
      if (ticket.failure !== undefined) continue;
      ticket.failure = failure;
      ticket.book?.failing?.(ticket.origin);
      ticket.#failing?.forEach((tell) => {
        tell();
      });
      if (ticket.members) failing.push(...ticket.members);
    }
  }

  /** A loop: those that wait for one another may be many. */
  #settled(): void {
    const over: Ticket[] = [this];
    for (let ticket = over.pop(); ticket; ticket = over.pop()) {
      ticket.#settle?.(ticket.failure);
      const { members = [] } = ticket;
      for (let i = members.length - 1; i >= 0; i--) {
        const member = members[i]!;
        member.references--;
        if (member.references === 0) over.push(member);
      }
    }
  }
}
