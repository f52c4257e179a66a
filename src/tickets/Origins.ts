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
function allBehind(first: Ticket): unknown[] {
  const seen = new Set<Ticket>();
  const origins: unknown[] = [];
  const look = ({ lead }: Ticket): void => {
    if (seen.has(lead)) return;
    seen.add(lead);
    giveTo(origins, lead, look);
  };
  look(first);
  return origins;
}

/** What the sources pulled that is acknowledged once each of these has given one reference back. Changes nothing. */
function settledBy(tickets: readonly Ticket[]): unknown[] {
  const left = new Map<Ticket, number>();
  const origins: unknown[] = [];
  const release = ({ lead }: Ticket): void => {
    const references = (left.get(lead) ?? lead.references) - 1;
    left.set(lead, references);
    if (references === 0 && lead.failure === undefined) giveTo(origins, lead, release);
  };
  for (const ticket of tickets) release(ticket);
  return origins;
}

/** Adds the origins of a ticket, and goes on with the tickets that hang on it. */
function giveTo(
  origins: unknown[],
  { origin, members, riders, absorbed }: Ticket,
  next: (ticket: Ticket) => void,
): void {
  if (origin !== undefined) origins.push(origin);
  members?.forEach(next);
  riders?.forEach(next);
  if (absorbed) for (const other of absorbed) giveTo(origins, other, next);
}
