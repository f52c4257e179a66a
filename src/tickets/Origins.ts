import type { Ticket } from './Ticket.ts';

/** What acknowledged sources pulled, and what became the items of one batch: their values, as `onSettled` is given them. */
export interface Origins {
  /** What the outcome of this item of the batch decides on, alone or with others. */
  of(index: number): readonly unknown[];
  /**
   * What has its outcome once all items of the batch are stored. Ask right before the batch is made safe: of an item that
   * became several, it is only with the last of them that the answer has it.
   */
  settled(): readonly unknown[];
}

/** The origins of these; undefined where no source is an acknowledged one. */
export function originsOf(tickets: readonly (Ticket | null)[]): Origins | undefined {
  if (tickets.every((ticket) => ticket === null)) return undefined;
  return {
    of(index) {
      const ticket = tickets[index];
      return ticket ? allBehind(ticket) : [];
    },
    settled: () => settledBy(tickets.filter((ticket) => ticket !== null)),
  };
}

/** What the sources pulled whose outcome hangs on this ticket. */
function allBehind(ticket: Ticket): unknown[] {
  return ticket
    .items()
    .map(({ origin }) => origin)
    .filter((origin) => origin !== undefined);
}

/** What the sources pulled that is acknowledged once each of these has given one reference back. Changes nothing. */
function settledBy(tickets: readonly Ticket[]): unknown[] {
  const left = new Map<Ticket, number>();
  const released = [...tickets];
  const origins: unknown[] = [];
  for (const ticket of released) {
    const references = (left.get(ticket) ?? ticket.references) - 1;
    left.set(ticket, references);
    if (references > 0 || ticket.failure !== undefined) continue;
    if (ticket.origin !== undefined) origins.push(ticket.origin);
    if (ticket.members) released.push(...ticket.members);
  }
  return origins;
}
