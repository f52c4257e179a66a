import { Observable, type Subscriber } from 'rxjs';
import { LoopBudget, nextTurn } from '../clock.ts';
import { HandedBackError, TicketPathError } from '../errors.ts';
import { warnOf, whenClosed, type Failure, type Run } from '../flow/Run.ts';
import { PullTimer } from '../metrics/SourceMeter.ts';
import { endOfChain, runBelow } from '../rx/chain.ts';
import { under } from '../tickets/current.ts';
import { Ticket } from '../tickets/Ticket.ts';
import { MAX_WAITING, TicketBook } from '../tickets/TicketBook.ts';
import { aside, complainOfCut, UNLIMITED } from './Demand.ts';
import { Outlet, type Emitter } from './Outlet.ts';
import { toldOnly } from '../work/toldOf.ts';
import { openPull, type Opening, type Pull, type PullInput } from './pullInput.ts';

/** How an item of an acknowledged source ended. */
export interface Settlement<T> {
  readonly value: T;
  /** Why it was handed back: it has to be given again. Undefined: stored, or rejected or dropped on purpose. */
  readonly failure: unknown;
}

/** The options of `fromPull`, checked, with their defaults. */
export interface PullSettings<T> {
  readonly name: string;
  readonly onSettled?: ((settlement: Settlement<T>) => unknown) | undefined;
  /** Told of an item that will be handed back, as soon as one of its parts is. */
  readonly onFailing?: (value: T) => void;
  /** Items without an outcome at any time; `UNLIMITED`: as many as there is demand. */
  readonly window: number;
  readonly onDrain?: (() => void) | undefined;
  /** The run that it was read in is over. */
  readonly onOver?: (failure: Failure | undefined) => void;
}

/**
 * An Observable of what is pulled: `fromPull`, with what only connectors ask for. `key`: what it is a part of, where that
 * makes one for each subscription.
 */
export function pulled<T>(input: PullInput<T>, settings: PullSettings<T>, key?: object): Observable<T> {
  const source = new Observable<T>((subscriber) => {
    new PullSource(input, subscriber, key ?? source, settings).start();
  });
  return source;
}

/** One subscription to what is pulled. */
export class PullSource<T> implements Emitter {
  readonly #input: PullInput<T>;
  readonly #subscriber: Subscriber<T>;
  readonly #name: string;
  readonly #key: object;
  readonly #out: Outlet<T>;
  readonly #onSettled: ((settlement: Settlement<T>) => unknown) | undefined;
  readonly #window: number;
  readonly #onDrain: (() => void) | undefined;
  readonly #onOver: PullSettings<T>['onOver'];
  readonly #book: TicketBook;
  /** The run whose items it brings; none for a source inside work. */
  readonly #run: Run | undefined;
  /** The run that waits until it is closed. */
  readonly #runBelow: Run | undefined;
  readonly #timer: PullTimer | undefined;
  readonly #budget = new LoopBudget();
  #pull: Pull<T> | Opening<T> | undefined;
  /** Where pulling is synchronous: what is pulled from. */
  #iterator: Iterator<T, unknown> | undefined;
  #pending = 0;
  #allSettled: (() => void) | undefined;
  /** The one pulled item that waits for its turn. */
  #inHand: { readonly value: T } | undefined;
  #pulling = false;
  /** Its window is full, and it has told those below. */
  #urging = false;
  /** That window is about to be looked at again. */
  #reopening = false;
  #running = false;
  #stopping = false;
  #done = false;
  #closed = false;
  /** `onSettled` has failed after the end. */
  #refused = false;

  /** `key`: the Observable, which is the same however often it is subscribed to. */
  constructor(input: PullInput<T>, subscriber: Subscriber<T>, key: object, settings: PullSettings<T>) {
    const { name, onSettled, onFailing, window, onDrain, onOver } = settings;
    this.#input = input;
    this.#subscriber = subscriber;
    this.#name = name;
    this.#key = key;
    this.#onSettled = onSettled;
    this.#window = window;
    this.#onDrain = onDrain;
    this.#onOver = onOver;
    const maxWaiting = window === UNLIMITED ? MAX_WAITING : Math.floor(window / 2);
    this.#book = new TicketBook(window, maxWaiting, () => this.#pending, onFailing as TicketBook['failing']);
    this.#out = new Outlet(subscriber, this);
    this.#runBelow = this.#out.demand.owner?.run ?? runBelow(subscriber);
    this.#run = this.#out.inner ? undefined : this.#out.demand.owner?.run;
    if (this.#run) this.#timer = new PullTimer(this.#run.source(name));
  }

  start(): void {
    const { demand, inner, linked } = this.#out;
    this.#subscriber.add(() => {
      this.#tearDown();
    });
    if (!linked || (this.#onSettled && !demand.owner)) this.#noDemand();
    if (this.#done) return;
    this.#out.place.begin(true);
    const draining = demand.draining && !inner;
    if (draining && !(demand.completesUnderDrain(this.#key, this.#out) && this.#onDrain)) {
      this.#handBack();
      if (!this.#out.parked) this.#finish();
      return;
    }
    try {
      this.#pull = aside(() => openPull(this.#input, this.#name));
      if (this.#pull.opening === undefined) this.#iterator = this.#pull.sync;
    } catch (error) {
      this.fail(error);
      return;
    }
    if (this.#onSettled) demand.announce();
    if (this.#onOver) this.#run?.whenOver(this.#onOver);
    if (draining) this.stop(); // what the input accepted before is given all the same
    aside(() => {
      this.#step();
    });
  }

  resume(): void {
    if (this.#running || this.#done) return;
    this.#running = true;
    try {
      if (this.#iterator) this.#pullNow(this.#iterator);
      else this.#pullLater();
    } catch (error) {
      if (this.#pulling) this.#broken();
      this.#pullEnded();
      this.fail(error);
    }
    this.#running = false;
  }

  /** A turn that nobody gave: those that wait have theirs afterwards. */
  #step(): void {
    this.resume();
    this.#out.pass();
  }

  stop(): void {
    if (this.#done) return;
    if (this.#onDrain) {
      try {
        this.#onDrain();
      } catch (error) {
        this.fail(error);
      }
      return;
    }
    this.#stopping = true;
    // A pull that is pending may still bring an item, which is delivered; closing tells the input not to wait for one.
    if (this.#pulling) this.#close();
    else if (!this.#inHand && !this.#running) this.#finish();
  }

  fail(error: unknown): void {
    if (this.#done) return;
    this.#done = true;
    this.#close();
    this.#out.error(error);
  }

  /** A synchronous input: a loop of pulls, each delivered at once. */
  #pullNow(iterator: Iterator<T, unknown>): void {
    const out = this.#out;
    while (!this.#done && !this.#stopping && (this.#pending < this.#window || this.#urge(1)) && out.ready()) {
      if (this.#budget.spent()) {
        this.#pause();
        return;
      }
      this.#pulling = true;
      const result = iterator.next();
      this.#pulling = false;
      if (this.#done) {
        this.#tornDown(result);
        return;
      }
      if (result.done) {
        this.#ended();
        return;
      }
      this.#emit(result.value);
    }
    if (this.#stopping) this.#finish();
  }

  /** An asynchronous input: delivers what is in hand, then begins the next pull. */
  #pullLater(): void {
    const out = this.#out;
    if (this.#inHand) {
      if (!out.ready()) return;
      const { value } = this.#inHand;
      this.#inHand = undefined;
      this.#emit(value);
    }
    if (this.#done || this.#pulling) return;
    if (this.#stopping) {
      this.#finish();
      return;
    }
    if ((this.#pending >= this.#window && !this.#urge(1)) || !out.ready()) return;
    if (this.#budget.spent()) {
      this.#pause();
      return;
    }
    const pull = this.#pull;
    this.#pulling = true;
    this.#timer?.begins();
    if (pull?.opening) pull.opening.then(this.#opened, this.#pullFailed);
    else pull?.next().then(this.#pulled, this.#pullFailed);
  }

  /** A promise has opened it. If this one is over, it was closed with its opening. */
  readonly #opened = (pull: Pull<T>): void => {
    this.#pull = pull;
    this.#iterator = pull.sync;
    this.#pullEnded();
    if (!this.#done) this.#step();
  };

  #pullEnded(): void {
    this.#pulling = false;
    this.#timer?.ends();
  }

  /** By its own iterator, which gave this. */
  #tornDown(result: IteratorResult<T, unknown>): void {
    if (!result.done) this.#giveBack(result.value, this.#stopped());
    this.#close();
  }

  /** Goes on when the event loop has turned. Apart, since a closure would cost its caller a context a call. */
  #pause(): void {
    nextTurn(() => {
      this.#step();
    });
  }

  readonly #pulled = (result: IteratorResult<T, unknown>): void => {
    this.#pullEnded();
    if (this.#done) {
      if (!result.done) this.#giveBack(result.value, this.#stopped());
      return;
    }
    if (result.done) {
      this.#ended();
      return;
    }
    this.#inHand = { value: result.value };
    this.#step();
  };

  readonly #pullFailed = (error: unknown): void => {
    this.#pullEnded();
    if (this.#stopping && !this.#done)
      this.#finish(); // closed because of draining: a stream says so with an error
    else {
      this.#broken();
      this.fail(error);
    }
  };

  #emit(value: T): void {
    if (this.#run && this.#timer) {
      this.#run.itemsIn++;
      this.#timer.meter.items++;
      this.#run.trace?.({ stage: this.#name, event: 'produced', value });
    }
    if (!this.#onSettled) {
      this.#out.emit(value, this.#out.place.works ?? null);
      return;
    }
    const ticket = this.#issue(value, this.#onSettled);
    this.#out.emit(value, ticket);
    ticket.release();
  }

  #issue(value: T, onSettled: (settlement: Settlement<T>) => unknown): Ticket {
    const works = this.#out.place.works?.hold();
    this.#pending++;
    const settle = (failure: unknown): void => {
      this.#pending--;
      under(null, () => {
        toldOnly(onSettled, { value, failure }, this.#settlingFailed);
      });
      if (this.#pending === 0 && (this.#done || this.#stopping)) {
        this.#close();
        this.#allSettled?.();
      }
      if (this.#urging && !this.#reopening) this.#reopenSoon();
    };
    return new Ticket(1, settle, this.#book, value, works && [works]);
  }

  /** `onSettled` has thrown or rejected. Once the source has ended, only the run can hear of it: once, however many follow. */
  readonly #settlingFailed = (error: unknown): void => {
    if (!this.#done) this.fail(error);
    else if (!this.#refused) {
      this.#refused = true;
      warnOf(this.#runBelow, this.#name, 'onSettled', error);
    }
  };

  /**
   * At its window the source urges those below, so that it cannot stall: while it waits, they let go of all that they
   * only gather. Answers whether it has room now.
   */
  #urge(by: 1 | -1): boolean {
    if (this.#urging !== by > 0) {
      this.#urging = by > 0;
      this.#out.demand.urge(by);
    }
    return this.#pending < this.#window;
  }

  /** When all that settles together has settled: else each part of a batch would let in one item, for a batch of one. */
  #reopenSoon(): void {
    this.#reopening = true;
    void Promise.resolve().then(() => {
      this.#reopening = false;
      if (this.#pending < this.#window) this.#urge(-1);
      this.#step();
    });
  }

  #ended(): void {
    this.#closed = true; // nothing to close: it ended by itself
    this.#finish();
  }

  /** A pull has failed: as for a loop, the input is over, and there is nothing to close. */
  #broken(): void {
    this.#closed = true;
    this.#pull?.stop();
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    const cutShort = this.#stopping && !this.#closed;
    this.#close();
    if (cutShort) this.#handBack();
    this.#out.complete();
  }

  /** What it works on was not done, so it has to be given again. */
  #handBack(): void {
    this.#out.place.handBack(() => new HandedBackError(this.#name, 'the flow was drained'));
  }

  #stopped(): HandedBackError {
    return new HandedBackError(this.#name, 'the flow was stopped');
  }

  #tearDown(): void {
    this.#urge(-1);
    this.#timer?.leave();
    // Torn down while it emits, the item it works on was delivered as far as anybody wanted.
    const cutShort = !this.#done && !this.#running;
    const item = this.#inHand;
    // Making an error takes longer than a source of one value: not where the end is its own.
    const reason = this.#done && !item ? undefined : this.#stopped();
    this.#inHand = undefined;
    this.#done = true;
    if (item && reason) this.#giveBack(item.value, reason);
    this.#close();
    this.#out.detach(reason);
    this.#out.place.leave(cutShort);
  }

  /** An item that was pulled, and can no longer be emitted. */
  #giveBack(value: T, reason: HandedBackError): void {
    this.#run?.left.push({ stage: this.#name, value });
    if (this.#onSettled) toldOnly(this.#onSettled, { value, failure: reason }, this.#settlingFailed);
  }

  /** Closes the input, once; an acknowledged one when its last item has settled. */
  #close(): void {
    const pull = this.#pull;
    if (this.#closed || !pull || (this.#iterator && this.#pulling)) return;
    if (this.#pending > 0) {
      pull.stop();
      this.#awaitSettlements();
      return;
    }
    this.#closed = true;
    void whenClosed(this.#runBelow, () => pull.close(), this.#name);
  }

  /** Has the run wait until the last item has its outcome. */
  #awaitSettlements(): void {
    if (this.#allSettled) return;
    const settled = new Promise<void>((resolve) => {
      this.#allSettled = resolve;
    });
    void whenClosed(this.#run, () => settled, this.#name);
  }

  #noDemand(): void {
    const cutBy = endOfChain(this.#subscriber);
    if (this.#onSettled) {
      this.fail(
        new TicketPathError(
          this.#name,
          `it needs a stage of sluice or runFlow below it, and the chain ends at ${cutBy}`,
        ),
      );
      return;
    }
    complainOfCut(this.#name, cutBy);
  }
}
