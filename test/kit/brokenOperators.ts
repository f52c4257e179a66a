import {
  buffer,
  catchError,
  concatMap,
  delay,
  EMPTY,
  identity,
  interval,
  map,
  merge,
  NEVER,
  Observable,
  Subject,
  Subscriber,
  takeUntil,
  timer,
  type OperatorFunction,
} from 'rxjs';
import { link } from 'sluice';
import { Stage } from '../../src/demand/Stage.ts';
import type { OperatorLawOptions } from '../../src/testing/laws/index.ts';
import type { Ticket } from '../../src/tickets/Ticket.ts';

type Operator = OperatorFunction<number, unknown>;

export interface BrokenOperator {
  readonly make: () => Operator;
  readonly options?: OperatorLawOptions<number>;
  /** The laws that find it out: the one that names the fault, and those that cannot hold then either. */
  readonly breaks: readonly string[];
}

/** An operator of an Observable's own body. */
function operator(
  body: (source: Observable<number>, subscriber: Subscriber<number>) => (() => void) | undefined,
): Operator {
  return (source) => new Observable((subscriber) => body(source, subscriber));
}

/** Keeps the chain, and does with each item what is given. */
function passing(next: (subscriber: Subscriber<number>) => (value: number) => void): Operator {
  return operator((source, subscriber) => {
    source.subscribe(link<number, number>(subscriber, { next: next(subscriber) }));
    return undefined;
  });
}

/** Keeps the chain, and nothing else of what a subscriber owes the one below it. */
class Careless extends Subscriber<number> {
  readonly #below: Subscriber<number>;
  readonly #arrived: (value: number) => void;

  constructor(below: Subscriber<number>, arrived = (value: number): void => below.next(value)) {
    super(); // eslint-disable-line @typescript-eslint/no-deprecated -- what the fault is made of
    this.destination = below; // eslint-disable-line @typescript-eslint/no-deprecated -- the same
    this.#below = below;
    this.#arrived = arrived;
  }

  protected override _next(value: number): void {
    this.#arrived(value);
  }

  protected override _error(error: unknown): void {
    this.#below.error(error);
  }

  protected override _complete(): void {
    this.#below.complete();
  }
}

interface Held {
  readonly value: number;
  readonly ticket: Ticket | null;
}

/** A stage with one place that does all as it should; those below forget one thing each. */
class Proper extends Stage<number, number> {
  protected readonly held: Held[] = [];

  constructor(subscriber: Subscriber<number>) {
    super({ operator: 'broken', name: 'broken', slots: 0 }, subscriber, 1);
  }

  protected override accept(value: number, ticket: Ticket | null): void {
    this.held.push({ value, ticket });
    this.deliver();
  }

  protected override emitNext(): boolean {
    if (this.held.length === 0 || !this.out.ready()) return false;
    const [item] = this.held.splice(0, 1);
    if (item) this.emit(item);
    return true;
  }

  protected emit({ value, ticket }: Held): void {
    this.out.emit(value, ticket);
    this.meter.out++;
    if (ticket !== null) ticket.release();
    if (!this.dead) this.demand.release();
  }

  protected override idle(): boolean {
    return this.held.length === 0;
  }

  protected override abandon(reason: unknown, keepFinished: boolean): void {
    if (keepFinished) return;
    for (const { value, ticket } of this.held.splice(0)) this.leave(value, ticket, reason);
  }
}

function stage(Broken: new (subscriber: Subscriber<number>) => Stage<number, number>): Operator {
  return (source) =>
    new Observable((subscriber) => {
      new Broken(subscriber).connect(source, subscriber);
    });
}

class IgnoresDemand extends Proper {
  protected override emitNext(): boolean {
    const [item] = this.held.splice(0, 1);
    if (!item) return false;
    this.emit(item);
    return true;
  }
}

class NeverReopens extends Proper {
  protected override emitNext(): boolean {
    if (this.held.length === 0 || !this.out.demand.open) return false; // and does not ask to be told
    const [item] = this.held.splice(0, 1);
    if (item) this.emit(item);
    return true;
  }
}

class LosesOnDrain extends Proper {
  override stop(): void {
    for (const { ticket } of this.held.splice(0)) {
      this.meter.dropped++;
      if (ticket !== null) ticket.release();
      this.demand.held--;
    }
    super.stop();
  }
}

class LosesTickets extends Proper {
  readonly #below: Subscriber<number>;

  constructor(subscriber: Subscriber<number>) {
    super(subscriber);
    this.#below = subscriber;
  }

  protected override emit({ value, ticket }: Held): void {
    this.#below.next(value); // in a microtask, and not through the outlet
    this.meter.out++;
    if (ticket !== null) ticket.release(this.dead ? new Error('stopped') : undefined);
    if (!this.dead) this.demand.release();
  }

  protected override accept(value: number, ticket: Ticket | null): void {
    void Promise.resolve().then(() => {
      if (!this.dead) super.accept(value, ticket);
      else if (ticket !== null) ticket.release(new Error('stopped'));
    });
  }

  protected override idle(): boolean {
    return this.demand.held === 0;
  }
}

class AcknowledgesEarly extends Proper {
  protected override accept(value: number, ticket: Ticket | null): void {
    if (ticket !== null) ticket.release();
    super.accept(value, null);
  }
}

class NeverSettles extends Proper {
  protected override emit({ value, ticket }: Held): void {
    super.emit({ value, ticket: value === 3 && ticket !== null ? ticket.hold() : ticket });
  }
}

class ForgetsWhenStopped extends Proper {
  protected override abandon(): void {
    this.held.length = 0;
  }
}

class LosesCount extends Proper {
  protected override emit(item: Held): void {
    super.emit(item);
    this.meter.out--;
  }
}

class HoldsMore extends Proper {
  constructor(subscriber: Subscriber<number>) {
    super(subscriber);
    this.demand.limit = 3;
  }
}

class HoldsAll extends Proper {
  constructor(subscriber: Subscriber<number>) {
    super(subscriber);
    this.demand.limit = Infinity;
  }
}

class TakesNothing extends Proper {
  constructor(subscriber: Subscriber<number>) {
    super(subscriber);
    this.demand.limit = 0;
  }
}

/** Keeps one item back until the next one comes, and forgets it where none does. */
class DropsLast extends Proper {
  constructor(subscriber: Subscriber<number>) {
    super(subscriber);
    this.demand.limit = 2;
  }

  protected override emitNext(): boolean {
    return (this.held.length > 1 || this.inputDone) && super.emitNext();
  }

  override inputEnded(): void {
    const last = this.held.pop();
    if (last) {
      this.meter.dropped++;
      this.demand.held--;
      if (last.ticket !== null) last.ticket.release();
    }
    super.inputEnded();
  }
}

class DropsAtError extends Proper {
  override inputFailed(error: unknown): void {
    for (const { value, ticket } of this.held.splice(0)) this.leave(value, ticket, error);
    super.inputFailed(error);
  }
}

const at3 = (value: number): number => {
  if (value === 3) throw new Error('at 3');
  return value;
};

/** Goes one call deeper with each item. */
export const deeper = (): OperatorFunction<number, number> => (source) =>
  new Observable((subscriber) => {
    let emit = (value: number): void => subscriber.next(value);
    const next = (value: number): void => {
      const shallower = emit;
      emit = (each) => {
        shallower(each);
      };
      emit(value);
    };
    return source.subscribe(link(subscriber, { next }));
  });

/** Operators with one fault each. */
export const brokenOperators: Record<string, BrokenOperator> = {
  'subscribes eagerly': {
    make: () => (source) => {
      source.pipe(stage(TakesNothing)).subscribe().unsubscribe();
      return source;
    },
    breaks: ['does nothing before it is subscribed to'],
  },
  'drops the last item at completion': {
    make: () => stage(DropsLast),
    options: { limit: 2 },
    breaks: ['gives what it took in, then completes', 'gives all of many, on a flat stack'],
  },
  'gives the first item again, and loses the last': {
    make: () =>
      passing((subscriber) => {
        let previous: number | undefined;
        return (value) => {
          subscriber.next(previous ?? value);
          previous = value;
        };
      }),
    breaks: ['gives what it took in, then completes', 'gives all of many, on a flat stack'],
  },
  'gives the first item in the place of all': {
    make: () =>
      passing((subscriber) => {
        let first: number | undefined;
        return (value) => subscriber.next((first ??= value));
      }),
    breaks: ['gives what it took in, then completes', 'gives all of many, on a flat stack'],
  },
  'loses all after the 200th item': {
    make: () =>
      passing((subscriber) => {
        let count = 0;
        return (value) => {
          if (++count <= 200) subscriber.next(value);
        };
      }),
    breaks: ['gives all of many, on a flat stack'],
  },
  'loses all after the 200th item, of those that it is said to keep': {
    make: () =>
      passing((subscriber) => {
        let count = 0;
        return (value) => {
          if (++count <= 200 && value % 2 === 0) subscriber.next(value);
        };
      }),
    options: { outputs: (items) => items.filter((value) => value % 2 === 0) },
    breaks: ['gives all of many, on a flat stack'],
  },
  'loses each 50th item, and gives the next one twice': {
    make: () =>
      passing((subscriber) => {
        let count = 0;
        return (value) => {
          if (++count % 50 === 0) return;
          subscriber.next(value);
          if (count % 50 === 1 && count > 1) subscriber.next(value);
        };
      }),
    breaks: ['gives all of many, on a flat stack'],
  },
  'keeps the wrong ones of those that are said': {
    make: () =>
      passing((subscriber) => (value) => {
        if (value % 3 === 0) subscriber.next(value - 1);
      }),
    options: { outputs: (items) => items.filter((value) => value % 3 === 0) },
    breaks: ['gives what it took in, then completes'],
  },
  'never completes': {
    make: () => (source) => merge(source, NEVER),
    breaks: [
      'gives what it took in, then completes',
      'gives all of many, on a flat stack',
      'completes when the flow is drained, and gives what it took in',
    ],
  },
  'ends when nothing has come for a while': {
    make: () => (source) => source.pipe(takeUntil(timer(30_000))),
    breaks: ['stays open while its source does'],
  },
  'swallows the error': {
    make: () => (source) => source.pipe(catchError(() => EMPTY)),
    breaks: ['passes the error of its source on, after what it took in'],
  },
  'drops what it holds at an error': {
    make: () => stage(DropsAtError),
    options: { limit: 1 },
    breaks: ['passes the error of its source on, after what it took in'],
  },
  'shares state between subscriptions': {
    make: () => {
      let sum = 0;
      return map((value) => (sum += value));
    },
    options: { outputs: (items) => items.length },
    breaks: ['gives each subscription its own state'],
  },
  'does not unsubscribe the source': {
    make: () =>
      operator((source, subscriber) => {
        const inlet = new Careless(subscriber, (value) => {
          subscriber.next(value);
          if (subscriber.closed) inlet.unsubscribe();
        });
        source.subscribe(inlet);
        return undefined;
      }),
    breaks: ['leaves its source at once when it is left'],
  },
  'unsubscribes once the source has given way': {
    make: () =>
      operator((source, subscriber) => {
        const inlet = new Careless(subscriber);
        source.subscribe(inlet);
        return () => inlet.unsubscribe();
      }),
    breaks: ['stops a synchronous source when those below leave'],
  },
  'emits after complete': {
    make: () =>
      operator((source, subscriber) => {
        source.subscribe(
          link<number, number>(subscriber, {
            complete() {
              subscriber.complete();
              subscriber.next(0); // eslint-disable-line rxjs-x/no-redundant-notify -- the fault
            },
          }),
        );
        return undefined;
      }),
    breaks: ['gives nothing after its end'],
  },
  'completes twice': {
    make: () =>
      operator((source, subscriber) => {
        source.subscribe(
          link<number, number>(subscriber, {
            complete() {
              subscriber.complete();
              subscriber.complete(); // eslint-disable-line rxjs-x/no-redundant-notify -- the fault
            },
          }),
        );
        return undefined;
      }),
    breaks: ['ends once'],
  },
  'goes one call deeper with each item': {
    make: deeper,
    breaks: ['gives all of many, on a flat stack'],
  },
  'leaves an interval running': {
    make: () =>
      operator((source, subscriber) => {
        interval(60_000).subscribe();
        source.subscribe(subscriber);
        return undefined;
      }),
    breaks: ['leaves no timer behind'],
  },
  'leaves an interval running when it has completed': {
    make: () =>
      operator((source, subscriber) => {
        const beat = interval(10).subscribe();
        let done = false;
        subscriber.add(() => {
          if (!done) beat.unsubscribe();
        });
        source.subscribe(
          link<number, number>(subscriber, {
            complete() {
              done = true;
              subscriber.complete();
            },
          }),
        );
        return undefined;
      }),
    breaks: ['leaves no timer behind'],
  },
  'swallows what its callback throws': {
    make: () => map(identity),
    options: {
      throwing: () =>
        concatMap((value) => {
          try {
            return [at3(value)];
          } catch {
            return [];
          }
        }),
    },
    breaks: ['errors when its callback throws, and leaves its source'],
  },
  'cuts the chain with a plain observer': {
    make: () =>
      operator((source, subscriber) => {
        const left = new Subject<void>();
        subscriber.add(() => left.next());
        source.pipe(takeUntil(left)).subscribe({
          next: (value) => subscriber.next(value),
          error: (error: unknown) => subscriber.error(error),
          complete: () => subscriber.complete(),
        });
        return undefined;
      }),
    breaks: ['keeps the chain to those below'],
  },
  'buffers without a bound': {
    make: () => stage(HoldsAll),
    options: { limit: 1 },
    breaks: ['holds no more than its limit'],
  },
  'takes more than it says': {
    make: () => stage(HoldsMore),
    options: { limit: 1 },
    breaks: ['holds no more than its limit'],
  },
  'emits into closed demand': {
    make: () => stage(IgnoresDemand),
    options: { limit: 1 },
    breaks: ['gives nothing while those below have no room'],
  },
  'never asks again': {
    make: () => stage(NeverReopens),
    options: { limit: 1 },
    breaks: ['goes on when those below have room again'],
  },
  'loses what it holds on drain': {
    make: () => stage(LosesOnDrain),
    options: { limit: 1 },
    breaks: ['completes when the flow is drained, and gives what it took in'],
  },
  'loses the ticket': {
    make: () => stage(LosesTickets),
    options: { limit: 1 },
    breaks: ['keeps the ticket of an item with it'],
  },
  'acknowledges what it has not delivered': {
    make: () => stage(AcknowledgesEarly),
    options: { limit: 1 },
    breaks: ['has no item acknowledged before its outcome'],
  },
  'never settles': {
    make: () => stage(NeverSettles),
    options: { limit: 1 },
    breaks: ['has every item settled, once'],
  },
  'does not settle on teardown': {
    make: () => stage(ForgetsWhenStopped),
    options: { limit: 1 },
    breaks: ['hands back what it holds when the flow is stopped'],
  },
  'loses count': {
    make: () => stage(LosesCount),
    options: { limit: 1 },
    breaks: ['keeps its ledger'],
  },
  'is a native operator that holds': {
    make: () => delay(1),
    breaks: [
      'stops a synchronous source when those below leave',
      'gives nothing while those below have no room',
      'keeps the ticket of an item with it',
    ],
  },
  'is a native operator that holds all until the end': {
    make: () => (source) => source.pipe(buffer(NEVER), concatMap(identity)),
    breaks: [
      'passes the error of its source on, after what it took in',
      'stops a synchronous source when those below leave',
      'holds no more than its limit',
    ],
  },
};

/** All as it should be: what the stages above would be without their fault. */
export const properOperator = (): Operator => stage(Proper);
