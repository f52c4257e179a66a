import { createEnvironmentInjector, EnvironmentInjector } from '@angular/core';
import { TestBed, type ComponentFixture } from '@angular/core/testing';
import { delay, NEVER, of, throwError, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { OrdersApi, type Order, type OrderLine } from '../orders-api';
import { Lines } from './lines';
import { Orders } from './orders';

const orderOf = (id: number): Order => ({ id, customer: 'somebody', total: 10 * id, lines: 1 });
const lineOf = (order: number, line: number): OrderLine => ({
  line,
  article: `article ${order}.${line}`,
  quantity: 1,
  price: 10,
});

describe('a service with a flow', () => {
  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
    });
  });
  afterEach(() => {
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  /** The service, and what it asked for: each order takes 10 ms. */
  function service(order = (id: number): Observable<Order> => of(orderOf(id)).pipe(delay(10))) {
    const asked: number[] = [];
    const api = {
      order: (id: number) => {
        asked.push(id);
        return order(id);
      },
    };
    const view = createEnvironmentInjector(
      [Orders, { provide: OrdersApi, useValue: api }],
      TestBed.inject(EnvironmentInjector),
    );
    return { orders: view.get(Orders), asked, view };
  }
  const idsOf = (orders: Orders): number[] => orders.orders().map(({ id }) => id);

  test('is started once by two clicks, and stopped by one', async () => {
    const { orders, asked } = service();
    orders.start();
    orders.start();
    expect(asked).toEqual([1, 2, 3]);
    await vi.advanceTimersByTimeAsync(5);
    orders.stop();
    await vi.advanceTimersByTimeAsync(100);
    expect(asked).toEqual([1, 2, 3]);
    expect(idsOf(orders)).toEqual([1, 2, 3]);
  });

  test('begins anew when it is started after its end', async () => {
    const { orders } = service();
    for (let run = 0; run < 2; run++) {
      orders.start();
      await vi.advanceTimersByTimeAsync(100);
      expect(idsOf(orders)).toEqual([1, 2, 3, 4, 5]);
      expect(orders.stats()).toMatchObject({ itemsIn: 5, delivered: 5, leftOver: 0 });
    }
  });

  test('can be started again after its flow has failed', async () => {
    const { orders } = service();
    const update = vi.spyOn(orders.orders, 'update').mockImplementationOnce(() => {
      throw new Error('no room');
    });
    orders.start();
    await vi.advanceTimersByTimeAsync(100);
    expect(orders.error()).toEqual(new Error('no room'));
    update.mockRestore();
    orders.start();
    expect(orders.error()).toBeUndefined();
    await vi.advanceTimersByTimeAsync(100);
    expect(idsOf(orders)).toEqual([1, 2, 3, 4, 5]);
  });

  test('ends with its view', async () => {
    const { orders, asked, view } = service(() => NEVER);
    orders.start();
    view.destroy();
    await vi.advanceTimersByTimeAsync(0);
    expect(asked).toEqual([1, 2, 3]);
  });
});

describe('a flow as a resource', () => {
  /** The component for order 1, whose requests fail as long as `broken` is true. */
  async function shown() {
    const shop = { broken: true };
    const line = (order: number, number: number): Observable<OrderLine> =>
      shop.broken ? throwError(() => new Error('no answer')) : of(lineOf(order, number));
    TestBed.configureTestingModule({ providers: [{ provide: OrdersApi, useValue: { line } }] });
    const view = TestBed.createComponent(Lines);
    const show = async (id: number): Promise<void> => {
      view.componentRef.setInput('id', id);
      await view.whenStable();
    };
    await show(1);
    return { shop, view, show };
  }
  const text = (view: ComponentFixture<Lines>): string[] =>
    [...(view.nativeElement as HTMLElement).querySelectorAll('p')].map(({ textContent }) =>
      textContent.trim(),
    );
  const lines = (order: number): string[] => [1, 2, 3].map((line) => `1 × article ${order}.${line}`);

  test('says that a request has failed, and tries again', async () => {
    const { shop, view } = await shown();
    expect(text(view)).toEqual(['The lines of order 1 could not be fetched.']);
    shop.broken = false;
    (view.nativeElement as HTMLElement).querySelector('button')?.click();
    await view.whenStable();
    expect(text(view)).toEqual(lines(1));
  });

  test('shows no lines of the order before where those of the next cannot be fetched', async () => {
    const { shop, view, show } = await shown();
    shop.broken = false;
    await show(2);
    expect(text(view)).toEqual(lines(2));
    shop.broken = true;
    await show(3);
    expect(text(view)).toEqual(['The lines of order 3 could not be fetched.']);
    shop.broken = false;
    await show(4);
    expect(text(view)).toEqual(lines(4));
  });
});
