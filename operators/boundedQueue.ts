import { Observable, type OperatorFunction, type Subscriber } from 'rxjs';
import { Stage } from '../src/demand/Stage.ts';
import { QueueOverflowError } from '../src/errors.ts';
import type { StageIdentity } from '../src/metrics/StageMeter.ts';
import { callable, given, nonEmpty, oneOf, wholeNumber } from '../src/options.ts';
import { RingQueue } from '../src/queue/RingQueue.ts';
import type { Ticket } from '../src/tickets/Ticket.ts';
import { itemHook, type ItemHook } from '../src/work/itemHook.ts';

export interface DroppedItem<T> {
  readonly value: T;
  readonly reason: 'dropOldest' | 'dropNewest';
}

export interface BoundedQueueOptions<T> {
  /** Items held at most. Whole number, 1 or more. */
  readonly capacity: number;
  /** What happens where a source that cannot wait finds the queue full. @defaultValue 'fail' */
  readonly overflow?: 'fail' | 'dropOldest' | 'dropNewest';
  /** Told of every item that `overflow` drops. A promise is waited for only by the end of the run. */
  readonly onDrop?: (dropped: DroppedItem<T>) => unknown;
  /** Name in reports and messages. @defaultValue 'boundedQueue' */
  readonly name?: string;
}

/**
 * Holds up to `capacity` items between a fast and a slow stage.
 *
 *     source         abcd|
 *     a              --A|
 *     b                 --B|
 *     c                    --C|
 *     d                       --D|
 *     output         --A--B--C--D|
 *     queue.waiting  012---1--0
 *     boundedQueue({ capacity: 4, name: 'queue' }), poolMap(work, { concurrency: 1 })
 *
 * - **Emits when** the stage below has room, the item that has waited longest first; at once where no stage is below.
 * - **Waits when** it holds `capacity` items: its demand is closed then.
 * - **Drops** nothing over a source that waits. Over one that cannot, `overflow` decides once the queue is full.
 * - **Completes when** the source has completed and the queue is empty.
 * - **Errors when** the source errors, after the queue is empty; `QueueOverflowError` under `overflow: 'fail'`.
 * - **Unsubscribing** hands back what is in the queue.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function boundedQueue<T>(options: BoundedQueueOptions<T>): OperatorFunction<T, T> {
  const { capacity, overflow = 'fail', onDrop, name = 'boundedQueue' } = given(options);
  wholeNumber('boundedQueue: capacity', capacity, 1);
  oneOf('boundedQueue: overflow', overflow, ['fail', 'dropOldest', 'dropNewest']);
  if (onDrop !== undefined) callable('boundedQueue: onDrop', onDrop);
  nonEmpty('boundedQueue: name', name);
  const identity = { operator: 'boundedQueue', name, slots: 0 };

  return (source) =>
    new Observable((subscriber) => {
      new QueueStage(identity, subscriber, capacity, overflow, onDrop).connect(source, subscriber);
    });
}

class QueueStage<T> extends Stage<T, T> {
  readonly #values = new RingQueue<T>();
  readonly #tickets = new RingQueue<Ticket | null>();
  readonly #overflow: 'fail' | 'dropOldest' | 'dropNewest';
  readonly #onDrop: ItemHook<DroppedItem<T>> | undefined;

  constructor(
    identity: StageIdentity,
    subscriber: Subscriber<T>,
    capacity: number,
    overflow: 'fail' | 'dropOldest' | 'dropNewest',
    onDrop: ((dropped: DroppedItem<T>) => unknown) | undefined,
  ) {
    super(identity, subscriber, capacity);
    this.#overflow = overflow;
    this.#onDrop = onDrop && itemHook(onDrop, 'onDrop', this);
  }

  protected override accept(value: T, ticket: Ticket | null): void {
    const { demand } = this;
    this.#values.push(value);
    this.#tickets.push(ticket);
    this.deliver();
    // A synchronous 1→n operator under a source that waits may exceed the bound by n − 1; nothing is dropped for it.
    const pushed = demand.pushed || demand.emitting === 0;
    if (demand.held > demand.limit && pushed && !this.dead) this.#overflows();
  }

  protected override emitNext(): boolean {
    if (this.#values.size === 0 || !this.out.ready()) return false;
    const value = this.#values.take();
    const ticket = this.#tickets.take();
    this.meter.emitted++;
    this.out.emit(value, ticket);
    this.meter.out++;
    if (ticket !== null) ticket.release();
    if (!this.dead) this.demand.release();
    return true;
  }

  protected override idle(): boolean {
    return this.#values.size === 0;
  }

  protected override abandon(reason: unknown, keepFinished: boolean): void {
    if (keepFinished) return; // what is in the queue was accepted, and there is no work to abort
    while (this.#values.size > 0) this.leave(this.#values.take(), this.#tickets.take(), reason);
  }

  /** Over a source that waits this is not a fault; the policy speaks for one that cannot. */
  protected override overrun(): void {
    this.meter.overruns++;
  }

  #overflows(): void {
    if (this.#overflow === 'fail') {
      const error = new QueueOverflowError(this.name, this.demand.limit);
      const value = this.#values.takeLast();
      const ticket = this.#tickets.takeLast();
      this.fail(error);
      this.leave(value, ticket, error); // there is no room for it
      return;
    }
    const reason = this.#overflow;
    const oldest = reason === 'dropOldest';
    const dropped = oldest ? this.#values.take() : this.#values.takeLast();
    const droppedTicket = oldest ? this.#tickets.take() : this.#tickets.takeLast();
    this.meter.dropped++;
    this.demand.held--;
    if (droppedTicket !== null) droppedTicket.release();
    if (this.run?.trace) this.tell('dropped', dropped);
    try {
      this.#onDrop?.tell({ value: dropped, reason });
    } catch (error) {
      this.#onDrop?.failed(error);
    }
  }
}
