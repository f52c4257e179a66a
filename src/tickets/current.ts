import { Ticket } from './Ticket.ts';

/**
 * The ticket of the item that is being emitted right now: a ticket, `NONE` ("an item without one", or user code), or
 * undefined: nothing of ours is emitting. One cell for all copies of sluice in the process, since an item may pass
 * from one copy to another; the number changes with an incompatible protocol.
 */
interface CurrentTicket {
  ticket: Ticket | undefined;
  readonly none: Ticket;
}

function shared(): CurrentTicket {
  const key = Symbol.for('sluice.current/1');
  const holder = globalThis as { [key]?: CurrentTicket };
  return (holder[key] ??= { ticket: undefined, none: new Ticket(0, () => undefined) });
}

export const current: CurrentTicket = /* @__PURE__ */ shared();

/** "Explicitly no ticket": its count is never touched. */
export const NONE: Ticket = /* @__PURE__ */ (() => current.none)();

/** Calls `run` with `ticket` as the current one. */
export function under<R>(ticket: Ticket | undefined, run: () => R): R {
  const outer = current.ticket;
  current.ticket = ticket;
  try {
    return run();
  } finally {
    current.ticket = outer;
  }
}
