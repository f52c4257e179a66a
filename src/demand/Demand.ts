import { LoopBudget, nextTurn } from '../clock.ts';
import { HandedBackError, UnclaimedError } from '../errors.ts';
import type { Run } from '../flow/Run.ts';
import { current } from '../tickets/current.ts';
import { Ticket } from '../tickets/Ticket.ts';
import { WaitingTickets } from '../tickets/WaitingTickets.ts';
import type { Outlet } from './Outlet.ts';

/** Whoever offers a Demand: a stage, or the end of a flow. */
export interface DemandOwner {
  readonly name: string;
  /** The flow it belongs to, if `runFlow` runs it. */
  readonly run: Run | undefined;
  /** An acknowledged source stands above. */
  announced?(): void;
  /** `by` more sources above wait for their window: let go of what is only being gathered. */
  urge?(by: number): void;
  /** Draining, and nothing above will complete by itself: go on as if it had. */
  drained(): void;
  /** Told, once a kind, what is wrong in the chain above: a warning, or, `fatal` under `strict`, the end of the flow. */
  complain(error: Error, fatal: boolean): void;
}

/** No limit: the greatest small integer of every engine, since a comparison with `Infinity` is one of doubles. */
export const UNLIMITED = 2 ** 30 - 1;

/** Sources that may be subscribed while draining, one after the other, and complete. */
const MAX_COMPLETIONS = 100;

const NONE: Ticket[] = [];

export type Complaint = 'cut' | 'overrun' | 'unclaimed' | 'late' | 'ticket';

let subscribing: Demand | undefined;

/**
 * Says, to whoever subscribes upstream right now and has received nothing yet, that a source or stage which found no Demand
 * below may be above it. Items flow as before; but where that is a stage, which is answered, no ticket gets through.
 */
export function complainOfCut(name: string, cutBy: string): boolean {
  const demand = subscribing;
  if (!demand || demand.claims > 0 || demand.emitting > 0) return false;
  demand.complain(
    'cut',
    () =>
      new UnclaimedError(
        `${demand.owner?.name ?? ''}: ${name} is cut off by ${cutBy} (share, connect, an operator written by hand): it does not wait, ` +
          'and is not counted or drained; use broadcast, put share outside of the run, or link in an operator of your own',
      ),
  );
  return demand.owner !== demand.owner?.run;
}

/** Calls code of the user's, which may start flows of its own: nobody is told of these. */
export function aside<R>(run: () => R): R {
  const noted = subscribing;
  subscribing = undefined;
  try {
    return run();
  } finally {
    subscribing = noted;
  }
}

/**
 * How much a stage will take: open while it holds less than its limit. It travels up the subscriber chain, and every
 * source and stage above waits for it in one line, first come, first served.
 */
export class Demand {
  /** Items waiting, working, or finished and not yet delivered. */
  held = 0;
  /** Calls towards it on the stack. While there are any it counts as closed: delivery is never re-entered. */
  emitting = 0;
  /**
   * Whose item is on its way, while `emitting` is above 0. A source that is subscribed meanwhile works on that item, which was accepted: it is
   * _inner_, and does not obey `draining`. Not where the emitter has been left, with all that is below: then it takes the place of that.
   */
  emitter: Outlet<never> | undefined = undefined;
  /** Acknowledged sources above whose window is full. */
  urges = 0;
  /** Its owner is subscribing upstream. */
  subscribing = false;
  /** Its owner has seen the end of its input. */
  ended = false;
  /** Why what is above is handed back, where that end was an error or a teardown. */
  failure: unknown = undefined;
  draining = false;
  /** An acknowledged source stands above. */
  ticketed = false;
  /** What native operators above hold or swallow is meant. */
  declared = false;
  /** A push source above is meant to ignore it. */
  pushed = false;
  /** Items that arrived, or were dropped on purpose on their way: an emission that adds none is unclaimed. */
  claims = 0;
  /** Emissions that neither arrived nor were dropped on purpose. */
  unclaimed = 0;
  /** Items that arrived outside any emitter's call: held by a native operator meanwhile. */
  late = 0;
  /** A source that can be waited for has emitted towards it, or may. */
  fed = false;
  limit: number;
  /** Undefined: nobody below says how much; unlimited, as in classic RxJS, and nothing is counted. */
  readonly owner: DemandOwner | undefined;
  /** All who emit towards it, waiting or not. */
  readonly outlets = new Set<Outlet<never>>();
  readonly #budget = new LoopBudget();
  readonly #whenDraining = new Set<() => void>();
  #completedOnce: WeakSet<object> | undefined;
  #completions = 0;
  #parked = 0;
  /** Outlets of stages that wait for the others here to end, with what to do then. */
  readonly #lingering = new Map<Outlet<never>, () => void>();
  #pumping = false;
  #first: Outlet<never> | undefined;
  #last: Outlet<never> | undefined;
  #complained: Set<Complaint> | undefined;
  /** What waits of sources that are in no inner stream: beside `outlets`, so that no emission has to look at all of those. */
  readonly unclaimedOf = new Set<WaitingTickets>();
  /** Those that an emitter's end did not hand to a stage: they wait until the owner sees the end. */
  readonly #tails = new WaitingTickets();

  constructor(limit: number, owner?: DemandOwner) {
    this.limit = limit;
    this.owner = owner;
  }

  get open(): boolean {
    return this.held < this.limit && this.emitting === 0;
  }

  /** Sets another limit; those who wait go on if there is room now. */
  resize(limit: number): void {
    if (this.limit === 0) return; // closed
    this.limit = limit;
    this.pump();
  }

  /** Its owner takes nothing in any more: while those above are left, one after the other, each keeps what it has. */
  close(): void {
    this.limit = 0;
  }

  /** An item came as far as an operator above without a Demand of its own, which was stopped, or failed, while it asked about it. */
  leave(stage: string, value: unknown): void {
    this.claims++;
    this.owner?.run?.left.push({ stage, value });
  }

  /** `by` more (or fewer) acknowledged sources above wait for their window, so nothing may only be gathered. */
  urge(by: number): void {
    this.urges += by;
    if (by > 0) for (const outlet of [...this.outlets]) outlet.emitter.urged?.();
    this.owner?.urge?.(by);
  }

  /** Nobody but `outlet` waits. */
  firstInLine(outlet: Outlet<never>): boolean {
    const first = this.#first;
    return first === undefined || (first === outlet && outlet.behind === undefined);
  }

  /** Has the owner say what is wrong in the chain above, once a kind. A cut is guessed from a note, so never fatal. */
  complain(kind: Complaint, error: () => Error): void {
    this.#complained ??= new Set();
    if (this.#complained.has(kind)) return;
    this.#complained.add(kind);
    this.owner?.complain(error(), kind !== 'cut');
  }

  /** Something goes on in the call of an emitter that has ended, or was left. */
  get isLeft(): boolean {
    return this.emitting > 0 && this.emitter?.closed === true;
  }

  /** A place is free again. */
  release(): void {
    this.held--;
    if (this.#first !== undefined) this.pump();
  }

  /** Lets those who wait go on, in a loop and never by recursion, for as long as it is open. */
  pump(): void {
    if (this.#pumping || this.subscribing || this.#first === undefined) return;
    this.#pumping = true;
    let outlet: Outlet<never> | undefined;
    while ((outlet = this.#first) !== undefined && this.held < this.limit && this.emitting === 0) {
      // One alone has a budget of its own, or gives no more than its stage holds.
      if (outlet.behind !== undefined && this.#budget.spent()) {
        this.#pause();
        break;
      }
      // It stays where it is during its turn; then it leaves, or goes to the end of the line.
      outlet.waits = false;
      outlet.called(); // never throws
      if (!outlet.waits) this.leaveLine(outlet);
      else if (outlet.behind !== undefined) {
        this.leaveLine(outlet);
        this.joinLine(outlet);
      }
    }
    this.#pumping = false;
  }

  /** Goes on when the event loop has turned. Apart, since a closure would cost its caller a context a call. */
  #pause(): void {
    nextTurn(() => {
      this.pump();
    });
  }

  /** Puts an emitter last in the line, if it is not in it. */
  joinLine(outlet: Outlet<never>): void {
    outlet.waits = true;
    if (outlet.queued) return;
    outlet.queued = true;
    outlet.before = this.#last;
    if (this.#last) this.#last.behind = outlet;
    else this.#first = outlet;
    this.#last = outlet;
  }

  leaveLine(outlet: Outlet<never>): void {
    outlet.waits = false;
    if (!outlet.queued) return;
    outlet.queued = false;
    const { before, behind } = outlet;
    if (before) before.behind = behind;
    else this.#first = behind;
    if (behind) behind.before = before;
    else this.#last = before;
    outlet.before = outlet.behind = undefined;
  }

  attach(outlet: Outlet<never>): void {
    this.outlets.add(outlet);
    if (this.ticketed) outlet.announced();
    if (!outlet.inner) this.fed = true;
  }

  detach(outlet: Outlet<never>): void {
    this.leaveLine(outlet);
    if (this.emitter === outlet && this.emitting === 0) this.emitter = undefined;
    if (!this.outlets.delete(outlet)) return;
    if (outlet.parked) this.#parked--;
    this.#lingering.delete(outlet);
    for (const again of [...this.#lingering.values()]) again();
    this.#endIfDrained();
  }

  /** Stops taking in: sources complete, waits between retries end; what is inside is finished. */
  drain(): void {
    if (this.draining) return;
    this.draining = true;
    for (const outlet of [...this.outlets]) if (!outlet.inner) outlet.emitter.stop();
    for (const stop of [...this.#whenDraining]) stop();
    this.#endIfDrained();
  }

  /** Calls `stop` when draining begins, or at once; the result cancels it. */
  whenDraining(stop: () => void): () => void {
    if (this.draining) {
      stop();
      return () => undefined;
    }
    this.#whenDraining.add(stop);
    return () => {
      this.#whenDraining.delete(stop);
    };
  }

  /**
   * A source is subscribed while draining: the first time it completes, the same source again parks (else `repeat`
   * would never end), and so do all where too many came (`defer` makes a new one each time). Answers whether it is to
   * complete.
   */
  completesUnderDrain(source: object, outlet: Outlet<never>): boolean {
    this.#completedOnce ??= new WeakSet();
    if (!this.#completedOnce.has(source) && this.#completions < MAX_COMPLETIONS) {
      this.#completedOnce.add(source);
      this.#completions++;
      return true;
    }
    outlet.parked = true;
    this.#parked++;
    this.#endIfDrained();
    return false;
  }

  /**
   * While draining: whether others still emit towards it, but for those that ask the same. If so, `again` is called
   * when one of them has ended.
   */
  lingers(outlet: Outlet<never>, again: () => void): boolean {
    this.#lingering.set(outlet, again);
    const alive = [...this.outlets].some((other) => !this.#lingering.has(other) && !other.parked);
    if (!alive) this.#lingering.delete(outlet);
    return alive;
  }

  /** Has its owner subscribe upstream. */
  subscribe(upstream: () => void): void {
    const outer = subscribing;
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- a note for messages, taken back below
    subscribing = this;
    this.subscribing = true;
    try {
      upstream();
    } finally {
      this.subscribing = false;
      this.pump();
      this.#endIfDrained();
      subscribing = outer;
    }
  }

  /**
   * The ticket of an item that arrives, retained; null: it has none; undefined: it was lost. What comes in the call of an
   * emitter that has been left is the work of a native operator which goes on there, with the same item or with one of those
   * that wait.
   */
  claim(): Ticket | null | undefined {
    const { ticket } = current;
    if (!ticket) return ticket === undefined && this.ticketed ? undefined : null;
    if (!this.isLeft) return ticket.claim();
    const waiting = this.unclaimedTickets();
    return waiting.length === 0 ? ticket.claim() : Ticket.group([ticket.claim(), ...waiting]);
  }

  /** An acknowledged source stands above: items that arrive from nowhere have lost their ticket. Not so where nobody claims. */
  announce(): void {
    if (this.ticketed || this.owner === undefined) return;
    this.ticketed = true;
    for (const outlet of this.outlets) outlet.announced();
    this.owner.announced?.();
  }

  /** Keeps a ticket, which comes with a reference, until the owner sees the end. */
  addTail(tail: Ticket): void {
    if (!this.ended) this.#tails.add(tail);
    tail.release(this.ended ? this.failure : undefined);
  }

  /** What is above was left: native operators do not hold any more what they held. */
  handBackTails(reason: unknown): void {
    if (this.#tails.size > 0) this.#tails.release(this.#tails.size, reason);
  }

  /** Has a ticket wait as that of an unclaimed item does: for the next claimed one, or the end. */
  defer(ticket: Ticket): void {
    const outer = this.#outer();
    if (!outer) this.addTail(ticket.hold());
    else outer.wait(ticket);
  }

  #outer(): Outlet<never> | undefined {
    for (const outlet of this.outlets) if (!outlet.inner) return outlet;
    return undefined;
  }

  /** A reference to what waits of sources that are in no inner stream, but for those of one emitter: it may come in the call of another. */
  waitingBeside(waiting: WaitingTickets): Ticket[] {
    if (this.unclaimedOf.size === 0 && this.#tails.size === 0) return NONE;
    const found = [this.#tails.hold()];
    for (const other of this.unclaimedOf) if (other !== waiting) found.push(other.hold());
    return found.filter((ticket) => ticket !== undefined);
  }

  /** A reference to every ticket above that no stage has claimed yet. */
  unclaimedTickets(): Ticket[] {
    const found = [this.#tails.hold()];
    for (const { waiting } of this.outlets) found.push(waiting.hold());
    return found.filter((ticket) => ticket !== undefined);
  }

  /** Its owner has seen the end of its input, or, with a reason, hands back what it never saw. */
  end(failure?: unknown): void {
    if (this.ended) return; // a teardown after a good end takes nothing back
    this.ended = true;
    // Ended by an operator below (`take`), or by draining: native ones above may still hold something.
    const isCut =
      this.ticketed && (this.draining || [...this.outlets].some(({ ending, parked }) => !ending && !parked));
    this.failure =
      failure ?? (isCut ? new HandedBackError(this.owner?.name ?? '', 'the flow was left') : undefined);
    this.handBackTails(this.failure);
  }

  /** Draining waits for emitters to complete; not for parked ones, nor where there never was one. */
  #endIfDrained(): void {
    if (!this.draining || this.ended || this.subscribing || this.outlets.size !== this.#parked) return;
    if (this.#parked > 0 || !this.fed) this.owner?.drained();
  }
}
