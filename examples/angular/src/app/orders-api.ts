import { HttpClient, HttpErrorResponse } from '@angular/common/http';
import { inject, Injectable } from '@angular/core';
import type { Observable } from 'rxjs';
import type { Order, OrderLine } from '../api/shop';

export type { Order, OrderLine };

/** The shop, over HTTP. Unsubscribing from a request aborts it. */
@Injectable({ providedIn: 'root' })
export class OrdersApi {
  readonly #http = inject(HttpClient);

  order(id: number): Observable<Order> {
    return this.#http.get<Order>(`/api/orders/${id}`);
  }

  line(id: number, line: number): Observable<OrderLine> {
    return this.#http.get<OrderLine>(`/api/orders/${id}/lines/${line}`);
  }
}

/** Whether trying again may help: `HttpErrorResponse` does not say so itself. Status 0: no answer at all. */
export function mayRecover(error: unknown): boolean {
  if (!(error instanceof HttpErrorResponse)) return false;
  const { status } = error;
  return status === 0 || status === 408 || status === 425 || status === 429 || status >= 500;
}
