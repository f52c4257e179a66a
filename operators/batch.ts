import { Observable, type OperatorFunction, type Subscriber, type Subscription } from 'rxjs';
import { after } from '../src/clock.ts';
import { Stage } from '../src/demand/Stage.ts';
import { HandedBackError, InvalidOptionError } from '../src/errors.ts';
import type { StageIdentity } from '../src/metrics/StageMeter.ts';
import { atLeast, callable, given, nonEmpty, wholeNumber } from '../src/options.ts';
import { under } from '../src/tickets/current.ts';
import { Ticket } from '../src/tickets/Ticket.ts';
import { atOnce } from '../src/work/isPromiseLike.ts';

export interface BatchOptions<T> {
  /** Items in a batch at most. Whole number, 1 or more. */
  readonly maxItems: number;
  /** Milliseconds from the first item of a batch until it leaves, full or not; 0 or more. @defaultValue no limit */
  readonly maxWaitMs?: number;
  /** Weight of a batch at most, as `weigh` says; one item that is heavier makes a batch of its own. @defaultValue no limit */
  readonly maxWeight?: number;
  /** The weight of an item, 0 or more. @defaultValue 1 for each */
  readonly weigh?: (value: T) => number;
  /** Name in reports and messages. @defaultValue 'batch' */
  readonly name?: string;
}

/**
 * Groups items by count, time and weight; never an empty group.
 *
 *     source  ab-c---|
 *     output  -x----y|
 *     batch({ maxItems: 2, maxWaitMs: 3 })      x: [a, b], y: [c]
 *
 * - **Emits when** a batch is full, its time is up, or what comes next would make it too heavy; while the stage below
 *   has no room it goes on filling up to `maxItems`, and leaves as soon as there is room.
 * - **Waits when** it holds `maxItems`: its demand is closed then.
 * - **Drops** nothing.
 * - **Completes when** the source has completed and the last batch, full or not, is delivered.
 * - **Errors when** the source errors, after the last batch; or `weigh` throws.
 * - **Unsubscribing** hands back what is gathered. Draining lets go of it at once.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 * @see `bufferTime` of RxJS, which emits empty groups, and drops the last one at an error.
 */
export function batch<T>(options: BatchOptions<T>): OperatorFunction<T, T[]> {
  const {
    maxItems,
    maxWaitMs = Infinity,
    maxWeight = Infinity,
    weigh = () => 1,
    name = 'batch',
  } = given(options);
  wholeNumber('batch: maxItems', maxItems, 1);
  atLeast('batch: maxWaitMs', maxWaitMs, 0, true);
  atLeast('batch: maxWeight', maxWeight, 0, true);
  callable('batch: weigh', weigh);
  nonEmpty('batch: name', name);
  const identity = { operator: 'batch', name, slots: 0 };
  const bounds = { maxItems, maxWaitMs, maxWeight, weigh };
  return (source) =>
    new Observable((subscriber) => {
      new BatchStage(identity, subscriber, bounds).connect(source, subscriber);
    });
}

type Bounds<T> = Required<Omit<BatchOptions<T>, 'name'>>;

class BatchStage<T> extends Stage<T, T[]> {
  readonly #bounds: Bounds<T>;
  #values: T[] = [];
  #tickets: (Ticket | null)[] = [];
  #weights: number[] = [];
  #timer: Subscription | undefined;
  /** How many of the first items are to leave as they are, full or not. */
  #due = 0;

  constructor(identity: StageIdentity, subscriber: Subscriber<T[]>, bounds: Bounds<T>) {
    super(identity, subscriber, bounds.maxItems);
    this.#bounds = bounds;
  }

  protected override accept(value: T, ticket: Ticket | null): void {
    let weight: number;
    try {
      weight = under(null, () => this.#bounds.weigh(value));
      atOnce(this.name, 'weigh', weight);
      if (typeof weight !== 'number' || !(weight >= 0))
        throw new InvalidOptionError(`${this.name}: weigh must give a number of 0 or more`);
    } catch (error) {
      this.demand.held--;
      this.leave(value, ticket, error);
      this.fail(error);
      return;
    }
    if (this.over) {
      this.demand.held--;
      this.leave(
        value,
        ticket,
        new HandedBackError(this.name, 'the flow was stopped while the item was weighed'),
      );
      return;
    }
    this.#values.push(value);
    this.#tickets.push(ticket);
    this.#weights.push(weight);
    if (this.#values.length === 1) this.#startTimer();
    if (this.letsGo) this.flush();
    this.deliver();
  }

  protected override flush(): void {
    this.#due = this.#values.length;
  }

  protected override emitNext(): boolean {
    const size = this.#nextSize();
    if (size === 0 || !this.out.ready()) return false;
    this.#timer?.unsubscribe();
    this.#timer = undefined;
    this.#due = Math.max(0, this.#due - size);
    const values = this.#values.splice(0, size);
    const tickets = this.#tickets.splice(0, size).filter((ticket) => ticket !== null);
    this.#weights.splice(0, size);
    if (this.#values.length > 0) this.#startTimer();
    const group = tickets.length > 0 ? Ticket.group(tickets) : null;
    this.meter.emitted++;
    this.out.emit(values, group);
    this.meter.out += size;
    if (group !== null) group.release();
    if (this.dead) return true;
    this.demand.held -= size;
    this.demand.pump();
    return true;
  }

  protected override idle(): boolean {
    return this.#values.length === 0;
  }

  protected override abandon(reason: unknown, keepFinished: boolean): void {
    this.#timer?.unsubscribe();
    if (keepFinished) {
      this.flush();
      return;
    }
    const values = this.#values.splice(0);
    const tickets = this.#tickets.splice(0);
    for (const [i, value] of values.entries()) this.leave(value, tickets[i] ?? null, reason);
  }

  /** How many items leave now: a full batch, one that more would make too heavy, or what is due; 0: none. */
  #nextSize(): number {
    const { maxItems, maxWeight } = this.#bounds;
    const count = Math.min(this.#values.length, maxItems);
    if (maxWeight === Infinity) return count === maxItems || this.#due > 0 ? count : 0;
    let weight = 0;
    for (let i = 0; i < count; i++) {
      weight += this.#weights[i] ?? 0;
      if (weight > maxWeight) return Math.max(1, i);
    }
    if (count === maxItems || weight === maxWeight) return count;
    return this.#due > 0 ? count : 0;
  }

  #startTimer(): void {
    if (this.#bounds.maxWaitMs === Infinity) return;
    this.#timer?.unsubscribe();
    this.#timer = after(this.#bounds.maxWaitMs, () => {
      this.#timer = undefined;
      this.flush();
      this.deliver();
    });
  }
}
