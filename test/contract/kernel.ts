// What the laws are run against: the front door, and the parts of the kernel that some of them look at. Twins are bundles
// of this file with one change.
export * from '../../operators/index.ts';
export { Demand } from '../../src/demand/Demand.ts';
export { Run } from '../../src/flow/Run.ts';
export { DEMAND, demandBelow } from '../../src/rx/chain.ts';
export { current, under } from '../../src/tickets/current.ts';
export { Ticket } from '../../src/tickets/Ticket.ts';
export { TicketBook } from '../../src/tickets/TicketBook.ts';
export { WaitingTickets } from '../../src/tickets/WaitingTickets.ts';
