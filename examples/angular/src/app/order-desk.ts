import { HttpErrorResponse } from '@angular/common/http';
import { computed, DestroyRef, inject, Injectable, InjectionToken, signal } from '@angular/core';
import { takeUntilDestroyed, toSignal } from '@angular/core/rxjs-interop';
import { defer, finalize, Subject, switchMap, tap, type Observable } from 'rxjs';
import {
  boundedQueue,
  Concurrency,
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
  readonly #workers = new Concurrency(3);
  readonly #concurrency = signal(this.#workers.limit);
  readonly #runs = new Subject<FlowRun>();
  #run: FlowRun | undefined;

  readonly state = this.#state.asReadonly();
  /** Orders that nobody has asked for yet. */
  readonly todo = this.#todo.asReadonly();
  /** Orders that have come, the newest first. */
  readonly orders = this.#orders.asReadonly();
  readonly deadLetters = this.#deadLetters.asReadonly();
  /** How many requests are wanted at once. */
  readonly concurrency = this.#concurrency.asReadonly();
  /** One for each worker of the pool; undefined: idle. After a lowered limit, those above it that still work are here too. */
  readonly jobs = computed(() => {
    const jobs = this.#jobs();
    const workers = Math.max(this.#concurrency(), jobs.findLastIndex((job) => job !== undefined) + 1);
    return Array.from({ length: workers }, (_, i) => jobs[i]);
  });
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
      (report) => this.#state.set(report.end === 'completed' ? 'done' : 'stopped'),
      () => this.#state.set('failed'),
    );
  }

  #busy(): boolean {
    return this.#state() === 'running' || this.#state() === 'stopping';
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

  /** Sets how many requests may be in flight: more start at once, fewer when enough of those now open are done. */
  setConcurrency(concurrency: number): void {
    this.#concurrency.set(concurrency);
    this.#workers.set(concurrency);
  }

  #flow(): Observable<Order> {
    return fromPull(() => this.#take()).pipe(
      boundedQueue({ capacity: 6, name: 'queue' }),
      poolMap((id, context) => this.#fetch(id, context), {
        concurrency: this.#workers,
        onFailure: (letter) => this.#deadLetters.update((letters) => [letter, ...letters]),
        name: 'requests',
      }),
      tap((order) => this.#orders.update((orders) => [order, ...orders])),
    );
  }

  /** Takes order numbers from the line, one for each pull. */
  *#take(): Generator<number, void> {
    for (;;) {
      const [id, ...rest] = this.#todo();
      if (id === undefined) return;
      this.#todo.set(rest);
      yield id;
    }
  }

  /** Three attempts at an order, in one slot of the pool, which the page can see. */
  #fetch(id: number, context: WorkContext): Observable<Order> {
    return defer(() => this.#attempts(id, context)).pipe(
      finalize(() => this.#show(context.worker, undefined)),
    );
  }

  readonly #attempts = withRetry(
    (id: number, { worker, attempt }: WorkContext) => {
      this.#show(worker, { id, attempt, waits: false });
      return this.#api.order(id).pipe(tap({ error: () => this.#show(worker, { id, attempt, waits: true }) }));
    },
    delays([200, 400], { isRetryable: mayRecover }),
  );

  #show(worker: number, job: Job | undefined): void {
    this.#jobs.update((jobs) => {
      const shown = [...jobs];
      shown[worker] = job;
      return shown;
    });
  }
}

/** What went wrong, in words for the page. */
export function reasonOf({ error }: DeadLetter<number>): string {
  if (!(error instanceof HttpErrorResponse)) return String(error);
  return error.status === 0 ? 'no answer' : `status ${error.status}`;
}
