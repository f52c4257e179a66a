import { Ticket } from './Ticket.ts';

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
      return ticket ? ticket.origins() : [];
    },
    settled: () => Ticket.originsSettledBy(tickets.filter((ticket) => ticket !== null)),
  };
}
