import type { Subscriber, Subscription } from 'rxjs';
import { after, now } from '../clock.ts';
import { Stage } from '../demand/Stage.ts';
import type { StageIdentity } from '../metrics/StageMeter.ts';
import { RingQueue } from '../queue/RingQueue.ts';
import { RetryClock, type RetryPolicy } from '../retry/RetryPolicy.ts';
import { under } from '../tickets/current.ts';
import { originsOf } from '../tickets/Origins.ts';
import type { Ticket } from '../tickets/Ticket.ts';
import type { Concurrency } from './Concurrency.ts';
import { ItemContext } from './ItemContext.ts';
import type { DeadLetter, FailurePolicy } from './DeadLetter.ts';
import { atOnce } from './isPromiseLike.ts';
import type { FailureClass, Sink, SinkContext } from './Sink.ts';
import { waitForRetry } from './withRetry.ts';

export interface StoreSettings<T> {
  readonly maxItems: number;
  readonly maxWaitMs: number;
  readonly workers: Concurrency;
  readonly retry: RetryPolicy | undefined;
  readonly onFailure: FailurePolicy<T>;
}

const HELD = 0;
const CONFIRMED = 1;
const GONE = 2;

/** Items that are stored together: columns, since an object for each item would have to outlive its batch. */
class Batch<T> {
  readonly values: T[] = [];
  /** By index, where any of them has one. */
  tickets: (Ticket | null)[] | undefined;
  readonly states: (typeof HELD | typeof CONFIRMED | typeof GONE)[] = [];
  context: ItemContext | undefined;
  startedAt = 0;
  /** Up to when its time is counted. */
  countedTo = 0;
  /** The most attempts that any of them needed. */
  attempts = 1;

  add(value: T, ticket: Ticket | null): void {
    if (ticket !== null) this.tickets ??= this.values.map(() => null);
    this.values.push(value);
    if (this.tickets !== undefined) this.tickets.push(ticket);
    this.states.push(HELD);
  }

  ticket(index: number): Ticket | null {
    return this.tickets === undefined ? null : (this.tickets[index] as Ticket | null);
  }
}

/** Some of a batch, from one index to before another. */
interface Part<T> {
  readonly batch: Batch<T>;
  from: number;
  readonly to: number;
}

/** The stage behind `storeTo`: gathers batches, stores them, and delivers what is confirmed, one item at a time. */
export class StoreStage<T> extends Stage<T, T> {
  readonly #sink: Sink<T>;
  readonly #settings: StoreSettings<T>;
  /** One attempt at a batch. */
  readonly #store: Sink<T>['store'];
  #concurrency: number;
  /** Batches that wait to be stored; the last may still grow. */
  readonly #gathered = new RingQueue<Batch<T>>();
  #last = new Batch<T>();
  /** Items in them. */
  #waiting = 0;
  /** The batches being stored, by worker number. */
  readonly #storing = new Map<number, Batch<T>>();
  /** What is to be delivered; those of it that were handed back meanwhile are passed over. */
  readonly #confirmed = new RingQueue<Part<T>>();
  #timer: Subscription | undefined;
  #due = false;
  #batches = 0;

  constructor(identity: StageIdentity, subscriber: Subscriber<T>, sink: Sink<T>, settings: StoreSettings<T>) {
    super(identity, subscriber, limitOf(settings, settings.workers.limit));
    this.#sink = sink;
    this.#settings = settings;
    this.closeAtEnd(sink);
    if (typeof settings.onFailure === 'object') settings.onFailure.closeBy(this);
    this.#concurrency = settings.workers.limit;
    this.#store = settings.workers.measured((items: readonly T[], context: SinkContext) =>
      Promise.resolve(sink.store(items, context)),
    );
  }

  /** Batches being stored. */
  override get active(): number {
    return this.#storing.size;
  }

  override get waiting(): number {
    return this.#waiting;
  }

  /** Sets another number of batches at once. A lowered one lets those that are being stored finish. */
  resize(concurrency: number): void {
    this.#concurrency = concurrency;
    this.meter.resize(concurrency);
    this.#storeNext();
    this.demand.resize(limitOf(this.#settings, concurrency));
  }

  protected override accept(value: T, ticket: Ticket | null): void {
    const { maxItems } = this.#settings;
    if (this.#gathered.size === 0 || this.#last.values.length === maxItems) {
      this.#last = new Batch();
      this.#gathered.push(this.#last);
    }
    this.#last.add(value, ticket);
    this.#waiting++;
    if (this.letsGo) this.#due = true;
    if (this.#due || this.#waiting >= maxItems || this.#waiting === 1) this.#storeNext();
  }

  /** Nobody below has to know: a stored item needs no outcome there, though a stage below that takes it in delays its own. */
  override announced(): void {
    // Stages below a store need no tickets.
  }

  protected override flush(): void {
    this.#due = true;
    this.#storeNext();
  }

  protected override emitNext(): boolean {
    if (this.#confirmed.size === 0) return false;
    const part = this.#confirmed.peek();
    const { batch, from } = part;
    const confirmed = batch.states[from] === CONFIRMED;
    if (confirmed && !this.out.ready()) return false;
    part.from++;
    if (part.from === part.to) this.#confirmed.take();
    if (!confirmed) return true;
    this.meter.emitted++;
    this.out.emit(batch.values[from] as T, batch.ticket(from));
    this.#leaves(batch, from, 'out');
    return true;
  }

  protected override idle(): boolean {
    return this.#waiting + this.#confirmed.size + this.#storing.size === 0;
  }

  protected override abandon(reason: unknown, keepFinished: boolean): void {
    this.#timer?.unsubscribe();
    while (this.#gathered.size > 0) this.#handBack(this.#gathered.take(), reason);
    this.#waiting = 0;
    for (const batch of this.#storing.values()) {
      batch.context?.abort(reason);
      this.#handBack(batch, reason);
    }
    this.#storing.clear();
    if (keepFinished) return;
    // Stored, and not delivered: settled as stored, unless a stage below was to have it. The one that is being emitted is not
    // among them.
    const { owner } = this.out.demand;
    const goesOn = owner !== undefined && owner !== this.run;
    while (this.#confirmed.size > 0) {
      const { batch, from, to } = this.#confirmed.take();
      for (let i = from; i < to; i++) {
        if (batch.states[i] !== CONFIRMED) continue;
        if (goesOn) this.#leaveOne(batch, i, reason);
        else this.#leaves(batch, i, 'out');
      }
    }
  }

  /** Starts as many batches as are full, or due, and have a worker. */
  #storeNext(): void {
    const { maxItems } = this.#settings;
    while (!this.dead && this.#waiting > 0 && this.#storing.size < this.#concurrency) {
      const { length } = this.#gathered.peek().values;
      if (length < maxItems && !this.#due && !this.inputDone) break;
      this.#waiting -= length;
      this.#timer?.unsubscribe();
      this.#timer = undefined;
      void this.#storeBatch(this.#gathered.take());
    }
    if (this.#waiting === 0) this.#due = false;
    else if (!this.#timer && this.#settings.maxWaitMs !== Infinity) this.#startTimer();
  }

  #startTimer(): void {
    this.#timer = after(this.#settings.maxWaitMs, () => {
      this.#due = true;
      this.#storeNext();
    });
  }

  async #storeBatch(batch: Batch<T>): Promise<void> {
    let worker = 0;
    while (this.#storing.has(worker)) worker++;
    const index = this.#batches++;
    const startedAt = now();
    const slot = { demand: this.demand, index, abandoned: undefined, context: undefined, startedAt };
    const context = new ItemContext(index, worker, slot);
    batch.context = context;
    batch.startedAt = batch.countedTo = startedAt;
    this.#storing.set(worker, batch);
    try {
      await this.#storeOrSplit({ batch, from: 0, to: batch.values.length }, context);
    } catch (error) {
      if (!this.dead) {
        this.#handBack(batch, error);
        this.fail(error);
      }
      return;
    } finally {
      if (this.#storing.get(worker) === batch) this.#busyUntil(now(), batch);
    }
    if (this.dead || this.#storing.get(worker) !== batch) return;
    this.#storing.delete(worker);
    this.#storeNext();
    this.deliver();
  }

  override countTime(): void {
    const at = now();
    for (const batch of this.#storing.values()) this.#busyUntil(at, batch);
  }

  #busyUntil(at: number, batch: Batch<T>): void {
    this.meter.busyMs += at - batch.countedTo;
    batch.countedTo = at;
  }

  /** Stores these, or finds those that cannot be; throws only what ends the flow. */
  async #storeOrSplit(part: Part<T>, context: ItemContext): Promise<void> {
    if (this.#gone(part)) return;
    try {
      await this.#attempts(part, context);
    } catch (error) {
      if (this.#gone(part)) return;
      const { batch, from, to } = part;
      const kind = this.#classify(error);
      if (kind === 'fatal') throw error;
      if (kind === 'data' && to - from > 1) {
        const middle = from + ((to - from) >> 1);
        await this.#storeOrSplit({ batch, from, to: middle }, context);
        await this.#storeOrSplit({ batch, from: middle, to }, context);
        return;
      }
      await this.#failed(part, error, context);
      return;
    }
    this.#confirm(part);
    this.deliver();
  }

  /** All of them are stopped, or handed back. */
  #gone(part: Part<T>): boolean {
    const { batch, from } = part;
    return batch.states[from] !== HELD ? this.#held(part).length === 0 : this.dead;
  }

  /** The indices of those that are neither stopped nor handed back. */
  #held({ batch, from, to }: Part<T>): number[] {
    const held: number[] = [];
    if (!this.dead) for (let i = from; i < to; i++) if (batch.states[i] === HELD) held.push(i);
    return held;
  }

  async #attempts({ batch, from, to }: Part<T>, context: ItemContext): Promise<void> {
    const values = batch.values.slice(from, to);
    const origins = batch.tickets && originsOf(batch.tickets.slice(from, to));
    const clock = this.#settings.retry && new RetryClock(this.#settings.retry, now());
    for (let attempt = 1; ; attempt++) {
      const forked = context.fork(attempt);
      if (attempt > batch.attempts) batch.attempts = attempt;
      if (origins) forked.origins = origins;
      try {
        await under(null, () => this.#store(values, forked));
        return;
      } catch (error) {
        if (this.dead || !clock || this.#classify(error) !== 'retry') throw error;
        await new Promise<void>((resolve, reject) => {
          waitForRetry(error, clock, context, resolve, reject);
        });
        this.meter.retried += values.length;
        if (this.run?.trace)
          for (const value of values) this.tell('retried', value, context.worker, attempt + 1, error);
      }
    }
  }

  #classify(error: unknown): FailureClass {
    return atOnce(this.name, 'classify', this.#sink.classify?.(error), error) ?? 'retry';
  }

  #confirm(part: Part<T>): void {
    const { batch } = part;
    if (this.dead) return;
    this.#confirmed.push(part); // first: who is told of it may stop the flow
    for (let i = part.from; i < part.to; i++) {
      if (batch.states[i] !== HELD) continue;
      batch.states[i] = CONFIRMED;
      this.meter.stored++;
      if (this.run?.trace) this.tell('stored', batch.values[i]);
    }
  }

  /** These cannot be stored, and the flow goes on. */
  async #failed(part: Part<T>, error: unknown, context: ItemContext): Promise<void> {
    const { onFailure } = this.#settings;
    if (onFailure === 'fail') throw error;
    const { batch } = part;
    if (onFailure === 'drop') {
      this.#leaveWithout(batch, this.#held(part), 'dropped', error);
      return;
    }
    const { attempts, startedAt } = batch;
    const facts = { error, attempts, stage: this.name, elapsedMs: now() - startedAt };
    for (const portion of onFailure.portions(this.#held(part))) {
      const held = portion.filter((i) => !this.dead && batch.states[i] === HELD);
      if (held.length === 0) return; // handed back while others were taken
      const letters: DeadLetter<T>[] = held.map((i) => ({ value: batch.values[i] as T, ...facts }));
      await onFailure.put(letters, context.fork());
      this.#leaveWithout(batch, held, 'dead', error);
    }
  }

  #leaveWithout(
    batch: Batch<T>,
    indices: readonly number[],
    outcome: 'dropped' | 'dead',
    error: unknown,
  ): void {
    for (const i of indices) {
      if (this.dead || batch.states[i] !== HELD) continue;
      if (this.run?.trace) this.tell(outcome, batch.values[i], undefined, undefined, error);
      this.#leaves(batch, i, outcome);
    }
  }

  /** The item has its outcome and its place is free. */
  #leaves(batch: Batch<T>, index: number, outcome: 'out' | 'dropped' | 'dead'): void {
    const ticket = batch.ticket(index);
    batch.states[index] = GONE;
    this.meter[outcome]++;
    if (ticket !== null) ticket.release();
    if (!this.dead) this.demand.release();
  }

  /** Hands back what is held of a batch. */
  #handBack(batch: Batch<T>, reason: unknown): void {
    for (let i = 0; i < batch.values.length; i++)
      if (batch.states[i] === HELD) this.#leaveOne(batch, i, reason);
  }

  #leaveOne(batch: Batch<T>, index: number, reason: unknown): void {
    batch.states[index] = GONE;
    this.leave(batch.values[index], batch.ticket(index), reason);
  }
}

/** Items that may be gathered, being stored, or confirmed and not delivered: one batch beyond those being stored. */
function limitOf({ maxItems }: { readonly maxItems: number }, concurrency: number): number {
  return maxItems * (concurrency + 1);
}
