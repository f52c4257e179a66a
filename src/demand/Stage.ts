import type { Observable, Subscriber } from 'rxjs';
import { LoopBudget, nextTurn } from '../clock.ts';
import {
  HandedBackError,
  InvalidOptionError,
  OverrunError,
  reasonOf,
  TicketLostError,
  TicketPathError,
  UnclaimedError,
} from '../errors.ts';
import { whenClosed, type ItemEvent, type Run } from '../flow/Run.ts';
import { StageMeter, type StageIdentity } from '../metrics/StageMeter.ts';
import { endingsBelow, endOfChain, runBelow, type Endings } from '../rx/chain.ts';
import { Inlet, type Receiver } from '../rx/Inlet.ts';
import { current, under } from '../tickets/current.ts';
import type { Ticket } from '../tickets/Ticket.ts';
import { startsAnew, type Closable, type SinkEnding } from '../work/Sink.ts';
import { warnOnConsole } from '../warnOnConsole.ts';
import { complainOfCut, Demand, type DemandOwner } from './Demand.ts';
import { Outlet, type Emitter } from './Outlet.ts';

/** What so many emissions in a row take, or so many that wait, is not worth a look at the clock. */
export const SHORT_ROW = 64;

/**
 * An operator of ours that holds items: offers its own Demand upstream, emits through an Outlet, keeps the ledger.
 * A subclass says what it does with an item (`accept`), what is left to emit (`deliver`), and what it holds.
 */
export abstract class Stage<T, R> implements DemandOwner, Emitter, Receiver<T> {
  readonly demand: Demand;
  /** The run that counts it. */
  readonly run: Run | undefined;
  /** The same; or, inside the work of an item, where it is not counted, the run of that item. */
  readonly runBelow: Run | undefined;
  readonly meter: StageMeter;
  protected readonly out: Outlet<R>;
  /** Torn down: nothing may start, settle or be emitted any more. */
  protected dead = false;
  /** Nothing more comes from above. */
  protected inputDone = false;
  #failure: { readonly error: unknown } | undefined;
  protected delivering = false;
  #failing = false;
  /** Debug mode is on. */
  readonly #traced: boolean;
  /** A stage is below, and cannot be seen from here. */
  readonly #cut: boolean;
  #inlet: Inlet<T> | undefined;
  /** What it closes by itself. */
  readonly #closables: Closable[] = [];
  /** Where it closes something: how what is below it has ended, and so leaves it. */
  #endings: Endings | undefined;
  #closing = false;
  #budget: LoopBudget | undefined;
  /** It goes on when the event loop has turned. */
  #pausing = false;

  constructor(identity: StageIdentity, subscriber: Subscriber<R>, limit: number) {
    this.out = new Outlet(subscriber, this);
    const below = this.out.demand;
    this.run = below.owner?.run;
    this.runBelow = this.run ?? runBelow(subscriber);
    this.#traced = this.run?.trace !== undefined;
    this.meter = this.run?.meter(identity, this.out.inner) ?? new StageMeter(identity);
    this.demand = new Demand(limit, this);
    this.demand.draining = below.draining && !this.out.inner;
    this.#cut = !this.out.linked && complainOfCut(this.name, endOfChain(subscriber));
    this.meter.watch(this);
    subscriber.add(() => {
      this.#tearDown();
    });
  }

  /** Takes an item in. The ledger and the Demand count it already. */
  protected abstract accept(value: T, ticket: Ticket | null): void;
  /** Emits the next of what is ready, if `this.out.ready()` where it takes a place below; false: nothing to emit now. */
  protected abstract emitNext(): boolean;
  /** Nothing is held any more. */
  protected abstract idle(): boolean;
  /** Stops working, and hands back with `leave` all that is held, but what is `finished` if it is to stay. */
  protected abstract abandon(reason: unknown, keepFinished: boolean): void;
  /** The end of input, draining or urging: lets go of what is only being gathered. */
  protected flush(): void {
    // Only stages that gather have something to flush.
  }

  /** Has a sink closed: at the end of the run; without one, or inside work, at its own end, which waits for that. */
  closeAtEnd(sink: Closable): void {
    if (!sink.close) return;
    if (this.run) this.run.sinks.set(sink, this.meter);
    else if (!startsAnew(sink) || !this.runBelow?.closedInside?.has(sink)) {
      this.#closables.push(sink);
      this.#endings ??= endingsBelow(this.out.subscriber, 'all');
    } else {
      throw new InvalidOptionError(
        `${this.name}: its sink was closed with another item, and would begin anew; make one for each item, inside the work, or store below it`,
      );
    }
  }

  /** Nothing that comes in can be worked on any more: it is torn down, or has failed. */
  get over(): boolean {
    return this.dead || this.#failing;
  }

  /** A source above, or beside it where it stands in a branch, waits for its window, or draining has begun. */
  protected get letsGo(): boolean {
    return this.demand.draining || this.demand.urges > 0 || this.out.demand.urges > 0;
  }

  get name(): string {
    return this.meter.name;
  }

  /** Slots in use: items at work, and results that keep their slot until they are delivered. */
  get active(): number {
    return 0;
  }

  /** Items that wait for a slot, or for room below. */
  get waiting(): number {
    return this.demand.held - this.active;
  }

  /** Adds the time up to now, of what is at work or short, to the meter. */
  countTime(): void {
    // Most stages only hold.
  }

  /** Subscribes upstream. */
  connect(source: Observable<T>, subscriber: Subscriber<R>): void {
    const { demand: below, inner } = this.out;
    if (below.draining && !inner && !below.completesUnderDrain(this.meter.identity, this.out)) return;
    const inlet = new Inlet<T>(subscriber, this);
    this.#inlet = inlet;
    const { place } = this.out;
    const works = place.begin(false);
    if (works) this.demand.ticketed = true;
    try {
      this.demand.subscribe(() => under(works ?? null, () => source.subscribe(inlet)));
    } finally {
      if (!this.inputDone) place.leave(false);
    }
  }

  receive(value: T): void {
    const { demand } = this;
    demand.claims++;
    const plain = current.ticket === null && demand.emitting > 0 && demand.held < demand.limit;
    if (!plain || this.inputDone || this.#traced) {
      this.#receiveWithCare(value);
      return;
    }
    this.meter.in++;
    demand.held++;
    this.accept(value, null);
  }

  inputEnded(): void {
    this.inputDone = true;
    this.out.place.keep();
    this.demand.end();
    this.flush();
    this.deliver();
  }

  /** No more input, then this error: what is held is finished first. */
  inputFailed(error: unknown): void {
    this.#failure ??= { error };
    this.demand.end(reasonOf(error));
    if (this.run?.abortsOnError) this.run.fail(error);
    else this.inputEnded();
  }

  resume(): void {
    try {
      this.deliver();
    } catch (error) {
      this.fail(error);
    }
  }

  stop(): void {
    this.demand.drain();
    this.flush();
    this.deliver();
  }

  drained(): void {
    if (this.inputDone) return;
    // What feeds this one passes its Demand by (a source above `windowCount`), and may still have an item in hand.
    const again = (): void => {
      this.drained();
    };
    if (!this.demand.fed && this.lingers(again)) return;
    this.run?.note(
      `${this.name}: draining ended what is above this stage, which does not complete by itself`,
    );
    this.leaveInput();
    this.inputEnded();
  }

  /** While draining: whether one beside it, which is to end first, may be what feeds it; then `again` is called. */
  protected lingers(again: () => void): boolean {
    return this.out.demand.lingers(this.out, again);
  }

  announced(): void {
    this.out.demand.announce();
    if (!this.#cut) return;
    this.fail(new TicketPathError(this.name, 'the chain to the stage below is cut'));
  }

  urge(by: number): void {
    this.out.demand.urge(by); // which comes back to this stage, as to all beside it
  }

  urged(): void {
    this.flush();
    this.deliver();
  }

  /** Aborts what is at work, hands back what waits, delivers what is finished, then errors. */
  fail(error: unknown): void {
    if (this.dead || this.#failing) return;
    this.#failing = true;
    this.#failure = { error };
    this.inputDone = true;
    const reason = new HandedBackError(this.name, 'the stage failed', error);
    this.demand.close();
    this.demand.end(reason);
    this.leaveInput();
    this.countTime();
    this.abandon(reason, true);
    if (this.run?.abortsOnError) this.run.fail(error);
    else this.deliver();
  }

  complain(error: Error, fatal: boolean): void {
    if (fatal && this.runBelow?.strict) this.fail(error);
    else if (this.runBelow) this.runBelow.warn(error.message);
    else warnOnConsole(error.message);
  }

  /**
   * Emits what is ready. A loop that is never re-entered: what becomes ready meanwhile is taken by the same loop. A long one
   * pauses. What comes in meanwhile takes more out than one, so that no queue overflows for it.
   */
  protected deliver(): void {
    if (this.delivering) return;
    this.delivering = true;
    try {
      let row = 0;
      while (!this.dead && this.emitNext()) if (++row > SHORT_ROW && this.pauses()) break;
    } finally {
      this.delivering = false;
    }
    if (!this.dead && this.inputDone && this.idle()) this.#finish();
    this.out.pass();
  }

  /** Call once a turn of a long loop, be it driven by promises; true: stop here, it goes on when the event loop has turned. */
  protected pauses(): boolean {
    if (this.#pausing) return true;
    this.#budget ??= new LoopBudget(); // most stages inside work have none
    if (!this.#budget.spent()) return false;
    this.#pausing = true;
    nextTurn(() => {
      this.#pausing = false;
      if (!this.dead) this.wake();
    });
    return true;
  }

  /** After a pause. */
  protected wake(): void {
    this.resume();
  }

  /** Hands an item back: it has no outcome, and stays in the ledger as held. */
  protected leave(value: unknown, ticket: Ticket | null, reason: unknown): void {
    this.run?.left.push({ stage: this.name, value });
    if (ticket !== null) ticket.release(reasonOf(reason));
  }

  /** Debug mode. Callers check `this.run?.trace` first, so that nothing is made where nobody listens. */
  protected tell(
    event: ItemEvent['event'],
    value: unknown,
    worker?: number,
    attempt?: number,
    error?: unknown,
  ): void {
    this.run?.trace?.({ stage: this.name, event, value, worker, attempt, error });
  }

  protected leaveInput(): void {
    void whenClosed(this.runBelow, () => this.#inlet?.unsubscribe(), this.name);
  }

  /** Nothing is left to do, but to close what it closes. */
  #finish(): void {
    if (this.#closing) return;
    if (this.#failure || this.#closables.length === 0) {
      this.#end();
      return;
    }
    this.#closing = true;
    const close = async (): Promise<void> => {
      try {
        await this.#close('completed');
      } catch (error) {
        if (this.dead) throw error;
        this.#failure = { error };
      }
      if (!this.dead) this.#end();
    };
    void whenClosed(this.runBelow, close, this.name);
  }

  #close(ending: SinkEnding): Promise<unknown> {
    if (ending === 'completed') {
      for (const sink of this.#closables) if (startsAnew(sink)) this.runBelow?.closedInside?.add(sink);
    }
    return Promise.all(this.#closables.splice(0).map(async (sink) => sink.close?.(ending)));
  }

  #end(): void {
    this.dead = this.inputDone = true;
    if (this.#failure) this.out.error(this.#failure.error);
    else this.out.complete();
  }

  #tearDown(): void {
    if (this.dead) this.out.detach();
    else {
      const reason = new HandedBackError(this.name, 'the flow was stopped', this.#failure?.error);
      this.countTime();
      this.dead = this.inputDone = true;
      this.demand.close();
      this.demand.end(reason);
      this.abandon(reason, false);
      this.out.detach(reason);
      this.out.place.leave(false);
    }
    if (this.#closables.length > 0) {
      const left = this.#endings?.completed ? 'completed' : 'aborted';
      void whenClosed(this.runBelow, () => this.#close(this.#failure ? 'failed' : left), this.name);
    }
    this.meter.leave(this);
  }

  /** An item that comes with a ticket, from nowhere, over the limit, or when it is too late. */
  #receiveWithCare(value: T): void {
    if (this.dead || this.inputDone) return;
    const { demand } = this;
    const ticket = demand.claim();
    if (ticket === undefined) {
      this.fail(new TicketLostError(this.name));
      return;
    }
    if (demand.emitting === 0) this.#fromNowhere();
    this.meter.in++;
    if (demand.held >= demand.limit) this.overrun();
    if (this.run?.trace) this.tell('accepted', value);
    if (this.over) {
      const what = this.dead ? 'the flow was stopped' : 'the stage failed';
      this.leave(value, ticket, new HandedBackError(this.name, what));
      return;
    }
    demand.held++;
    this.accept(value, ticket);
  }

  /** An item arrives outside any emitter's call. */
  #fromNowhere(): void {
    const { demand } = this;
    if (!demand.fed || demand.subscribing || demand.pushed) return;
    demand.late++;
    if (demand.declared || demand.unclaimed - demand.late <= 0) return;
    demand.complain(
      'late',
      () =>
        new UnclaimedError(
          `${this.name}: items arrive later than they were emitted: a native operator holds them; use poolMap, batch or ` +
            'boundedQueue, or say that it is meant: stage(name, operator)',
        ),
    );
  }

  /** An item has arrived although the limit is held. */
  protected overrun(): void {
    const { demand } = this;
    this.meter.overruns++;
    if (demand.pushed || demand.declared || demand.emitting > 0) return;
    const held = demand.limit === 1 ? '1 is' : `${demand.limit} are`;
    const source = demand.fed ? 'a source that waits' : 'no source that can wait';
    demand.complain(
      'overrun',
      () =>
        new OverrunError(
          `${this.name}: items arrive although ${held} held, with ${source} above; use fromPull, intake or ` +
            'boundedQueue, or say that it is meant: fromPush(source)',
        ),
    );
  }
}
