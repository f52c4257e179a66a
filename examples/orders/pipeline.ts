import { boundedQueue, delays, filterOr, fromPull, poolMap, storeTo, withRetry } from 'sluice';
import type { DeadLetterHandler, PullInput, Sink, Work } from 'sluice';
import type { HttpConnections } from 'sluice/http';
import type { Observable } from 'rxjs';
import type { Order, OrderPage } from './api.ts';

/** An order as the table has it. */
export interface ProcessedOrder extends Order {
  readonly transformedValue: number;
  readonly processedAt: Date;
  /** Which of the three transformers did it: 1, 2 or 3. */
  readonly workerId: number;
}

export interface CollectOptions {
  /** The numbers of the orders, wherever they come from. */
  readonly orderIds: PullInput<number>;
  /** Asks the API for one order. */
  readonly fetchOrder: Work<number, Promise<Order>>;
  readonly table: Sink<ProcessedOrder>;
  /** What the waits before a retry, 1, 3 and 5 seconds, are multiplied by. */
  readonly retryScale: number;
  /** Takes an order that no retry could get. */
  readonly onDead: DeadLetterHandler<number>;
}

/** The numbers of all orders, one page after the other; a page is asked for when its first number is wanted. */
export async function* orderIds(http: HttpConnections, shop: string): AsyncGenerator<number, void> {
  const fetchPage = http.json<OrderPage, number>((page) => `${shop}/orders?page=${page}`);
  for (let page: number | null = 1; page !== null;) {
    const { ids, next }: OrderPage = await fetchPage(page);
    yield* ids;
    page = next;
  }
}

/**
 *     orderIds → [raw queue] → 3 transformers → [processed queue] → filter → [storage queue] → table
 *
 * A slow table makes the filter wait, the filter the transformers, and these the one who asks for the next order number:
 * no queue ever holds more than 100, and nothing is lost.
 */
export function collectOrders({
  orderIds,
  fetchOrder,
  table,
  retryScale,
  onDead,
}: CollectOptions): Observable<ProcessedOrder> {
  const fetchPatiently = withRetry(fetchOrder, delays([1_000, 3_000, 5_000].map((ms) => ms * retryScale)));

  const transform: Work<number, Promise<ProcessedOrder>> = async (id, context) => {
    const order = await fetchPatiently(id, context);
    return {
      ...order,
      transformedValue: order.value * 1.5,
      processedAt: new Date(),
      workerId: context.worker + 1,
    };
  };

  return fromPull(orderIds, { name: 'order ids' }).pipe(
    boundedQueue({ capacity: 100, name: 'raw queue' }),
    poolMap(transform, { concurrency: 3, onFailure: onDead, name: 'transformers' }),
    boundedQueue({ capacity: 100, name: 'processed queue' }),
    filterOr((order) => order.value > 500, { name: 'filter' }),
    boundedQueue({ capacity: 100, name: 'storage queue' }),
    storeTo(table, { maxItems: 50, maxWaitMs: 50, retry: delays([100, 500, 1_000]), name: 'table' }),
  );
}
