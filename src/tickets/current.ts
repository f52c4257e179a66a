import type { Ticket } from './Ticket.ts';

/**
 * The ticket of the item that is being emitted right now: a ticket; null: an item without one, or user code; or
 * undefined: nothing of ours is emitting. One cell for all copies of sluice in the process, since an item may pass
 * from one copy to another; the number changes with an incompatible protocol.
 */
interface CurrentTicket {
  ticket: Ticket | null | undefined;
}

function shared(): CurrentTicket {
  const key = Symbol.for('sluice.current/1');
  const holder = globalThis as { [key]?: CurrentTicket };
  return (holder[key] ??= { ticket: undefined });
}

export const current: CurrentTicket = /* @__PURE__ */ shared();

/** Calls `run` with `ticket` as the current one. */
export function under<R>(ticket: Ticket | null | undefined, run: () => R): R {
  const outer = current.ticket;
  current.ticket = ticket;
  try {
    return run();
  } finally {
    current.ticket = outer;
  }
}
