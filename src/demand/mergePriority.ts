import { Observable, type Subscriber } from 'rxjs';
import { InvalidOptionError } from '../errors.ts';
import type { StageIdentity } from '../metrics/StageMeter.ts';
import { RingQueue } from '../queue/RingQueue.ts';
import { link } from '../rx/link.ts';
import type { Ticket } from '../tickets/Ticket.ts';
import { Stage } from './Stage.ts';

/**
 * Merges sources, the most urgent first: where the stage below has room, an item of an earlier source goes before those
 * of later ones.
 *
 *     high        --AB---------|
 *     low         abc----------|
 *     a           ---(a|)
 *     A              ---(A|)
 *     B                 --(B|)
 *     b                   --(b|)
 *     c                     -(c|)
 *     output      ---a--A-B-bc-|
 *     low.pulled  12------3
 *     mergePriority(high, low), poolMap(work, { concurrency: 1 })
 *
 * - **Emits when** the stage below has room, an item of the first source that has one. While an earlier source always
 *   has its next item at hand, as one that is synchronous has, later ones wait. A source that needs a turn to bring the
 *   next (an `intake`, an async iterable) has none until then: where there is room meanwhile, a later one goes.
 * - **Waits when** it holds an item of a source: that source is asked for no more. It holds one of each at most.
 * - **Drops** nothing.
 * - **Completes when** all sources have completed.
 * - **Errors when** a source errors, after what it holds is delivered; the other sources are left.
 * - **Unsubscribing** leaves all sources, and hands back what it holds.
 *
 * @param sources One or more, the most urgent first. In reports each is a stage, `mergePriority-1` and so on.
 * @throws `InvalidOptionError`, at call time, for what is no Observable.
 * @see `merge` of RxJS, in which sources that wait take turns.
 */
export function mergePriority<R extends readonly unknown[]>(
  ...sources: { readonly [K in keyof R]: Observable<R[K]> }
): Observable<R[number]> {
  const inputs = sources as unknown as readonly Observable<R[number]>[];
  if (inputs.length === 0)
    throw new InvalidOptionError('mergePriority: sources must be one Observable or more');
  for (const input of inputs) {
    if (typeof (input as { subscribe?: unknown } | undefined)?.subscribe !== 'function') {
      throw new InvalidOptionError('mergePriority: each source must be an Observable');
    }
  }
  const identities = inputs.map((_, i) => ({
    operator: 'mergePriority',
    name: `mergePriority-${i + 1}`,
    slots: 0,
  }));
  return new Observable((subscriber) => {
    new Lanes(subscriber, identities).connect(inputs);
  });
}

/** One lane for each source, the most urgent first. */
class Lanes<T> {
  readonly #subscriber: Subscriber<T>;
  readonly #lanes: { readonly lane: Lane<T>; readonly way: Subscriber<T> }[];
  #open: number;
  #failure: { readonly error: unknown } | undefined;

  constructor(subscriber: Subscriber<T>, identities: readonly StageIdentity[]) {
    this.#subscriber = subscriber;
    this.#open = identities.length;
    this.#lanes = identities.map((identity, place) => {
      const way = link<T, T>(subscriber, {
        error: (error) => {
          this.#ended({ error });
        },
        complete: () => {
          this.#ended(undefined);
        },
      });
      return { lane: new Lane(identity, way, this, place), way };
    });
  }

  connect(inputs: readonly Observable<T>[]): void {
    for (const [i, { lane, way }] of this.#lanes.entries()) {
      const input = inputs[i];
      if (input && !way.closed) lane.connect(input, way);
    }
  }

  /** Whether a lane before this one has an item. */
  keepWaiting(lane: Lane<T>): boolean {
    return this.#firstWithItem(0, lane.place) !== undefined;
  }

  /** The lane has no item now: those behind it may go. */
  letPass(lane: Lane<T>): void {
    this.#firstWithItem(lane.place + 1, this.#lanes.length)?.goOn();
  }

  #firstWithItem(from: number, to: number): Lane<T> | undefined {
    for (let place = from; place < to; place++) {
      const lane = this.#lanes[place]?.lane;
      if (lane?.empty === false) return lane;
    }
    return undefined;
  }

  #ended(failure: { readonly error: unknown } | undefined): void {
    this.#open--;
    if (failure && !this.#failure) {
      this.#failure = failure;
      for (const { lane } of this.#lanes) lane.fail(failure.error);
    }
    if (this.#open > 0) return;
    if (this.#failure) this.#subscriber.error(this.#failure.error);
    else this.#subscriber.complete();
  }
}

/** Holds one item of its source, until those before it have none. */
class Lane<T> extends Stage<T, T> {
  /** 0 is the most urgent. */
  readonly place: number;
  readonly #lanes: Lanes<T>;
  readonly #waiting = new RingQueue<{ readonly value: T; readonly ticket: Ticket | null }>();

  constructor(identity: StageIdentity, subscriber: Subscriber<T>, lanes: Lanes<T>, place: number) {
    super(identity, subscriber, 1);
    this.#lanes = lanes;
    this.place = place;
  }

  get empty(): boolean {
    return this.#waiting.size === 0;
  }

  goOn(): void {
    this.deliver();
  }

  protected override accept(value: T, ticket: Ticket | null): void {
    this.#waiting.push({ value, ticket });
    this.deliver();
  }

  protected override deliver(): void {
    super.deliver();
    if (this.empty) this.#lanes.letPass(this);
  }

  protected override emitNext(): boolean {
    if (this.empty || this.#lanes.keepWaiting(this) || !this.out.ready()) return false;
    const { value, ticket } = this.#waiting.take();
    this.meter.emitted++;
    this.out.emit(value, ticket);
    this.meter.out++;
    if (ticket !== null) ticket.release();
    if (!this.dead) this.demand.release();
    return true;
  }

  protected override idle(): boolean {
    return this.empty;
  }

  protected override abandon(reason: unknown, keepFinished: boolean): void {
    if (keepFinished) return; // it was accepted, and there is no work to abort
    while (!this.empty) {
      const { value, ticket } = this.#waiting.take();
      this.leave(value, ticket, reason);
    }
  }
}
