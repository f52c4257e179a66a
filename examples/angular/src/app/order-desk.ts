import { HttpErrorResponse } from '@angular/common/http';
import { DestroyRef, inject, Injectable, InjectionToken, signal } from '@angular/core';
import { takeUntilDestroyed, toSignal } from '@angular/core/rxjs-interop';
import { defer, EMPTY, finalize, of, repeat, Subject, switchMap, tap, type Observable } from 'rxjs';
import {
  boundedQueue,
  delays,
  fromPull,
  poolMap,
  runFlow,
  withRetry,
  type DeadLetter,
  type FlowRun,
  type FlowStats,
  type WorkContext,
} from 'sluice';
import { ORDERS } from '../api/shop';
import { mayRecover, OrdersApi, type Order } from './orders-api';

/** The orders to fetch. */
export const ORDER_IDS = new InjectionToken<readonly number[]>('ORDER_IDS', {
  factory: () => Array.from({ length: ORDERS }, (_, i) => i + 1),
});

/** What one worker of the pool does. */
export interface Job {
  readonly id: number;
  readonly attempt: number;
  /** The attempt has failed; the next one comes after a wait. */
  readonly waits: boolean;
}

export type DeskState = 'idle' | 'running' | 'stopping' | 'stopped' | 'done' | 'failed';

/**
 * Fetches every order once, a few at a time. Provided by the view that shows it, so that it goes when the view goes.
 *
 *     todo → [queue] → workers → orders
 *                         └────→ dead letters
 */
@Injectable()
export class OrderDesk {
  readonly #api = inject(OrdersApi);
  readonly #destroyRef = inject(DestroyRef);
  readonly #todo = signal(inject(ORDER_IDS));
  readonly #state = signal<DeskState>('idle');
  readonly #orders = signal<readonly Order[]>([]);
  readonly #deadLetters = signal<readonly DeadLetter<number>[]>([]);
  readonly #jobs = signal<readonly (Job | undefined)[]>([]);
  readonly #concurrency = signal(3);
  readonly #poolSize = signal(3);
  readonly #runs = new Subject<FlowRun>();
  #run: FlowRun | undefined;

  readonly state = this.#state.asReadonly();
  /** Orders that nobody has asked for yet. */
  readonly todo = this.#todo.asReadonly();
  /** Orders that have come, the newest first. */
  readonly orders = this.#orders.asReadonly();
  readonly deadLetters = this.#deadLetters.asReadonly();
  /** One for each worker of the pool; undefined: idle. */
  readonly jobs = this.#jobs.asReadonly();
  /** How many requests are wanted at once. */
  readonly concurrency = this.#concurrency.asReadonly();
  /** How many the pool allows. Follows `concurrency` when what the pool holds is done. */
  readonly poolSize = this.#poolSize.asReadonly();
  /** The figures of the run; undefined before the first. */
  readonly stats = toSignal<FlowStats>(this.#runs.pipe(switchMap((run) => run.stats$)));

  /** The flow: goes on where it was left, completes when nothing is left to do, and ends with the view. */
  readonly orders$: Observable<Order> = this.#flow().pipe(takeUntilDestroyed(this.#destroyRef));

  /** Starts, or goes on. */
  start(): void {
    if (this.#busy()) return;
    this.#state.set('running');
    const run = runFlow(this.orders$);
    this.#run = run;
    this.#runs.next(run);
    run.then(
      (report) => this.#over(report.end === 'completed' ? 'done' : 'stopped'),
      () => this.#over('failed'),
    );
  }

  #busy(): boolean {
    return this.#state() === 'running' || this.#state() === 'stopping';
  }

  #over(state: DeskState): void {
    this.#state.set(state);
    this.#poolSize.set(this.#concurrency());
  }

  /** Takes no more orders, and finishes those that are inside. */
  stop(): void {
    if (this.#state() !== 'running') return;
    this.#state.set('stopping');
    void this.#run?.drain();
  }

  /** Puts the dead letters back into the line, and starts. */
  tryAgain(): void {
    if (this.#busy()) return;
    const ids = this.#deadLetters().map(({ value }) => value);
    this.#deadLetters.set([]);
    this.#todo.update((todo) => [...ids, ...todo]);
    this.start();
  }

  /**
   * Sets how many requests may be in flight. A pool keeps its size, so the source ends early, the pool finishes what it
   * holds, and `repeat` makes the next one. With a pool that can be resized this method is one call.
   */
  setConcurrency(concurrency: number): void {
    this.#concurrency.set(concurrency);
    if (!this.#busy()) this.#poolSize.set(concurrency);
  }

  #flow(): Observable<Order> {
    const ids = fromPull(() => this.#take());
    const queue = boundedQueue<number>({ capacity: 6, name: 'queue' });
    return defer(() => {
      this.#poolSize.set(this.#concurrency());
      this.#jobs.set(Array.from({ length: this.#poolSize() }));
      const pool = poolMap(this.#fetch, {
        concurrency: this.#poolSize(),
        onFailure: (letter) => this.#deadLetters.update((letters) => [letter, ...letters]),
        name: 'requests',
      });
      return ids.pipe(queue, pool);
    }).pipe(
      repeat({ delay: () => (this.#state() === 'running' && this.#todo().length > 0 ? of(true) : EMPTY) }),
      tap((order) => this.#orders.update((orders) => [order, ...orders])),
    );
  }

  /** Takes order numbers from the line, one for each pull, until the pool is to change its size. */
  *#take(): Generator<number, void> {
    while (this.#poolSize() === this.#concurrency()) {
      const [id, ...rest] = this.#todo();
      if (id === undefined) return;
      this.#todo.set(rest);
      yield id;
    }
  }

  /** Three attempts at an order, in one slot of the pool, which the page can see. */
  readonly #fetch = (id: number, context: WorkContext): Observable<Order> =>
    defer(() => this.#attempts(id, context)).pipe(finalize(() => this.#show(context.worker, undefined)));

  readonly #attempts = withRetry(
    (id: number, { worker, attempt }: WorkContext) => {
      this.#show(worker, { id, attempt, waits: false });
      return this.#api.order(id).pipe(tap({ error: () => this.#show(worker, { id, attempt, waits: true }) }));
    },
    delays([200, 400], { isRetryable: mayRecover }),
  );

  #show(worker: number, job: Job | undefined): void {
    this.#jobs.update((jobs) => jobs.map((shown, i) => (i === worker ? job : shown)));
  }
}

/** What went wrong, in words for the page. */
export function reasonOf({ error }: DeadLetter<number>): string {
  if (!(error instanceof HttpErrorResponse)) return String(error);
  return error.status === 0 ? 'no answer' : `status ${error.status}`;
}
