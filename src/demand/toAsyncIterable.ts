import type { Observable } from 'rxjs';
import { HandedBackError, TicketLostError, reasonOf } from '../errors.ts';
import { Run, whenClosed } from '../flow/Run.ts';
import { given, wholeNumber } from '../options.ts';
import { RingQueue } from '../queue/RingQueue.ts';
import { setRun } from '../rx/chain.ts';
import { Inlet, type Receiver } from '../rx/Inlet.ts';
import { under } from '../tickets/current.ts';
import type { Ticket } from '../tickets/Ticket.ts';
import { warnOnConsole } from '../warnOnConsole.ts';
import { Demand, type DemandOwner } from './Demand.ts';

export interface ToAsyncIterableOptions {
  /** Items that may wait for the loop. Whole number, 1 or more. */
  readonly capacity: number;
}

/**
 * Reads a flow with `for await`, which slows the flow down to the pace of the loop. Each loop is a subscription;
 * leaving it early unsubscribes. An item counts as delivered when the loop takes it. Over a source that cannot wait,
 * what is ahead of the loop grows without a bound: put a `boundedQueue` in between.
 *
 * As that of an async generator, the end of the loop waits for what is still being closed: by `break`, by the end of the
 * flow, and by its error, which comes after that. As that of a run, it does so for 1 s, or as long as `withResources` may
 * take; that closing fails is a warning on the console. A generator that is in an `await` of its own can be closed only
 * after that, so one that is to end at once heeds the signal that `fromPull` gives it.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function toAsyncIterable<T>(flow: Observable<T>, options: ToAsyncIterableOptions): AsyncIterable<T> {
  const { capacity } = given(options);
  wholeNumber('toAsyncIterable: capacity', capacity, 1);
  return { [Symbol.asyncIterator]: () => new Loop(flow, capacity) };
}

interface Waiting<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/** One loop over a flow: the end of its chain. */
class Loop<T> implements AsyncIterator<T, undefined>, DemandOwner, Receiver<T> {
  readonly name = 'toAsyncIterable';
  /** None: nothing is counted. */
  readonly run: Run | undefined = undefined;
  readonly demand: Demand;
  /** Knows what is closing. */
  readonly #run = new Run({
    strict: false,
    abortsOnError: false,
    onWarning: warnOnConsole,
    debug: undefined,
    ofLoop: true,
  });
  readonly #values = new RingQueue<T>();
  readonly #tickets = new RingQueue<Ticket | null>();
  readonly #loops: Waiting<T>[] = [];
  readonly #flow: Observable<T>;
  #inlet: Inlet<T> | undefined;
  #end: { readonly error?: unknown } | undefined;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  constructor(flow: Observable<T>, capacity: number) {
    this.#flow = flow;
    this.demand = new Demand(capacity, this);
  }

  next(): Promise<IteratorResult<T, undefined>> {
    this.#subscribe();
    return new Promise((resolve, reject) => {
      this.#loops.push({ resolve, reject });
      this.#settle();
    });
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#end = {};
    const reason = new HandedBackError(this.name, 'the loop was left');
    while (this.#values.size > 0) {
      this.#values.take();
      const ticket = this.#tickets.take();
      if (ticket !== null) ticket.release(reason);
    }
    void whenClosed(this.#run, () => this.#inlet?.unsubscribe(), this.name);
    this.demand.end(reason);
    return this.#closed().then(() => ({ done: true, value: undefined }));
  }

  receive(value: T): void {
    this.demand.claims++;
    const ticket = this.demand.claim();
    if (ticket === undefined) {
      this.#inlet?.unsubscribe();
      this.inputFailed(new TicketLostError(this.name));
      return;
    }
    this.demand.held++;
    this.#values.push(value);
    this.#tickets.push(ticket);
    this.#settle();
  }

  inputEnded(): void {
    this.#end ??= {};
    this.demand.end();
    this.#settle();
  }

  inputFailed(error: unknown): void {
    this.#end ??= { error };
    this.demand.end(reasonOf(error));
    this.#settle();
  }

  drained(): void {
    this.inputEnded();
  }

  complain(error: Error): void {
    warnOnConsole(error.message);
  }

  #subscribe(): void {
    if (this.#inlet || this.#end) return;
    const inlet = new Inlet<T>(undefined, this);
    setRun(inlet, this.#run);
    this.#inlet = inlet;
    this.demand.subscribe(() => under(null, () => this.#flow.subscribe(inlet)));
  }

  #settle(): void {
    while (this.#loops.length > 0) {
      if (this.#values.size > 0) {
        const value = this.#values.take();
        const ticket = this.#tickets.take();
        this.#loops.shift()?.resolve({ done: false, value });
        if (ticket !== null) ticket.release();
        this.demand.release();
        continue;
      }
      if (!this.#end) return;
      if (!this.#isClosed) {
        void this.#closed();
        return;
      }
      const loop = this.#loops.shift();
      if ('error' in this.#end) loop?.reject(this.#end.error);
      else loop?.resolve({ done: true, value: undefined });
      this.#end = {};
    }
  }

  /** Resolves when what is above is closed, or that has taken too long: then those that wait for the end are answered. */
  #closed(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.resolve(); // a turn after the end: who is above leaves then
    await this.#run.closed();
    this.#isClosed = true;
    this.#settle();
  }
}
