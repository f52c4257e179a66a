import { from, Observable, type ObservableInput, type ObservedValueOf, type Subscriber } from 'rxjs';
import { runBelow } from '../rx/chain.ts';
import { InnerInlet } from '../rx/InnerInlet.ts';
import { Outlet, type Emitter } from './Outlet.ts';

/**
 * Says that a source which cannot wait (`interval`, `fromEvent`, a `Subject`) is meant to ignore demand: its items are
 * on time, carry no ticket, and are counted but not warned of.
 *
 * - **Emits when** the source emits, whether there is room or not.
 * - **Waits when**: never. The line of a `poolMap` below grows; a `boundedQueue` below applies its overflow policy.
 * - **Drops** nothing.
 * - **Completes when** the source completes, or draining begins.
 * - **Errors when** the source errors.
 * - **Unsubscribing** unsubscribes from the source.
 */
export function fromPush<O extends ObservableInput<unknown>>(source: O): Observable<ObservedValueOf<O>> {
  const flow = new Observable<ObservedValueOf<O>>((subscriber) => {
    const push = new PushSource(subscriber);
    if (push.refuses(flow)) return;
    const inlet = new InnerInlet<ObservedValueOf<O>>(
      (value) => {
        push.next(value);
        inlet.delivered();
      },
      (error) => {
        push.fail(error);
      },
      () => {
        push.stop();
      },
      runBelow(subscriber),
    );
    subscriber.add(inlet);
    from(source).subscribe(inlet);
  });
  return flow;
}

class PushSource<T> implements Emitter {
  readonly #out: Outlet<T>;
  readonly #subscriber: Subscriber<T>;
  #emitting = false;
  #stopping = false;

  constructor(subscriber: Subscriber<T>) {
    this.#subscriber = subscriber;
    this.#out = new Outlet(subscriber, this);
    this.#out.demand.pushed = true;
    subscriber.add(() => {
      this.#out.detach();
    });
  }

  /** Subscribed while draining: completes or parks, and subscribes to nothing. */
  refuses(source: object): boolean {
    const { demand, inner } = this.#out;
    if (!demand.draining || inner) return false;
    if (demand.completesUnderDrain(source, this.#out)) this.#out.complete();
    return true;
  }

  next(value: T): void {
    if (this.#subscriber.closed) return;
    const { run } = this.#out.demand.owner ?? {};
    if (run && !this.#out.inner) run.itemsIn++;
    const outermost = !this.#emitting;
    this.#emitting = true;
    this.#out.emit(value, null);
    if (!outermost) return;
    this.#emitting = false;
    if (this.#stopping) this.#out.complete();
    this.#out.pass();
  }

  resume(): void {
    // It never waits for its turn.
  }

  /** Not while it emits: the item on its way goes first. */
  stop(): void {
    if (this.#emitting) this.#stopping = true;
    else this.#out.complete();
  }

  fail(error: unknown): void {
    this.#out.error(error);
  }
}
