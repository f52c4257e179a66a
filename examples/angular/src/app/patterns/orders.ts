import { DestroyRef, inject, Injectable, signal } from '@angular/core';
import { takeUntilDestroyed, toSignal } from '@angular/core/rxjs-interop';
import { Subject, switchMap, tap } from 'rxjs';
import { delays, fromPull, poolMap, runFlow, withRetry, type DeadLetter, type FlowRun } from 'sluice';
import { mayRecover, OrdersApi, type Order } from '../orders-api';

@Injectable()
export class Orders {
  readonly #api = inject(OrdersApi);
  readonly #runs = new Subject<FlowRun>();
  #run: FlowRun | undefined;

  readonly orders = signal<readonly Order[]>([]);
  readonly deadLetters = signal<readonly DeadLetter<number>[]>([]);
  readonly error = signal<unknown>(undefined);
  readonly stats = toSignal(this.#runs.pipe(switchMap((run) => run.stats$)));

  readonly orders$ = fromPull([1, 2, 3, 4, 5]).pipe(
    poolMap(
      withRetry((id: number) => this.#api.order(id), delays([200, 400], { isRetryable: mayRecover })),
      { concurrency: 3, onFailure: (letter) => this.deadLetters.update((letters) => [...letters, letter]) },
    ),
    tap((order) => this.orders.update((orders) => [...orders, order])),
    takeUntilDestroyed(inject(DestroyRef)),
  );

  start(): void {
    if (this.#run) return; // a second click: it runs already
    this.orders.set([]);
    this.deadLetters.set([]);
    this.error.set(undefined);
    const run = runFlow(this.orders$);
    this.#run = run;
    this.#runs.next(run);
    void run
      .then(undefined, (error: unknown) => this.error.set(error))
      .then(() => {
        this.#run = undefined;
      });
  }

  stop(): void {
    void this.#run?.drain();
  }
}
