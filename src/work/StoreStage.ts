import type { Subscriber, Subscription } from 'rxjs';
import { after, now } from '../clock.ts';
import { Stage } from '../demand/Stage.ts';
import { closeAtEnd } from '../flow/Run.ts';
import type { StageIdentity } from '../metrics/StageMeter.ts';
import { RingQueue } from '../queue/RingQueue.ts';
import { RetryClock, type RetryPolicy } from '../retry/RetryPolicy.ts';
import { under } from '../tickets/current.ts';
import { originsOf } from '../tickets/Origins.ts';
import type { Ticket } from '../tickets/Ticket.ts';
import type { Concurrency } from './Concurrency.ts';
import { ItemContext } from './ItemContext.ts';
import type { DeadLetter, FailurePolicy } from './DeadLetter.ts';
import type { Sink, SinkContext } from './Sink.ts';
import { waitForRetry } from './withRetry.ts';

export interface StoreSettings<T> {
  readonly maxItems: number;
  readonly maxWaitMs: number;
  readonly workers: Concurrency;
  readonly retry: RetryPolicy | undefined;
  readonly onFailure: FailurePolicy<T>;
}

interface Entry<T> {
  readonly value: T;
  readonly ticket: Ticket | null;
  state: 'held' | 'confirmed' | 'gone';
}

/** Items that are stored together. */
interface Batch<T> {
  readonly entries: readonly Entry<T>[];
  readonly context: ItemContext;
  readonly startedAt: number;
  /** The most attempts that any of them needed. */
  attempts: number;
}

/** The stage behind `storeTo`: gathers batches, stores them, and delivers what is confirmed, one item at a time. */
export class StoreStage<T> extends Stage<T, T> {
  readonly #sink: Sink<T>;
  readonly #settings: StoreSettings<T>;
  /** One attempt at a batch. */
  readonly #store: Sink<T>['store'];
  #concurrency: number;
  readonly #gathered = new RingQueue<Entry<T>>();
  readonly #confirmed = new RingQueue<Entry<T>>();
  /** The batches being stored, by worker number. */
  readonly #storing = new Map<number, Batch<T>>();
  #timer: Subscription | undefined;
  #due = false;
  #emitting: Entry<T> | undefined;
  #batches = 0;

  constructor(identity: StageIdentity, subscriber: Subscriber<T>, sink: Sink<T>, settings: StoreSettings<T>) {
    super(identity, subscriber, limitOf(settings, settings.workers.limit));
    this.#sink = sink;
    this.#settings = settings;
    closeAtEnd(sink, this, subscriber);
    if (typeof settings.onFailure === 'object') settings.onFailure.serve(this, subscriber);
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
    return this.#gathered.size;
  }

  /** Sets another number of batches at once. A lowered one lets those that are being stored finish. */
  resize(concurrency: number): void {
    this.#concurrency = concurrency;
    this.meter.resize(concurrency);
    this.#storeNext();
    this.demand.resize(limitOf(this.#settings, concurrency));
  }

  protected override accept(value: T, ticket: Ticket | null): void {
    this.#gathered.push({ value, ticket, state: 'held' });
    if (this.letsGo) this.#due = true;
    this.#storeNext();
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
    if (this.#confirmed.size === 0 || !this.out.ready()) return false;
    const entry = this.#confirmed.take();
    this.#emitting = entry;
    this.meter.emitted++;
    this.out.emit(entry.value, entry.ticket);
    this.#emitting = undefined;
    this.#leaves(entry, 'out');
    return true;
  }

  protected override idle(): boolean {
    return this.#gathered.size + this.#confirmed.size + this.#storing.size === 0;
  }

  protected override abandon(reason: unknown, keepFinished: boolean): void {
    this.#timer?.unsubscribe();
    while (this.#gathered.size > 0) this.#handBack(this.#gathered.take(), reason);
    for (const { entries, context } of this.#storing.values()) {
      context.abort(reason);
      for (const entry of entries) if (entry.state === 'held') this.#handBack(entry, reason);
    }
    this.#storing.clear();
    if (keepFinished) return;
    // Stored, but nobody below will hear of it: settled as stored.
    while (this.#confirmed.size > 0) {
      const entry = this.#confirmed.take();
      if (entry !== this.#emitting) this.#leaves(entry, 'out');
    }
  }

  /** Starts as many batches as are full, or due, and have a worker. */
  #storeNext(): void {
    const { maxItems } = this.#settings;
    while (!this.dead && this.#gathered.size > 0 && this.#storing.size < this.#concurrency) {
      if (this.#gathered.size < maxItems && !this.#due && !this.inputDone) break;
      const entries: Entry<T>[] = [];
      while (entries.length < maxItems && this.#gathered.size > 0) entries.push(this.#gathered.take());
      this.#timer?.unsubscribe();
      this.#timer = undefined;
      void this.#storeBatch(entries);
    }
    if (this.#gathered.size === 0) this.#due = false;
    else if (!this.#timer && this.#settings.maxWaitMs !== Infinity) this.#startTimer();
  }

  #startTimer(): void {
    this.#timer = after(this.#settings.maxWaitMs, () => {
      this.#due = true;
      this.#storeNext();
    });
  }

  async #storeBatch(entries: readonly Entry<T>[]): Promise<void> {
    let worker = 0;
    while (this.#storing.has(worker)) worker++;
    const index = this.#batches++;
    const startedAt = now();
    const slot = { demand: this.demand, index, abandoned: undefined, context: undefined, startedAt };
    const context = new ItemContext(index, worker, slot);
    const batch: Batch<T> = { entries, context, startedAt, attempts: 1 };
    this.#storing.set(worker, batch);
    try {
      await this.#storeOrSplit(entries, batch);
    } catch (error) {
      if (!this.dead) this.#giveUp(entries, error);
      return;
    } finally {
      this.meter.busyMs += now() - startedAt;
    }
    if (this.dead || this.#storing.get(worker) !== batch) return;
    this.#storing.delete(worker);
    this.#storeNext();
    this.deliver();
  }

  /** Stores these, or finds those that cannot be; throws only what ends the flow. */
  async #storeOrSplit(entries: readonly Entry<T>[], batch: Batch<T>): Promise<void> {
    if (entries.every((entry) => this.#gone(entry))) return;
    try {
      await this.#attempts(entries, batch);
    } catch (error) {
      if (entries.every((entry) => this.#gone(entry))) return;
      const kind = this.#sink.classify?.(error) ?? 'retry';
      if (kind === 'fatal') throw error;
      if (kind === 'data' && entries.length > 1) {
        const middle = entries.length >> 1;
        await this.#storeOrSplit(entries.slice(0, middle), batch);
        await this.#storeOrSplit(entries.slice(middle), batch);
        return;
      }
      await this.#failed(entries, error, batch);
      return;
    }
    for (const entry of entries) this.#confirm(entry);
    this.deliver();
  }

  /** Stopped, or handed back. */
  #gone(entry: Entry<T>): boolean {
    return this.dead || entry.state !== 'held';
  }

  async #attempts(entries: readonly Entry<T>[], batch: Batch<T>): Promise<void> {
    const { context } = batch;
    const values = entries.map((entry) => entry.value);
    const origins = originsOf(entries.map((entry) => entry.ticket));
    const clock = this.#settings.retry && new RetryClock(this.#settings.retry, now());
    for (let attempt = 1; ; attempt++) {
      const forked = context.fork(attempt);
      if (attempt > batch.attempts) batch.attempts = attempt;
      if (origins) forked.origins = origins;
      try {
        await under(null, () => this.#store(values, forked));
        return;
      } catch (error) {
        if (this.dead || !clock || (this.#sink.classify?.(error) ?? 'retry') !== 'retry') throw error;
        await new Promise<void>((resolve, reject) => {
          const whenStopping = (stop: () => void): (() => void) => context.whenStopping(stop);
          waitForRetry(error, clock, whenStopping, resolve, () => {
            reject(error);
          });
        });
        this.meter.retried += entries.length;
        if (this.run?.trace)
          for (const { value } of entries) this.tell('retried', value, context.worker, attempt + 1);
      }
    }
  }

  #confirm(entry: Entry<T>): void {
    if (this.dead || entry.state !== 'held') return;
    entry.state = 'confirmed';
    this.meter.stored++;
    if (this.run?.trace) this.tell('stored', entry.value);
    this.#confirmed.push(entry);
  }

  /** These cannot be stored, and the flow goes on. */
  async #failed(entries: readonly Entry<T>[], error: unknown, batch: Batch<T>): Promise<void> {
    const { onFailure } = this.#settings;
    if (onFailure === 'fail') throw error;
    if (onFailure === 'drop') {
      this.#leaveWithout(entries, 'dropped');
      return;
    }
    const { attempts, startedAt } = batch;
    const facts = { error, attempts, stage: this.name, elapsedMs: now() - startedAt };
    for (const portion of onFailure.portions(entries)) {
      const held = portion.filter((entry) => !this.#gone(entry));
      if (held.length === 0) return; // handed back while others were taken
      const letters: DeadLetter<T>[] = held.map(({ value }) => ({ value, ...facts }));
      await onFailure.put(letters, batch.context.fork());
      this.#leaveWithout(held, 'dead');
    }
  }

  #leaveWithout(entries: readonly Entry<T>[], outcome: 'dropped' | 'dead'): void {
    for (const entry of entries) {
      if (this.#gone(entry)) continue;
      if (this.run?.trace) this.tell(outcome, entry.value);
      this.#leaves(entry, outcome);
    }
  }

  #giveUp(entries: readonly Entry<T>[], error: unknown): void {
    for (const entry of entries) if (entry.state === 'held') this.#handBack(entry, error);
    this.fail(error);
  }

  /** The item has its outcome and its place is free. */
  #leaves(entry: Entry<T>, outcome: 'out' | 'dropped' | 'dead'): void {
    entry.state = 'gone';
    this.meter[outcome]++;
    if (entry.ticket !== null) entry.ticket.release();
    if (!this.dead) this.demand.release();
  }

  #handBack(entry: Entry<T>, reason: unknown): void {
    entry.state = 'gone';
    this.leave(entry.value, entry.ticket, reason);
  }
}

/** Items that may be gathered, being stored, or confirmed and not delivered: one batch beyond those being stored. */
function limitOf({ maxItems }: { readonly maxItems: number }, concurrency: number): number {
  return maxItems * (concurrency + 1);
}
