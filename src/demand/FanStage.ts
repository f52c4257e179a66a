import { Observable, type OperatorFunction, type Subscriber } from 'rxjs';
import { HandedBackError, InvalidOptionError, TicketPathError } from '../errors.ts';
import type { StageIdentity } from '../metrics/StageMeter.ts';
import { RingQueue } from '../queue/RingQueue.ts';
import { endOfChain } from '../rx/chain.ts';
import { link } from '../rx/link.ts';
import type { Ticket } from '../tickets/Ticket.ts';
import { aside } from './Demand.ts';
import { Outlet } from './Outlet.ts';
import { Stage } from './Stage.ts';

/** An item on its way into one branch or more. */
interface Parcel<T> {
  readonly value: T;
  readonly ticket: Ticket | null;
  /** Branches that have still to take it. */
  owed: number;
  /** A branch has taken it. */
  taken: boolean;
  /** Handed back: it is settled. */
  left: boolean;
}

/** One of the operators that share the items. */
export class Branch<T, R> {
  readonly operator: OperatorFunction<T, R>;
  readonly waiting = new RingQueue<Parcel<T>>();
  /** The way in, while the branch is subscribed to its items. */
  way: Outlet<T> | undefined = undefined;
  /** All its results are delivered. Until then it is waited for, since it may subscribe again, as a retry does. */
  done = false;

  constructor(operator: OperatorFunction<T, R>) {
    this.operator = operator;
  }
}

/**
 * Gives items to branches, each as the demand of that branch allows, and merges their results. It ends when all of them
 * have. A subclass says which branches an item is for.
 */
export abstract class FanStage<T, R> extends Stage<T, R> {
  readonly #subscriber: Subscriber<R>;
  readonly #branches: readonly Branch<T, R>[];
  #inputError: { readonly error: unknown } | undefined;

  constructor(
    identity: StageIdentity,
    subscriber: Subscriber<R>,
    limit: number,
    branches: readonly Branch<T, R>[],
  ) {
    super(identity, subscriber, limit);
    this.#subscriber = subscriber;
    this.#branches = branches;
  }

  /** Subscribes to the branches, then upstream. */
  open(source: Observable<T>): void {
    const openBranches = (): void => {
      for (const branch of this.#branches) this.#openBranch(branch);
    };
    const opened = new Observable<T>((above) => {
      if (this.out.linked) openBranches();
      else aside(openBranches); // where nothing is below, its branches are cut off from nothing
      this.run?.list(this.meter); // above its branches
      return this.over ? undefined : source.subscribe(above);
    });
    this.connect(opened, this.#subscriber);
  }

  override inputFailed(error: unknown): void {
    this.#inputError ??= { error };
    super.inputFailed(error);
  }

  override fail(error: unknown): void {
    if (!this.over) this.#inputError = { error };
    super.fail(error);
  }

  override announced(): void {
    super.announced();
    for (const { way } of this.#branches) if (way) this.#announceTo(way);
  }

  /** Those that still take items. */
  protected get branches(): readonly Branch<T, R>[] {
    return this.#branches.filter(({ done }) => !done);
  }

  /** Each branch hears of it, and passes it on to those below. */
  override urge(by: number): void {
    for (const { way } of this.#branches) way?.demand.urge(by);
  }

  /** What is beside it are its own branches, which wait for it. */
  protected override lingers(): boolean {
    return false;
  }

  /** Sends an item that was accepted to branches that are not done. */
  protected send(value: T, ticket: Ticket | null, branches: readonly Branch<T, R>[]): void {
    const parcel = { value, ticket, owed: branches.length, taken: false, left: false };
    for (const branch of branches) branch.waiting.push(parcel);
    this.deliver();
  }

  /** No branch wants the item any more, and none has taken it. */
  protected abstract unwanted(value: T, ticket: Ticket | null): void;

  protected override deliver(): void {
    super.deliver();
    for (const { way } of this.#branches) way?.pass();
  }

  protected override emitNext(): boolean {
    let progress = false;
    for (const branch of this.#branches) {
      const { way, waiting } = branch;
      if (way === undefined) continue;
      if (waiting.size > 0) {
        if (!way.ready()) continue;
        this.#give(waiting.take(), way);
      } else if (this.inputDone) this.#endOf(branch, way);
      else continue;
      if (this.dead) return false;
      progress = true;
    }
    return progress;
  }

  protected override idle(): boolean {
    return this.#branches.every(({ done }) => done);
  }

  // Also where it fails: an item that one branch cannot take any more is not done, whatever the others do with it.
  protected override abandon(reason: unknown): void {
    for (const { waiting } of this.#branches) {
      while (waiting.size > 0) {
        const parcel = waiting.take();
        if (parcel.left) continue;
        parcel.left = true;
        this.demand.held--;
        this.leave(parcel.value, parcel.ticket, reason);
      }
    }
  }

  #openBranch(branch: Branch<T, R>): void {
    const items = new Observable<T>((subscriber) => {
      this.#enter(branch, subscriber);
    });
    const results = link<R, R>(this.#subscriber, {
      error: (error) => {
        this.#branchFailed(branch, error);
      },
      complete: () => {
        this.#branchDone(branch);
      },
    });
    try {
      branch.operator(items).subscribe(results);
    } catch (error) {
      this.#branchFailed(branch, error); // as in `pipe`: an operator may check its options when it is applied
    }
  }

  /** The branch subscribes to its items. */
  #enter(branch: Branch<T, R>, subscriber: Subscriber<T>): void {
    if (branch.way) {
      const what = `${this.name}: a branch subscribes to its items once at a time; what takes them twice is two branches`;
      subscriber.error(new InvalidOptionError(what));
      return;
    }
    const way = new Outlet<T>(subscriber, this);
    branch.way = way;
    subscriber.add(() => {
      this.#close(branch, way);
      way.detach(new HandedBackError(this.name, 'the branch was stopped'));
    });
    if (this.demand.ticketed) this.#announceTo(way);
    if (this.demand.urges > 0) way.demand.urge(this.demand.urges);
    this.deliver();
  }

  #close(branch: Branch<T, R>, way: Outlet<T>): void {
    if (branch.way !== way) return;
    branch.way = undefined;
    if (this.demand.urges > 0) way.demand.urge(-this.demand.urges);
  }

  #announceTo(way: Outlet<T>): void {
    way.demand.announce();
    if (way.linked) return;
    const cut = this.out.linked
      ? 'a branch cuts the chain'
      : `a branch needs a stage of sluice in it, or runFlow below, and its chain ends at ${endOfChain(way.subscriber)}`;
    this.fail(new TicketPathError(this.name, cut));
  }

  #give(parcel: Parcel<T>, way: Outlet<T>): void {
    const { value, ticket } = parcel;
    parcel.taken = true;
    this.meter.emitted++;
    if (ticket !== null) ticket.hold(); // stopped meanwhile, the stage gives back its own
    way.emit(value, ticket);
    if (ticket !== null) ticket.release();
    this.#takenBy(parcel);
  }

  /** One branch less has to take it. */
  #takenBy(parcel: Parcel<T>): void {
    const { value, ticket } = parcel;
    parcel.owed--;
    if (parcel.owed > 0) return;
    if (!parcel.taken) {
      this.unwanted(value, ticket);
      return;
    }
    this.meter.out++;
    if (ticket !== null) ticket.release();
    if (!this.dead) this.demand.release();
  }

  /** Nothing more comes: the branch finishes what it holds. */
  #endOf(branch: Branch<T, R>, way: Outlet<T>): void {
    this.#close(branch, way);
    if (this.#inputError) way.error(this.#inputError.error);
    else way.complete();
  }

  #branchFailed(branch: Branch<T, R>, error: unknown): void {
    branch.done = true;
    if (!this.#inputError) this.fail(error);
    this.#branchDone(branch);
  }

  /** What waits for it is not for it any more; where it was the last, nobody is left to take anything in for. */
  #branchDone(branch: Branch<T, R>): void {
    branch.done = true;
    if (this.dead) return;
    while (branch.waiting.size > 0) this.#takenBy(branch.waiting.take());
    if (!this.inputDone && this.idle()) {
      this.demand.end(new HandedBackError(this.name, 'every branch has completed'));
      this.leaveInput(); // the next item would be for nobody, and may come before this one's call returns
      this.inputEnded();
    } else this.deliver();
  }
}
