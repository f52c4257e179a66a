import { CurrencyPipe } from '@angular/common';
import { Component, inject, input, numberAttribute } from '@angular/core';
import { rxResource } from '@angular/core/rxjs-interop';
import { RouterLink } from '@angular/router';
import { map, switchMap, toArray, type Observable } from 'rxjs';
import { delays, fromPull, poolMap, retryDelayed, withRetry } from 'sluice';
import { ORDERS } from '../api/shop';
import { mayRecover, OrdersApi, type OrderLine } from './orders-api';

const again = delays([200, 400], { isRetryable: mayRecover });

/** An order with its lines, fetched two at a time. A flow as a resource: the next order, or leaving, aborts it. */
@Component({
  selector: 'app-order-page',
  imports: [CurrencyPipe, RouterLink],
  templateUrl: './order-page.html',
  styleUrl: './order-page.css',
})
export class OrderPage {
  readonly #api = inject(OrdersApi);
  readonly last = ORDERS;
  readonly id = input.required({ transform: numberAttribute });

  readonly order = rxResource({
    params: () => this.id(),
    stream: ({ params: id }) =>
      this.#api.order(id).pipe(
        retryDelayed(again),
        switchMap((order) => this.#lines(id, order.lines).pipe(map((lines) => ({ ...order, lines })))),
      ),
  });

  /** All lines in one value: the server waits for the first value of a resource, and no longer. */
  #lines(id: number, count: number): Observable<OrderLine[]> {
    const line = withRetry((number: number) => this.#api.line(id, number), again);
    const numbers = Array.from({ length: count }, (_, i) => i + 1);
    return fromPull(numbers).pipe(poolMap(line, { concurrency: 2, ordered: true }), toArray());
  }
}
