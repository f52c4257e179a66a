import { HttpErrorResponse } from '@angular/common/http';
import { createEnvironmentInjector, EnvironmentInjector } from '@angular/core';
import { TestBed } from '@angular/core/testing';
import { finalize, map, NEVER, timer, type Observable } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ORDER_IDS, OrderDesk } from './order-desk';
import { OrdersApi, type Order } from './orders-api';

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
const orderOf = (id: number): Order => ({ id, customer: 'somebody', total: 10 * id, lines: 1 });
/** What the letters of the marbles stand for. */
const orders = Object.fromEntries(upTo(9).map((id) => ['_abcdefghi'.charAt(id), orderOf(id)]));
const status = (code: number): HttpErrorResponse => new HttpErrorResponse({ status: code });

/** A desk for these orders, in a view that can go. */
function deskFor(ids: readonly number[], order: (id: number) => Observable<Order>) {
  const view = createEnvironmentInjector(
    [OrderDesk, { provide: ORDER_IDS, useValue: ids }, { provide: OrdersApi, useValue: { order } }],
    TestBed.inject(EnvironmentInjector),
  );
  return { desk: view.get(OrderDesk), view };
}

/** Runs marbles in virtual time. */
const inTime: TestScheduler['run'] = (pictures) =>
  new TestScheduler((actual, expected) => {
    expect(actual).toEqual(expected);
  }).run(pictures);

describe('the flow of the desk', () => {
  test('has three requests open at once', () => {
    inTime(({ cold, expectObservable, expectSubscriptions }) => {
      const a = cold(' 9ms (a|)', orders);
      const b = cold(' 9ms (b|)', orders);
      const c = cold(' 4ms (c|)', orders);
      const d = cold('     4ms (d|)', orders);
      const requests = [a, b, c, d];
      const { desk } = deskFor(upTo(4), (id) => requests[id - 1] ?? NEVER);

      expectObservable(desk.orders$).toBe('4ms c 3ms d (ab|)', orders);
      expectSubscriptions(a.subscriptions).toBe('^ 8ms !');
      expectSubscriptions(c.subscriptions).toBe('^ 3ms !');
      expectSubscriptions(d.subscriptions).toBe('4ms ^ 3ms !');
    });
  });

  test('tries an order again after 200 ms and after 400 ms, and lets others pass', () => {
    inTime(({ cold, expectObservable, expectSubscriptions }) => {
      const refused = cold('-#', orders, status(503));
      const b = cold('     -(b|)', orders);
      const { desk } = deskFor([1, 2], (id) => (id === 1 ? refused : b));

      expectObservable(desk.orders$).toBe('- b 601ms |', orders);
      expectSubscriptions(refused.subscriptions).toBe(['^!', '201ms ^!', '602ms ^!']);
    });
  });

  test('makes dead letters of what is refused three times, and at once of what no retry can mend', () => {
    const { desk } = deskFor([1, 2, 3], (id) =>
      timer(1).pipe(
        map(() => {
          if (id === 1) throw status(503);
          if (id === 2) throw status(404);
          return orderOf(id);
        }),
      ),
    );
    inTime(({ expectObservable }) => {
      expectObservable(desk.orders$).toBe('- c 601ms |', orders);
    });
    expect(desk.deadLetters().map(({ value, attempts }) => ({ value, attempts }))).toEqual([
      { value: 1, attempts: 3 },
      { value: 2, attempts: 1 },
    ]);
    expect(desk.orders()).toEqual([orderOf(3)]);
  });

  test('takes from the line only what it has room for: 3 at work and 6 in the queue', () => {
    const { desk } = deskFor(upTo(100), () => NEVER);
    const subscription = desk.orders$.subscribe();
    expect(desk.todo()).toEqual(upTo(100).slice(9));
    subscription.unsubscribe();
  });

  test('ends, and aborts its requests, when the view goes', () => {
    inTime(({ cold, expectObservable, expectSubscriptions }) => {
      const request = cold('     9ms (a|)', orders);
      const { desk, view } = deskFor([1], () => request);
      cold('5ms x').subscribe(() => {
        view.destroy();
      });
      expectObservable(desk.orders$).toBe('5ms |');
      expectSubscriptions(request.subscriptions).toBe('^ 4ms !');
    });
  });

  test('asks for nothing when the view has gone already', () => {
    inTime(({ expectObservable }) => {
      const order = vi.fn(() => NEVER);
      const { desk, view } = deskFor([1], order);
      view.destroy();
      expectObservable(desk.orders$).toBe('|');
      expect(order).not.toHaveBeenCalled();
    });
  });
});

describe('the desk', () => {
  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
    });
  });
  afterEach(() => {
    expect(vi.getTimerCount()).toBe(0); // an idle desk keeps nothing awake
    vi.useRealTimers();
  });

  /** Orders that take 10 ms each, with the number of requests that are open. */
  function slowShop() {
    const seen = { open: 0, asked: [] as number[] };
    const order = (id: number): Observable<Order> => {
      seen.open++;
      seen.asked.push(id);
      return timer(10).pipe(
        map(() => orderOf(id)),
        finalize(() => seen.open--),
      );
    };
    return { seen, order };
  }

  test('has figures from the start to the end of a run', async () => {
    const { desk } = deskFor(upTo(7), slowShop().order);
    expect(desk.stats()).toBeUndefined();
    desk.start();
    expect(desk.stats()).toMatchObject({ itemsIn: 7, leftOver: 7, delivered: 0 });
    await vi.advanceTimersByTimeAsync(30);
    expect(desk.state()).toBe('done');
    expect(desk.stats()).toMatchObject({ itemsIn: 7, leftOver: 0, delivered: 7 });
  });

  test('shows what each worker does', async () => {
    let refuse = true;
    const { desk } = deskFor([1, 2], (id) =>
      timer(10 * id).pipe(
        map(() => {
          if (id === 1 && refuse) throw status(503);
          return orderOf(id);
        }),
      ),
    );
    desk.start();
    const jobs = (): string =>
      desk
        .jobs()
        .map((job) => (job ? `${job.id} attempt ${job.attempt}${job.waits ? ' waits' : ''}` : 'idle'))
        .join(', ');
    expect(jobs()).toBe('1 attempt 1, 2 attempt 1, idle');
    await vi.advanceTimersByTimeAsync(15);
    expect(jobs()).toBe('1 attempt 1 waits, 2 attempt 1, idle');
    refuse = false;
    await vi.advanceTimersByTimeAsync(200);
    expect(jobs()).toBe('1 attempt 2, idle, idle');
    await vi.advanceTimersByTimeAsync(10);
    expect(jobs()).toBe('idle, idle, idle');
  });

  test('drains when it is stopped, and goes on where it was', async () => {
    const shop = slowShop();
    const { desk } = deskFor(upTo(30), shop.order);
    desk.start();
    await vi.advanceTimersByTimeAsync(15);
    desk.stop();
    expect(desk.state()).toBe('stopping');
    await vi.advanceTimersByTimeAsync(100);
    expect(desk.state()).toBe('stopped');
    expect(desk.orders()).toHaveLength(3 + 3 + 6); // done, at work, queued
    expect(desk.todo()).toEqual(upTo(30).slice(12));

    desk.start();
    await vi.advanceTimersByTimeAsync(100);
    expect(desk.state()).toBe('done');
    expect(shop.seen.asked).toEqual(upTo(30));
  });

  test('opens more requests at once when it may, and fewer when enough of those now open are done', async () => {
    const shop = slowShop();
    const { desk } = deskFor(upTo(60), shop.order);
    desk.start();
    await vi.advanceTimersByTimeAsync(5);
    expect(shop.seen.open).toBe(3);

    desk.setConcurrency(5);
    await vi.advanceTimersByTimeAsync(0);
    expect(shop.seen.open).toBe(5);
    expect(desk.jobs()).toHaveLength(5);

    desk.setConcurrency(1);
    expect(shop.seen.open).toBe(5);
    expect(desk.jobs()).toHaveLength(5);
    await vi.advanceTimersByTimeAsync(10);
    expect(shop.seen.open).toBe(1);
    expect(desk.jobs()).toHaveLength(1);

    desk.setConcurrency(6);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(desk.state()).toBe('done');
    expect(shop.seen.asked).toEqual(upTo(60));
    expect(desk.stats()).toMatchObject({ itemsIn: 60, delivered: 60, leftOver: 0 });
  });

  test('tries dead letters again when it is told to', async () => {
    let broken = true;
    const { desk } = deskFor([1, 2], (id) =>
      timer(1).pipe(
        map(() => {
          if (broken && id === 1) throw status(500);
          return orderOf(id);
        }),
      ),
    );
    desk.start();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(desk.deadLetters()).toHaveLength(1);
    broken = false;
    desk.tryAgain();
    await vi.advanceTimersByTimeAsync(10);
    expect(desk.deadLetters()).toEqual([]);
    expect(desk.orders().map(({ id }) => id)).toEqual([1, 2]);
  });

  test('leaves nothing behind when the view goes during a run', async () => {
    const shop = slowShop();
    const { desk, view } = deskFor(upTo(30), shop.order);
    desk.start();
    await vi.advanceTimersByTimeAsync(15);
    view.destroy();
    expect(shop.seen.open).toBe(0);
    await vi.advanceTimersByTimeAsync(0);
    expect(shop.seen.asked).toHaveLength(6);
  });
});
