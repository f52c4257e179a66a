import type { ObservableInput, Subscriber } from 'rxjs';
import { now } from '../clock.ts';
import { HandedBackError } from '../errors.ts';
import { whenClosed, type Run } from '../flow/Run.ts';
import type { Demand } from '../demand/Demand.ts';
import { SHORT_ROW, Stage } from '../demand/Stage.ts';
import { StageMeter, type StageIdentity } from '../metrics/StageMeter.ts';
import { KeyedLine, PlainLine, type Line } from '../pool/lines.ts';
import { RingQueue } from '../queue/RingQueue.ts';
import { InnerInlet } from '../rx/InnerInlet.ts';
import { current } from '../tickets/current.ts';
import type { Ticket } from '../tickets/Ticket.ts';
import { atOnce, isPromiseLike } from './isPromiseLike.ts';
import { ItemContext, type ItemSlot } from './ItemContext.ts';
import { dated } from './LetterBox.ts';
import type { DeadLetter, FailurePolicy } from './DeadLetter.ts';
import { streamOf } from './streamOf.ts';
import type { Work } from './Work.ts';

export interface PoolSettings<T> {
  readonly concurrency: number;
  readonly maxWaiting: number;
  readonly ordered: boolean;
  readonly by: ((value: T) => unknown) | undefined;
  readonly onFailure: FailurePolicy<T>;
}

/** What counts for the ledger when a job is finished. */
export type Outcome = 'out' | 'rejected' | 'dropped' | 'dead';

// Numbers, since storing one costs less than storing a string.
const WAITING = 0;
const WORKING = 1;
/** Its work has failed, and the dead-letter handler has not answered yet. */
const SETTLING = 2;
const DONE = 3;
const ABANDONED = 4;
type JobState = typeof WAITING | typeof WORKING | typeof SETTLING | typeof DONE | typeof ABANDONED;

/** One item inside the pool. Reused, with its two callbacks, so that an item in steady state makes no closure. */
export class Job<T, R> implements ItemSlot {
  readonly demand: Demand;
  value!: T;
  ticket: Ticket | null = null;
  key: unknown = undefined;
  index = 0;
  worker = -1;
  state: JobState = WAITING;
  /** One of its results is on its way down. */
  emitting = false;
  outcome: Outcome = 'out';
  /** It has what most items never have: a key, a result that waits, an Observable, another outcome than `out`. */
  more = false;
  context: ItemContext | undefined = undefined;
  abandoned: { readonly reason: unknown } | undefined = undefined;
  /** The result of a promise, its only one. */
  result: R | undefined = undefined;
  hasResult = false;
  /** Results of an Observable that are not delivered yet. */
  outbox: RingQueue<R> | undefined = undefined;
  inner: InnerInlet<R> | undefined = undefined;
  /** How many items this one stands for where time is measured; 0: it is not timed. */
  weight = 0;
  since = 0;
  /** When its first attempt began, where dead letters are written. */
  startedAt = 0;
  /** The next one that is to be used again. */
  next: Job<T, R> | undefined = undefined;
  readonly fulfilled: (result: R) => void;
  readonly rejected: (error: unknown) => void;

  constructor(pool: PoolStage<T, R>) {
    this.demand = pool.demand;
    this.fulfilled = (result) => {
      pool.fulfilled(this, result);
    };
    this.rejected = (error) => {
      pool.failed(this, error);
    };
  }

  /** Forgets what most items never have. */
  clear(): void {
    this.key = this.result = this.outbox = this.inner = undefined;
    this.hasResult = this.more = false;
    this.outcome = 'out';
  }
}

/** The stage behind `poolMap`: a line, a fixed number of workers, and results that keep their place until delivered. */
export class PoolStage<T, R> extends Stage<T, R> {
  readonly #work: Work<T, ObservableInput<R>>;
  readonly #settings: PoolSettings<T>;
  readonly #line: Line<Job<T, R>>;
  /** Unordered: a job stands here once for every result, and once for its end if that comes apart. */
  readonly #ready = new RingQueue<Job<T, R>>();
  /** Ordered: every job that was accepted and is not finished. */
  readonly #order = new RingQueue<Job<T, R>>();
  /** Whom each worker works for, or did last. */
  readonly #workers: Job<T, R>[] = [];
  /** The worker that was last to be free, -1 if there is none, and those that were before it. */
  #freeWorker = -1;
  readonly #freeWorkers: number[] = [];
  /** Jobs to be used again, each of which knows the next. */
  #spare: Job<T, R> | undefined = undefined;
  #concurrency: number;
  readonly #ordered: boolean;
  /** No order to keep, and no keys. */
  readonly #plain: boolean;
  #working = 0;
  #index = 0;
  #starting = false;

  constructor(
    identity: StageIdentity,
    subscriber: Subscriber<R>,
    work: Work<T, ObservableInput<R>>,
    settings: PoolSettings<T>,
  ) {
    super(identity, subscriber, settings.concurrency + settings.maxWaiting);
    const { onFailure } = settings;
    this.#work = typeof onFailure === 'object' ? dated(work) : work;
    if (typeof onFailure === 'object') onFailure.closeBy(this);
    this.#settings = settings;
    this.#concurrency = settings.concurrency;
    this.#ordered = settings.ordered;
    this.#plain = !settings.ordered && settings.by === undefined;
    // In order of arrival where results keep it: a stream that waits for its turn must not have the worker of the first.
    this.#line = settings.by ? new KeyedLine(settings.ordered) : new PlainLine();
  }

  override get active(): number {
    return this.#working;
  }

  override get waiting(): number {
    return this.#line.size;
  }

  /** Sets another number of workers. A lowered one lets running work finish. */
  resize(concurrency: number): void {
    this.#concurrency = concurrency;
    if (this.#freeWorker >= 0) this.#freeWorkers.push(this.#freeWorker);
    this.#freeWorker = -1;
    this.meter.resize(concurrency);
    this.#freeWorkers.sort((a, b) => b - a);
    this.#startNext();
    this.demand.resize(concurrency + this.#settings.maxWaiting);
  }

  protected override accept(value: T, ticket: Ticket | null): void {
    let job = this.#spare;
    if (job === undefined) job = new Job(this);
    else this.#spare = job.next;
    job.value = value;
    if (ticket !== null) job.ticket = ticket;
    job.index = this.#index++;
    job.state = WAITING;
    if (this.#plain && this.#working < this.#concurrency && this.#line.size === 0) {
      this.#start(job);
    } else this.#waitInLine(job);
  }

  #waitInLine(job: Job<T, R>): void {
    if (this.#settings.by && !this.#keyed(job, this.#settings.by)) return;
    if (this.#ordered) this.#order.push(job);
    this.#line.push(job);
    this.#startNext();
  }

  /** A promise of work has its result. */
  fulfilled(job: Job<T, R>, result: R): void {
    if (this.dead || job.state !== WORKING) return;
    if (this.run !== undefined && !this.#worked(job, this.run)) return;
    job.state = DONE;
    if (this.#ordered || this.#ready.size > 0 || this.delivering || !this.out.ready()) {
      this.#deliverLater(job, result);
      return;
    }
    // Nothing is ready before it, and there is room below: the same, without the way through the line, and unblocked.
    this.delivering = true;
    job.weight = 0;
    try {
      this.#emit(job, result);
      this.#finish(job);
    } catch (error) {
      this.fail(error);
    }
    this.delivering = false;
    if (this.#ready.size > 0 || this.inputDone) this.deliver();
    else this.out.pass();
  }

  #deliverLater(job: Job<T, R>, result: R): void {
    try {
      this.settle(job, result);
    } catch (error) {
      this.#fail(job, error);
      return;
    }
    this.#done(job);
  }

  failed(job: Job<T, R>, error: unknown): void {
    if (this.dead || job.state !== WORKING) return;
    if (this.run !== undefined && !this.#worked(job, this.run, error)) return;
    job.state = DONE;
    const { onFailure } = this.#settings;
    if (onFailure === 'fail') {
      this.#fail(job, error);
      return;
    }
    job.more = true;
    if (onFailure === 'drop') {
      this.#without(job, 'dropped', error);
      return;
    }
    const attempts = job.context?.attempts ?? 1;
    const elapsedMs = now() - job.startedAt;
    const letter: DeadLetter<T> = { value: job.value, error, attempts, stage: this.name, elapsedMs };
    job.state = SETTLING;
    const taken = (): void => {
      if (this.dead || job.state !== SETTLING) return;
      job.state = DONE;
      this.#without(job, 'dead', error);
    };
    const refused = (reason: unknown): void => {
      if (!this.dead && job.state === SETTLING) this.#fail(job, reason);
    };
    onFailure.take(letter, new ItemContext(job.index, job.worker, job), taken, refused);
  }

  /** An Observable of work emits: the result waits in the job's outbox for its turn. */
  emitted(job: Job<T, R>, result: R): void {
    if (this.dead || job.state !== WORKING) return;
    if (job.weight > 0 && this.run !== undefined) this.#countUntil(this.run.now(), job);
    const { context } = job;
    const outbox = (job.outbox ??= new RingQueue<R>());
    outbox.push(result);
    if (!this.#ordered) this.#ready.push(job);
    this.deliver();
    if (outbox.size > 0) context?.block(true);
  }

  /** An Observable of work has completed, and given back what it held. */
  completed(job: Job<T, R>): void {
    if (this.dead || job.state !== WORKING) return;
    if (this.run !== undefined && !this.#worked(job, this.run)) return;
    job.state = DONE;
    this.#done(job);
  }

  /** What the result of a promise means: here, the one value to emit. Throws: the stage fails with this item. */
  protected settle(job: Job<T, R>, result: R): void {
    job.result = result;
    job.hasResult = true;
    job.more = true;
  }

  protected override emitNext(): boolean {
    const queue = this.#ordered ? this.#order : this.#ready;
    if (queue.size === 0) return false;
    const job = queue.peek();
    if (job.state === ABANDONED) {
      queue.take();
      return true;
    }
    const { outbox } = job;
    if (job.hasResult) {
      if (!this.out.ready()) return false;
      queue.take();
      this.#emit(job, job.result as R);
    } else if (outbox !== undefined && outbox.size > 0) {
      if (outbox.size > SHORT_ROW && this.pauses()) return false;
      if (!this.out.ready()) return false;
      if (!this.#ordered) queue.take();
      if (job.weight > 0 && job.state === WORKING && this.run !== undefined)
        this.#countUntil(this.run.now(), job);
      this.#emit(job, outbox.take());
      if (this.dead) this.#finish(job);
      else this.#delivered(job, outbox);
      return true;
    } else if (job.state === DONE) {
      queue.take();
    } else {
      return false; // ordered, and the first is still at work
    }
    this.#finish(job);
    return true;
  }

  protected override wake(): void {
    this.#startNext();
    super.wake();
  }

  protected override idle(): boolean {
    return this.demand.held === 0;
  }

  protected override abandon(reason: unknown, keepFinished: boolean): void {
    for (const job of this.#line.clear()) this.#leaveJob(job, reason);
    for (const job of this.#workers) {
      if (job.state !== WORKING && job.state !== SETTLING) continue;
      if (job.emitting && !keepFinished) this.#stopWork(job, reason);
      else this.#leaveJob(job, reason);
    }
    if (keepFinished) return;
    for (const queue of [this.#ready, this.#order]) {
      while (queue.size > 0) {
        const job = queue.take();
        if (job.state !== DONE || job.emitting) continue;
        if (job.outcome === 'out' && job.outbox?.size === 0)
          this.#finish(job); // all that it gave is delivered
        else this.#leaveJob(job, reason);
      }
    }
  }

  #keyed(job: Job<T, R>, by: (value: T) => unknown): boolean {
    const outer = current.ticket;
    current.ticket = null;
    try {
      job.key = by(job.value);
      atOnce(this.name, 'by', job.key);
      job.more = true;
      if (!this.over) return true;
      this.#leaveJob(job, new HandedBackError(this.name, 'the flow was stopped while its key was asked for'));
      return false;
    } catch (error) {
      this.#fail(job, error);
      return false;
    } finally {
      current.ticket = outer;
    }
  }

  /** Starts what waits, in a loop: a line of work that fails or ends at once must not grow the stack. */
  #startNext(): void {
    if (this.#starting) return;
    this.#starting = true;
    try {
      while (!this.dead && this.#working < this.#concurrency) {
        const job = this.#line.take();
        if (job === undefined) return;
        this.#start(job);
      }
    } finally {
      this.#starting = false;
    }
  }

  /** A worker is free. A long line, which only a source that cannot wait makes, or a large `maxWaiting`, has its pauses. */
  #refill(): void {
    const { size } = this.#line;
    if (size > 0 && !(size > SHORT_ROW && this.pauses())) this.#startNext();
  }

  #start(job: Job<T, R>): void {
    let worker = this.#freeWorker;
    if (worker >= 0) this.#freeWorker = -1;
    else worker = this.#nextWorker();
    if (this.#workers[worker] !== job) this.#workers[worker] = job;
    this.#working++;
    job.worker = worker;
    job.state = WORKING;
    const context = new ItemContext(job.index, worker, job);
    if (this.run !== undefined) this.#clockIn(job, context, this.run);
    const outer = current.ticket;
    if (outer !== null) current.ticket = null;
    try {
      const work = this.#work;
      const result = work(job.value, context);
      if (result instanceof Promise) result.then(job.fulfilled, job.rejected);
      else this.#follow(job, result);
    } catch (error) {
      this.failed(job, error);
    }
    if (outer !== null) current.ticket = outer;
  }

  #follow(job: Job<T, R>, result: ObservableInput<R>): void {
    // A foreign thenable may call back twice, and by then the job may stand for another item.
    if (isPromiseLike(result)) {
      Promise.resolve(result).then(job.fulfilled, job.rejected);
      return;
    }
    if (job.state !== WORKING) return; // its work has stopped the flow, or the stage
    if (Array.isArray(result)) this.#take(job, result as readonly R[]);
    else this.#subscribe(job, result);
  }

  /** All results at once: no source has to wait for their delivery. */
  #take(job: Job<T, R>, results: readonly R[]): void {
    job.outbox = new RingQueue();
    job.more = true;
    for (const result of results) {
      job.outbox.push(result);
      if (!this.#ordered) this.#ready.push(job);
    }
    this.completed(job);
  }

  #subscribe(job: Job<T, R>, result: ObservableInput<R>): void {
    const inner = new InnerInlet<R>(
      (value) => {
        this.emitted(job, value);
      },
      (error) => {
        this.#leaveInner(inner);
        this.failed(job, error);
      },
      () => {
        this.#leaveInner(inner);
        this.completed(job);
      },
      this.runBelow,
    );
    job.inner = inner;
    job.more = true;
    streamOf(result, this.name).subscribe(inner);
  }

  /** Work is over: its time is counted, and its retries. False: who was told of it has stopped the flow. */
  #worked(job: Job<T, R>, run: Run, error?: unknown): boolean {
    const attempts = job.context?.attempts ?? 1;
    if (attempts > 1) this.meter.retried += attempts - 1;
    if (job.weight > 0) this.#countUntil(run.now(), job);
    if (run.trace) this.tell('finished', job.value, job.worker, attempts, error);
    return job.state === WORKING;
  }

  override countTime(): void {
    if (this.run === undefined) return;
    const at = this.run.now();
    for (const job of this.#workers) if (job.state === WORKING && job.weight > 0) this.#countUntil(at, job);
  }

  /** Work whose results wait for room below is not busy, but blocked: it goes on when they are delivered. */
  #countUntil(at: number, job: Job<T, R>): void {
    const ms = (at - job.since) * job.weight;
    if (job.outbox !== undefined && job.outbox.size > 0) this.meter.blockedMs += ms;
    else this.meter.busyMs += ms;
    job.since = at;
  }

  /** The job has its outcome: it is finished when what it still has to emit is delivered. */
  #done(job: Job<T, R>): void {
    if (this.#ordered) {
      this.#vacate(job);
      this.#refill();
    } else {
      this.#ready.push(job);
    }
    this.deliver();
  }

  #emit(job: Job<T, R>, result: R): void {
    if (job.weight > 0 && job.state === DONE && this.run !== undefined) {
      this.meter.blockedMs += (this.run.now() - job.since) * job.weight;
      job.weight = 0;
    }
    job.emitting = true;
    this.meter.emitted++;
    this.out.emit(result, job.ticket);
    job.emitting = false;
  }

  /** One result of an Observable has left; the work may go on. */
  #delivered(job: Job<T, R>, outbox: RingQueue<R>): void {
    if (outbox.size === 0) job.context?.block(false);
    job.inner?.delivered();
  }

  /** Delivered: the place is free. */
  #finish(job: Job<T, R>): void {
    const { ticket } = job;
    if (!job.more || job.outcome === 'out') this.meter.out++;
    else this.meter[job.outcome]++;
    if (this.dead) {
      if (ticket !== null) ticket.release(); // it was on the stack when the flow ended below: delivered
      return;
    }
    if (!this.#ordered) this.#vacate(job);
    this.#recycle(job);
    this.#refill();
    if (ticket !== null) ticket.release();
    this.demand.release();
  }

  /** Its work has failed, and the flow goes on. */
  #without(job: Job<T, R>, outcome: 'dropped' | 'dead', error: unknown): void {
    job.outcome = outcome;
    if (this.run?.trace) this.tell(outcome, job.value, job.worker, undefined, error);
    this.#done(job);
  }

  /** The worker is free, and so is the key. */
  #vacate(job: Job<T, R>): void {
    // After a lowered limit, the numbers above it are the last to be taken.
    const { worker } = job;
    if (this.#freeWorker < 0 && worker < this.#concurrency) this.#freeWorker = worker;
    else this.#setAside(worker);
    this.#working--;
    if (!this.#plain) this.#line.done(job);
  }

  #setAside(worker: number): void {
    if (worker < this.#concurrency) this.#freeWorkers.push(worker);
    else this.#freeWorkers.unshift(worker);
  }

  #nextWorker(): number {
    return this.#freeWorkers.pop() ?? this.#workers.length;
  }

  #recycle(job: Job<T, R>): void {
    job.value = undefined as T;
    job.index = -1; // what its context says from now on concerns no item
    if (job.context !== undefined) job.context = undefined;
    if (job.ticket !== null) job.ticket = null;
    if (job.more) job.clear();
    if (this.demand.held > this.demand.limit) return;
    job.next = this.#spare;
    this.#spare = job;
  }

  /** The stage fails with what failed this item, which is handed back last: its settlement may wake the source. */
  #fail(job: Job<T, R>, error: unknown): void {
    const { value, ticket } = job;
    this.#stopWork(job, error);
    this.demand.held--;
    this.fail(error);
    this.leave(value, ticket, error);
  }

  #leaveJob(job: Job<T, R>, reason: unknown): void {
    this.#stopWork(job, reason);
    this.demand.held--;
    this.leave(job.value, job.ticket, reason);
  }

  #stopWork(job: Job<T, R>, reason: unknown): void {
    job.state = ABANDONED;
    job.abandoned = { reason };
    job.context?.abort(reason);
    if (job.inner) this.#leaveInner(job.inner);
  }

  #leaveInner(inner: InnerInlet<R>): void {
    void whenClosed(this.runBelow, () => inner.unsubscribe(), this.name);
  }

  #traceWork(job: Job<T, R>, context: ItemContext): void {
    const { value, worker } = job;
    this.tell('started', value, worker, 1);
    context.watch({
      started: (attempt, error) => {
        this.tell('retried', value, worker, attempt, error);
      },
    });
  }

  #clockIn(job: Job<T, R>, context: ItemContext, run: Run): void {
    job.weight = StageMeter.weight(job.index);
    if (job.weight > 0) job.since = run.now();
    if (run.trace) this.#traceWork(job, context);
  }
}
