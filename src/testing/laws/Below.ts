import { Observable, type MonoTypeOperatorFunction, type Subscriber } from 'rxjs';
import { Stage } from '../../demand/Stage.ts';
import type { Ticket } from '../../tickets/Ticket.ts';

/** The stage below what is checked: it has one place, which is free again when the law says so. */
export class Below<T> {
  /** Items that have arrived. */
  accepted = 0;
  /** Items that it held at the same time, at most. */
  most = 0;
  /** How many of its items may still leave. */
  allowed = 0;
  #stage: HoldingStage<T> | undefined;

  readonly operator: MonoTypeOperatorFunction<T> = (source) =>
    new Observable((subscriber) => {
      const stage = new HoldingStage(subscriber, this);
      this.#stage = stage;
      stage.connect(source, subscriber);
    });

  /** Lets `count` of its items, now or later, leave. */
  release(count = 1): void {
    this.allowed += count;
    this.#stage?.goOn();
  }

  /** Lets all leave, now and from now on. */
  open(): void {
    this.release(Infinity);
  }

  /** Items that have left it. */
  get released(): number {
    return this.accepted - (this.#stage?.held ?? 0);
  }
}

class HoldingStage<T> extends Stage<T, T> {
  readonly #below: Below<T>;
  readonly #items: { readonly value: T; readonly ticket: Ticket | null }[] = [];

  constructor(subscriber: Subscriber<T>, below: Below<T>) {
    super({ operator: 'law', name: 'the stage below', slots: 1 }, subscriber, 1);
    this.#below = below;
  }

  get held(): number {
    return this.#items.length;
  }

  goOn(): void {
    this.deliver();
  }

  /** That items arrive too early is found out by the law. */
  override complain(): void {
    // Nothing to say.
  }

  protected override accept(value: T, ticket: Ticket | null): void {
    this.#items.push({ value, ticket });
    this.#below.accepted++;
    this.#below.most = Math.max(this.#below.most, this.#items.length);
    this.deliver();
  }

  protected override emitNext(): boolean {
    if (this.#below.allowed === 0 || this.#items.length === 0 || !this.out.ready()) return false;
    const { value, ticket } = this.#items.shift()!;
    this.#below.allowed--;
    this.meter.emitted++;
    this.out.emit(value, ticket);
    this.meter.out++;
    if (ticket !== null) ticket.release();
    if (!this.dead) this.demand.release();
    return true;
  }

  protected override idle(): boolean {
    return this.#items.length === 0;
  }

  protected override abandon(reason: unknown, keepFinished: boolean): void {
    if (keepFinished) return;
    for (const { value, ticket } of this.#items.splice(0)) this.leave(value, ticket, reason);
  }
}
