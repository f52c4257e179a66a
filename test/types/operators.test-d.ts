import { map, of, type MonoTypeOperatorFunction, type Observable, type OperatorFunction } from 'rxjs';
import { expectTypeOf, test } from 'vitest';
import {
  batch,
  adaptive,
  boundedQueue,
  budgeted,
  Concurrency,
  broadcast,
  dedupe,
  delays,
  drops,
  filterOr,
  fromPull,
  fromPush,
  intake,
  mergePriority,
  poolMap,
  rateLimit,
  retryDelayed,
  route,
  runFlow,
  stage,
  storeTo,
  toAsyncIterable,
  withBreaker,
  withHedge,
  withRetry,
  withTimeout,
  type DeadLetter,
  type DroppedItem,
  type FlowReport,
  type FlowStats,
  type RetryPolicy,
  type Sink,
  type Work,
  type WorkContext,
} from 'sluice';

interface Order {
  readonly id: number;
  readonly value: number;
}

declare const orders: Observable<Order>;
declare const policy: RetryPolicy;

test('a whole chain infers its types', () => {
  const flow = fromPull([1, 2, 3]).pipe(
    boundedQueue({ capacity: 100, name: 'raw' }),
    poolMap(async (id) => ({ id, value: id * 2 }), { concurrency: 3 }),
    filterOr((order) => order.value > 2, { rejected: (order) => expectTypeOf(order.id).toBeNumber() }),
    storeTo(async (items) => {
      expectTypeOf(items).toEqualTypeOf<readonly { id: number; value: number }[]>();
    }),
    map((order) => order.id),
    batch({ maxItems: 10, weigh: (id) => id }),
  );
  expectTypeOf(flow).toEqualTypeOf<Observable<number[]>>();
});

test('poolMap takes promises, Observables, iterables, and a union of them', () => {
  const options = { concurrency: 1 };
  expectTypeOf(orders.pipe(poolMap(async ({ id }) => String(id), options))).toEqualTypeOf<
    Observable<string>
  >();
  expectTypeOf(orders.pipe(poolMap(({ id }) => of(id), options))).toEqualTypeOf<Observable<number>>();
  expectTypeOf(orders.pipe(poolMap(({ id }) => [id], options))).toEqualTypeOf<Observable<number>>();
  const either = (order: Order): Promise<string> | Observable<number> =>
    order.id > 1 ? Promise.resolve('x') : of(1);
  expectTypeOf(orders.pipe(poolMap(either, options))).toEqualTypeOf<Observable<string | number>>();
  expectTypeOf(
    orders.pipe(poolMap((order) => (order.id > 1 ? Promise.resolve('x') : of(1)), options)),
  ).toEqualTypeOf<Observable<string | number>>();
});

test('poolMap takes a number of workers, or a Concurrency', () => {
  const workers = new Concurrency(3);
  expectTypeOf(orders.pipe(poolMap(async ({ id }) => id, { concurrency: workers }))).toEqualTypeOf<
    Observable<number>
  >();
  orders.pipe(poolMap(async ({ id }) => id, { concurrency: adaptive({ min: 1, max: 9 }) }));
  // @ts-expect-error both bounds are required
  adaptive({ min: 1 });
  expectTypeOf(workers.limit).toBeNumber();
  // @ts-expect-error it is set, not assigned
  workers.limit = 4;
  // @ts-expect-error a limit alone cannot be followed
  poolMap(async () => 1, { concurrency: { limit: 3 } });
});

test('withBreaker keeps the type of the work', () => {
  const work = async ({ id }: Order): Promise<number> => id;
  expectTypeOf(withBreaker(work, { maxFailures: 5, openMs: 1_000 })).toEqualTypeOf<
    Work<Order, Promise<number>>
  >();
  expectTypeOf(withHedge(work, { afterPercentile: 95, maxExtraShare: 0.05 })).toEqualTypeOf<
    Work<Order, Promise<number>>
  >();
  // @ts-expect-error a stream cannot be taken back
  withHedge((order: Order) => of(order), { afterPercentile: 95, maxExtraShare: 0.05 });
  expectTypeOf(budgeted(policy, { maxExtraShare: 0.2 })).toEqualTypeOf<RetryPolicy>();
  // @ts-expect-error both bounds are required
  withBreaker(work, { maxFailures: 5 });
});

test('poolMap knows the item in each of its callbacks', () => {
  orders.pipe(
    poolMap(
      async (order, context) => {
        expectTypeOf(order).toEqualTypeOf<Order>();
        expectTypeOf(context).toEqualTypeOf<WorkContext>();
        expectTypeOf(context.signal).toEqualTypeOf<AbortSignal>();
      },
      {
        concurrency: 1,
        by: (order) => order.id,
        onFailure: (letter, context) => {
          expectTypeOf(letter).toEqualTypeOf<DeadLetter<Order>>();
          expectTypeOf(letter.error).toBeUnknown();
          expectTypeOf(letter.elapsedMs).toBeNumber();
          expectTypeOf(context).toEqualTypeOf<WorkContext>();
        },
      },
    ),
  );
});

test('a sink of any dead letters takes those of an item, and does not say what the item is', () => {
  const anyLetters: Sink<DeadLetter<unknown>> = { store: async () => undefined };
  const orderLetters: Sink<DeadLetter<Order>> = { store: async () => undefined };
  const one = orders.pipe(poolMap(async (order) => order.value, { concurrency: 1, onFailure: anyLetters }));
  expectTypeOf(one).toEqualTypeOf<Observable<number>>();
  orders.pipe(poolMap(async (order) => order.value, { concurrency: 1, onFailure: orderLetters }));
  const stored = orders.pipe(storeTo(async () => undefined, { onFailure: anyLetters }));
  expectTypeOf(stored).toEqualTypeOf<Observable<Order>>();
  orders.pipe(
    storeTo(async () => undefined, {
      onFailure: withRetry(async ({ value }: DeadLetter<Order>) => value, delays([1])),
    }),
  );
});

test('poolMap needs its bound, and takes no other key', () => {
  // @ts-expect-error the key is required
  poolMap(async () => 1, {});
  // @ts-expect-error options are an object, not a number
  poolMap(async () => 1, 3);
  // @ts-expect-error no such key
  poolMap(async () => 1, { concurrency: 1, workers: 2 });
  // @ts-expect-error work gives a stream or a promise, not a bare value
  poolMap(() => 1, { concurrency: 1 });
  // @ts-expect-error no such policy
  poolMap(async () => 1, { concurrency: 1, onFailure: 'ignore' });
  // @ts-expect-error the item has no such property
  orders.pipe(poolMap(async (order) => order.price, { concurrency: 1 }));
});

test('options are read-only', () => {
  const options: Parameters<typeof boundedQueue>[0] = { capacity: 1 };
  // @ts-expect-error every key is readonly
  options.capacity = 2;
});

test('filterOr keeps the type, and asks for concurrency where the predicate is asynchronous', () => {
  expectTypeOf(orders.pipe(filterOr((order) => order.value > 1))).toEqualTypeOf<Observable<Order>>();
  expectTypeOf(orders.pipe(filterOr(async (order) => order.value > 1, { concurrency: 2 }))).toEqualTypeOf<
    Observable<Order>
  >();
  // @ts-expect-error concurrency is missing
  orders.pipe(filterOr(async (order: Order) => order.value > 1));
  // @ts-expect-error concurrency is missing
  orders.pipe(filterOr(async (order: Order) => order.value > 1, { name: 'big' }));
  // @ts-expect-error a predicate answers true or false
  orders.pipe(filterOr((order: Order) => order.value));
  expectTypeOf(filterOr<Order>(() => true)).toEqualTypeOf<MonoTypeOperatorFunction<Order>>();
});

test('filterOr narrows by a type guard, written or inferred', () => {
  interface PaidOrder extends Order {
    readonly paidAt: string;
  }
  const isPaid = (order: Order): order is PaidOrder => 'paidAt' in order;
  const maybe = of<Order | undefined>(undefined);

  expectTypeOf(orders.pipe(filterOr(isPaid))).toEqualTypeOf<Observable<PaidOrder>>();
  expectTypeOf(maybe.pipe(filterOr((order) => order !== undefined))).toEqualTypeOf<Observable<Order>>();
  expectTypeOf(maybe.pipe(filterOr((order) => order != null, { concurrency: 2 }))).toEqualTypeOf<
    Observable<Order>
  >();
  expectTypeOf(filterOr(isPaid)).toEqualTypeOf<OperatorFunction<Order, PaidOrder>>();
  expectTypeOf(
    maybe.pipe(
      filterOr((order) => order !== undefined, {
        rejected: (order) => expectTypeOf(order).toEqualTypeOf<Order | undefined>(),
      }),
      filterOr((order) => order.value > 1),
      storeTo(async () => undefined),
    ),
  ).toEqualTypeOf<Observable<Order>>();
  // No guard is inferred of a condition that says more than a type.
  expectTypeOf(maybe.pipe(filterOr((order) => order !== undefined && order.value > 1))).toEqualTypeOf<
    Observable<Order | undefined>
  >();
  // @ts-expect-error a guard of something else
  orders.pipe(filterOr((value: string): value is 'a' => value === 'a'));
});

test('a rejected handler is a function or an Observer of the item', () => {
  const log = (_value: unknown): void => undefined;
  orders.pipe(filterOr((order) => order.value > 1, { rejected: log }));
  orders.pipe(filterOr(() => true, { rejected: (order) => expectTypeOf(order).toEqualTypeOf<Order>() }));
  orders.pipe(
    filterOr(() => true, { rejected: { next: (order) => expectTypeOf(order).toEqualTypeOf<Order>() } }),
  );
  // @ts-expect-error it takes an Order
  orders.pipe(filterOr(() => true, { rejected: (order: string) => order.length }));
});

test('batch gives arrays', () => {
  expectTypeOf(orders.pipe(batch({ maxItems: 3 }))).toEqualTypeOf<Observable<Order[]>>();
  expectTypeOf(batch<Order>({ maxItems: 3 })).toEqualTypeOf<OperatorFunction<Order, Order[]>>();
  // @ts-expect-error the bound is required
  batch({ maxWaitMs: 5 });
});

test('boundedQueue keeps the type, and knows it in onDrop', () => {
  const flow = orders.pipe(
    boundedQueue({
      capacity: 3,
      overflow: 'dropOldest',
      onDrop: (dropped) => {
        expectTypeOf(dropped).toEqualTypeOf<DroppedItem<Order>>();
        expectTypeOf(dropped.reason).toEqualTypeOf<'dropOldest' | 'dropNewest'>();
      },
    }),
  );
  expectTypeOf(flow).toEqualTypeOf<Observable<Order>>();
  // @ts-expect-error the bound is required
  boundedQueue({});
  // @ts-expect-error no such policy
  boundedQueue({ capacity: 1, overflow: 'block' });
});

test('storeTo takes a sink or its store function, and keeps the type', () => {
  const sink: Sink<Order> = { store: async () => undefined };
  expectTypeOf(orders.pipe(storeTo(sink))).toEqualTypeOf<Observable<Order>>();
  expectTypeOf(orders.pipe(storeTo(async () => undefined, { retry: policy }))).toEqualTypeOf<
    Observable<Order>
  >();
  // @ts-expect-error this sink stores something else
  orders.pipe(storeTo({} as Sink<string>));
  // @ts-expect-error the array is not ours to change
  orders.pipe(storeTo(async (items) => void items.push({ id: 1, value: 1 })));
  // @ts-expect-error a policy, not a number
  orders.pipe(storeTo(sink, { retry: 3 }));
});

test('retry policies are data', () => {
  expectTypeOf(delays([1_000, 3_000])).toEqualTypeOf<RetryPolicy>();
  expectTypeOf(orders.pipe(retryDelayed(policy))).toEqualTypeOf<Observable<Order>>();
  // @ts-expect-error milliseconds, as an array
  delays(1_000);
  // @ts-expect-error a policy, not the delays
  retryDelayed([1_000]);
  delays([1], {
    isRetryable: (error) => {
      expectTypeOf(error).toBeUnknown();
      return true;
    },
  });
});

test('wrappers of work keep its types', () => {
  const work = async (order: Order, { signal }: WorkContext): Promise<string> => {
    await fetch('https://example.org', { signal });
    return String(order.id);
  };
  const wrapped = withRetry(withTimeout(work, { timeoutMs: 10 }), policy);
  expectTypeOf(wrapped).toEqualTypeOf<Work<Order, Promise<string>>>();
  expectTypeOf(orders.pipe(poolMap(wrapped, { concurrency: 1 }))).toEqualTypeOf<Observable<string>>();
  // @ts-expect-error a time in milliseconds, in an object
  withTimeout(work, 10);
  // @ts-expect-error it takes orders
  of('x').pipe(poolMap(wrapped, { concurrency: 1 }));
});

test('sources infer their item', () => {
  expectTypeOf(fromPull([1, 2])).toEqualTypeOf<Observable<number>>();
  expectTypeOf(fromPull(new Set(['a']))).toEqualTypeOf<Observable<string>>();
  expectTypeOf(
    fromPull(async function* () {
      yield 1n;
    }),
  ).toEqualTypeOf<Observable<bigint>>();
  expectTypeOf(
    fromPull((signal) => {
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
      return new ReadableStream<Order>();
    }),
  ).toEqualTypeOf<Observable<Order>>();
  expectTypeOf(fromPull(async () => [1, 2])).toEqualTypeOf<Observable<number>>();
  expectTypeOf(fromPull(async (signal) => (await fetch('', { signal })).body!)).toEqualTypeOf<
    Observable<Uint8Array<ArrayBuffer>>
  >();
  fromPull([1], {
    onSettled: ({ value, failure }) => [
      expectTypeOf(value).toBeNumber(),
      expectTypeOf(failure).toBeUnknown(),
    ],
  });
  // @ts-expect-error a promise is no source of many
  fromPull(Promise.resolve([1]));
  // @ts-expect-error an Observable pushes
  fromPull(orders);
});

test('fromPush takes what `from` takes', () => {
  expectTypeOf(fromPush(orders)).toEqualTypeOf<Observable<Order>>();
  expectTypeOf(fromPush(Promise.resolve(1))).toEqualTypeOf<Observable<number>>();
  expectTypeOf(fromPush([1, 2])).toEqualTypeOf<Observable<number>>();
});

test('stage and drops keep the types of what they wrap', () => {
  expectTypeOf(
    orders.pipe(
      stage(
        'id as text',
        map((order: Order) => order.id),
        map((id) => String(id)),
      ),
    ),
  ).toEqualTypeOf<Observable<string>>();
  expectTypeOf(orders.pipe(drops(map((order) => order.id)))).toEqualTypeOf<Observable<number>>();
  const toId = map((order: Order) => order.id);
  const upper = map((text: string) => text);
  // @ts-expect-error the second does not fit the first
  stage('misfit', toId, upper);
});

test('intake and toAsyncIterable carry the item', () => {
  const { offer, items$ } = intake<Order>({ capacity: 1 });
  expectTypeOf(offer).parameters.toEqualTypeOf<[Order]>();
  expectTypeOf(offer({ id: 1, value: 2 })).toEqualTypeOf<Promise<void>>();
  expectTypeOf(items$).toEqualTypeOf<Observable<Order>>();
  expectTypeOf(toAsyncIterable(orders, { capacity: 1 })).toEqualTypeOf<AsyncIterable<Order>>();
  // @ts-expect-error the bound is required
  intake<Order>({});
});

test('broadcast gives what any of its branches gives, and each branch knows the item', () => {
  const both = orders.pipe(
    broadcast([
      poolMap(async (order: Order) => String(order.id), { concurrency: 1 }),
      batch({ maxItems: 2 }),
    ]),
  );
  expectTypeOf(both).toEqualTypeOf<Observable<string | Order[]>>();
  const one = orders.pipe(broadcast([poolMap(async (order) => order.value, { concurrency: 1 })]));
  expectTypeOf(one).toEqualTypeOf<Observable<number>>();
  // @ts-expect-error a branch is an operator
  broadcast([1]);
  // @ts-expect-error the branch takes something else
  orders.pipe(broadcast([map((text: string) => text)]));
});

test('route gives what any of its branches gives, and knows the item and the names', () => {
  const both = orders.pipe(
    route((order) => (order.value > 500 ? 'large' : 'small'), {
      branches: {
        large: poolMap(async (order) => order.value, { concurrency: 1 }),
        small: batch({ maxItems: 2 }),
      },
      rejected: (order) => expectTypeOf(order).toEqualTypeOf<Order>(),
    }),
  );
  expectTypeOf(both).toEqualTypeOf<Observable<number | Order[]>>();
  const branches = { large: batch<Order>({ maxItems: 2 }) };
  expectTypeOf(
    orders.pipe(route((order) => (order.id > 1 ? 'large' : undefined), { branches })),
  ).toEqualTypeOf<Observable<Order[]>>();
  // @ts-expect-error there is no such branch
  orders.pipe(route(() => 'huge', { branches }));
});

test('mergePriority gives what any of its sources gives', () => {
  expectTypeOf(mergePriority(orders, of(1), of('a'))).toEqualTypeOf<Observable<Order | number | string>>();
  const anything: unknown = orders;
  // @ts-expect-error a source is an Observable
  mergePriority(orders, anything);
});

test('dedupe keeps the type, knows the item, and needs its bounds', () => {
  const unique = orders.pipe(dedupe({ by: (order) => order.id, withinMs: 10, maxKeys: 9 }));
  expectTypeOf(unique).toEqualTypeOf<Observable<Order>>();
  // @ts-expect-error memory needs a bound
  dedupe({ by: (order: Order) => order.id, withinMs: 10 });
  // @ts-expect-error the item has no such property
  orders.pipe(dedupe({ by: (order) => order.price, withinMs: 10, maxKeys: 9 }));
});

test('rateLimit keeps the type, knows the item, and needs both of its numbers', () => {
  const limited = orders.pipe(
    rateLimit({ limit: 1, perMs: 10, by: (order) => expectTypeOf(order).toEqualTypeOf<Order>() }),
  );
  expectTypeOf(limited).toEqualTypeOf<Observable<Order>>();
  // @ts-expect-error a rate is items in a time
  rateLimit({ limit: 1 });
});

test('a run is awaited for its report', async () => {
  const run = runFlow(orders);
  expectTypeOf(await run).toEqualTypeOf<FlowReport>();
  expectTypeOf(run.drain()).toEqualTypeOf<Promise<FlowReport>>();
  expectTypeOf(run.stats$).toEqualTypeOf<Observable<FlowStats>>();
  expectTypeOf((await run).end).toEqualTypeOf<'completed' | 'drained' | 'aborted' | 'failed'>();
  // @ts-expect-error no such way
  runFlow(orders, { onError: 'ignore' });
});

test('a handler of a failed run says what it expects, as with a Promise', () => {
  const run = runFlow(of(1));
  /* eslint-disable @typescript-eslint/use-unknown-in-catch-callback-variable -- it is what users write */
  expectTypeOf(run.catch((error: Error) => error.message)).resolves.toExtend<string | FlowReport>();
  expectTypeOf(run.then(null, (error: Error) => error.message)).resolves.toExtend<string | FlowReport>();
});
