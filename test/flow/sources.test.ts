import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable, PassThrough } from 'node:stream';
import {
  from,
  lastValueFrom,
  map,
  Observable,
  of,
  Subject,
  take,
  toArray,
  type Subscriber,
  type Subscription,
} from 'rxjs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { fromPull, fromPush, link, poolMap, runFlow, SourceUsedError, type PullInput } from 'sluice';
import { deferred } from '../support/deferred.ts';

const all = <T>(flow: Observable<T>): Promise<T[]> => lastValueFrom(flow.pipe(toArray()));

afterEach(() => {
  vi.restoreAllMocks();
});

function* counting(): Generator<number> {
  yield 1;
  yield 2;
  yield 3;
}

async function* countingLater(): AsyncGenerator<number> {
  for (const value of counting()) yield value;
}

function webStream(...values: number[]): ReadableStream<number> {
  return new ReadableStream({
    start(controller) {
      for (const value of values) controller.enqueue(value);
      controller.close();
    },
  });
}

const kinds: [string, () => PullInput<number>][] = [
  ['an array', () => [1, 2, 3]],
  ['a Set', () => new Set([1, 2, 3])],
  ['a generator', counting],
  ['an async generator', countingLater],
  ['a Node stream', () => Readable.from([1, 2, 3])],
  ['a web stream', () => webStream(1, 2, 3)],
  ['a function that returns an array', () => () => [1, 2, 3]],
  ['a generator function', () => counting],
  ['an async generator function', () => countingLater],
  ['a function that promises an array', () => () => Promise.resolve([1, 2, 3])],
  ['a function that promises an async generator', () => () => Promise.resolve(countingLater())],
  ['a function that promises a web stream', () => () => Promise.resolve(webStream(1, 2, 3))],
];

describe('fromPull', () => {
  it.each(kinds)('gives what %s gives, then completes', async (_kind, input) => {
    expect(await all(fromPull(input()))).toEqual([1, 2, 3]);
  });

  it('takes a string for its characters, as `from` does', async () => {
    expect(await all(fromPull('abc'))).toEqual(['a', 'b', 'c']);
  });

  it.each(kinds)(
    'is not subscribed to, and pulls nothing from %s, before it is subscribed to',
    (_kind, input) => {
      let pulls = 0;
      const opened = input();
      if (typeof opened === 'function') {
        fromPull(() => {
          pulls++;
          return [];
        });
      } else {
        const spied = new Proxy(opened, {
          get: (target, key): unknown => {
            if (key !== 'then') pulls++;
            return Reflect.get(target, key) as unknown;
          },
        });
        fromPull(spied);
      }
      expect(pulls).toBe(0);
    },
  );

  it.each(kinds.filter(([kind]) => /^(an array|a Set|a.*function.*)$/.test(kind)))(
    'can be subscribed to again over %s',
    async (_kind, input) => {
      const source = fromPull(input());
      expect([await all(source), await all(source)]).toEqual([
        [1, 2, 3],
        [1, 2, 3],
      ]);
    },
  );

  it.each(
    kinds.filter(([kind]) => /^(a generator|an async generator|a Node stream|a web stream)$/.test(kind)),
  )('errors with SourceUsedError when subscribed to again over %s', async (_kind, input) => {
    const source = fromPull(input(), { name: 'orders' });
    await all(source);
    await expect(all(source)).rejects.toThrow(new SourceUsedError('orders'));
  });

  it('errors with SourceUsedError where two sources read one generator', async () => {
    const generator = counting();
    await all(fromPull(generator).pipe(take(1)));
    await expect(all(fromPull(generator))).rejects.toBeInstanceOf(SourceUsedError);
  });

  it('errors with what the input throws, synchronous or not, after what it gave', async () => {
    const boom = new Error('boom');
    const now = function* (): Generator<number> {
      yield 1;
      throw boom;
    };
    const later = async function* (): AsyncGenerator<number> {
      yield 1;
      throw boom;
    };
    for (const input of [now, later]) {
      const seen: unknown[] = [];
      const done = deferred();
      fromPull<number>(input).subscribe({
        next: (value) => seen.push(value),
        error: (error: unknown) => {
          seen.push(error);
          done.resolve();
        },
      });
      await done.promise;
      expect(seen).toEqual([1, boom]);
    }
  });

  it('errors with what a factory throws', async () => {
    const boom = new Error('cannot open');
    const open = (): never => {
      throw boom;
    };
    await expect(all(fromPull(open))).rejects.toBe(boom);
  });

  it.each([null, undefined, 5, {}, Promise.resolve([1]), () => 5, () => null, () => Promise.resolve(5)])(
    'errors over what cannot be pulled: %o',
    async (input) => {
      await expect(all(fromPull(input as never))).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    },
  );

  it('says that an Observable is for fromPush', async () => {
    await expect(all(fromPull(of(1) as never))).rejects.toThrow(
      'fromPull: input must be an iterable, an async iterable or a readable stream (an Observable is for fromPush), ' +
        'got a value of type object',
    );
  });

  it('aborts the signal of a factory when it is unsubscribed from, and not before', async () => {
    const signals: AbortSignal[] = [];
    const subscription = fromPull((signal) => {
      signals.push(signal);
      return (async function* () {
        yield 1;
        await new Promise(() => undefined);
      })();
    }).subscribe();
    await Promise.resolve();
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    subscription.unsubscribe();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  it('calls return() at once when it is unsubscribed from, though a pull is pending', () => {
    const calls: string[] = [];
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          calls.push('next');
          return new Promise(() => undefined);
        },
        return: () => {
          calls.push('return');
          return Promise.resolve({ done: true, value: undefined });
        },
      }),
    };
    fromPull(source).subscribe().unsubscribe();
    expect(calls).toEqual(['next', 'return']);
  });

  it('does not call return() of an iterator that ended by itself', async () => {
    const close = vi.fn(() => ({ done: true as const, value: undefined }));
    const source = {
      [Symbol.iterator]: () => ({ next: () => ({ done: true as const, value: undefined }), return: close }),
    };
    expect(await all(fromPull(source))).toEqual([]);
    expect(close).not.toHaveBeenCalled();
  });

  // It does; over a web stream that errored this also makes a warning, “closing failed”, of the same error.
  it('does not call return() of an iterator whose next() threw, as `for … of` does not', async () => {
    const close = vi.fn(() => ({ done: true as const, value: undefined }));
    const next = (): never => {
      throw new Error('broken');
    };
    const source = { [Symbol.iterator]: () => ({ next, return: close }) };
    await expect(all(fromPull(source))).rejects.toThrow('broken');
    expect(close).not.toHaveBeenCalled();
  });

  it('asks an iterator again that answers with a thenable which calls back at once', async () => {
    let given = 0;
    const next = (): PromiseLike<IteratorResult<number, undefined>> => ({
      then: ((answer: (result: IteratorResult<number, undefined>) => void) => {
        answer(given < 3 ? { done: false, value: ++given } : { done: true, value: undefined });
      }) as never,
    });
    const source = { [Symbol.asyncIterator]: () => ({ next }) } as unknown as AsyncIterable<number>;
    const one = poolMap(async (value: number) => value, { concurrency: 1 });
    expect(await all(fromPull(source).pipe(one))).toEqual([1, 2, 3]);
  });

  it('has one pull pending at a time', async () => {
    let pending = 0;
    let most = 0;
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => {
        let i = 0;
        return {
          next: async () => {
            most = Math.max(most, ++pending);
            await Promise.resolve();
            pending--;
            return i++ < 50 ? { done: false, value: i } : { done: true, value: undefined };
          },
        };
      },
    };
    expect(
      await all(fromPull(source).pipe(poolMap(async (value) => value, { concurrency: 10 }))),
    ).toHaveLength(50);
    expect(most).toBe(1);
  });

  it('names itself in messages', async () => {
    const source = fromPull(counting(), { name: 'ids' });
    await all(source);
    await expect(all(source)).rejects.toThrow(/^ids: this source can be read only once/);
  });
});

describe('fromPull over what a promise opens', () => {
  it('errors with what opening fails with', async () => {
    const boom = new Error('no such host');
    await expect(all(fromPull(() => Promise.reject(boom)))).rejects.toBe(boom);
  });

  it('pulls one at a time, as there is room', async () => {
    let pulled = 0;
    const endless = function* (): Generator<number> {
      for (;;) yield ++pulled;
    };
    const gates = [deferred(), deferred(), deferred()];
    const work = (value: number): Promise<void> => gates[value - 1]!.promise;
    const left: number[] = [];
    const flow = fromPull(() => Promise.resolve(endless())).pipe(poolMap(work, { concurrency: 1 }));
    const subscription = flow.subscribe();
    for (const gate of gates) {
      await new Promise(setImmediate);
      left.push(pulled);
      gate.resolve();
    }
    expect(left).toEqual([1, 2, 3]);
    subscription.unsubscribe();
  });

  it('reads item by item what is a promise as well', async () => {
    const query = Object.assign(Promise.resolve('all at once'), { [Symbol.asyncIterator]: countingLater });
    expect(await all(fromPull(() => query))).toEqual([1, 2, 3]);
  });

  it.each([
    ['unsubscribed from', (subscription: Subscription) => subscription.unsubscribe()],
    ['drained', () => undefined],
  ])('closes what opens after it was %s, and its signal was aborted', async (how, leave) => {
    const opening = deferred<ReadableStream<number>>();
    let signal: AbortSignal | undefined;
    const source = fromPull((given) => {
      signal = given;
      return opening.promise;
    });
    const run = how === 'drained' ? runFlow(source) : undefined;
    if (run) void run.drain();
    else leave(source.subscribe());
    expect(signal?.aborted).toBe(true);
    const [pull, cancel] = [vi.fn(), vi.fn()];
    opening.resolve(new ReadableStream({ pull, cancel }, { highWaterMark: 0 }));
    await run;
    await new Promise(setImmediate);
    expect([pull, cancel].map(({ mock }) => mock.calls.length)).toEqual([0, 1]);
    if (run) expect(await run).toMatchObject({ end: 'drained', itemsIn: 0, warnings: [] });
  });

  it('keeps quiet over an opening that fails when nobody wants it any more', async () => {
    const warned = vi.spyOn(console, 'warn').mockReturnValue();
    const opening = deferred<number[]>();
    fromPull(() => opening.promise)
      .subscribe()
      .unsubscribe();
    opening.reject(new Error('too late'));
    await new Promise(setImmediate);
    expect(warned).not.toHaveBeenCalled();
  });

  it.each(['drain', 'abort'] as const)('closes a generator whose first step calls %s()', async (how) => {
    const closed = vi.fn();
    function* rows(): Generator<number> {
      try {
        void run[how]();
        yield 1;
      } finally {
        closed();
      }
    }
    const run = runFlow(fromPull(() => Promise.resolve(rows())));
    expect(await run).toMatchObject({ warnings: [] });
    expect(closed).toHaveBeenCalledTimes(1);
  });

  it('calls return() at once of an iterator that it pulls synchronously, once it is open', async () => {
    const iterator = counting();
    const leave = vi.spyOn(iterator, 'return');
    const never = poolMap(() => new Promise(() => undefined), { concurrency: 1 });
    const subscription = fromPull(() => Promise.resolve(iterator))
      .pipe(never)
      .subscribe();
    await new Promise(setImmediate);
    subscription.unsubscribe();
    expect(leave).toHaveBeenCalledTimes(1);
  });
});

describe('fromPull over streams', () => {
  it('errors where a Node stream is destroyed before its end', async () => {
    const stream = new PassThrough({ objectMode: true });
    stream.write(1);
    setImmediate(() => stream.destroy());
    const seen: number[] = [];
    await expect(all(fromPull<number>(stream).pipe(map((value) => seen.push(value))))).rejects.toMatchObject({
      code: 'ERR_STREAM_PREMATURE_CLOSE',
    });
    expect(seen).toEqual([1]);
  });

  it('errors with the error that a Node stream is destroyed with', async () => {
    const boom = new Error('disk');
    const stream = new PassThrough({ objectMode: true });
    setImmediate(() => stream.destroy(boom));
    await expect(all(fromPull(stream))).rejects.toBe(boom);
  });

  it('errors where a Node stream was destroyed before it is subscribed to', async () => {
    const stream = Readable.from([1, 2, 3]);
    stream.destroy();
    await new Promise(setImmediate);
    await expect(all(fromPull(stream))).rejects.toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
  });

  it('destroys a Node stream when it is unsubscribed from', async () => {
    const stream = new PassThrough({ objectMode: true });
    fromPull(stream).subscribe().unsubscribe();
    expect(stream.destroyed).toBe(true);
    await new Promise(setImmediate);
  });

  it('completes a Node stream on drain, without an error', async () => {
    const stream = new PassThrough({ objectMode: true });
    stream.write(1);
    const run = runFlow(fromPull<number>(stream).pipe(poolMap(async (value) => value, { concurrency: 1 })));
    await new Promise(setImmediate);
    expect(await run.drain()).toMatchObject({ end: 'drained', delivered: 1, warnings: [] });
    expect(stream.destroyed).toBe(true);
  });

  it('reads no further ahead of a Node stream than its buffer', async () => {
    let read = 0;
    const stream = new Readable({
      objectMode: true,
      highWaterMark: 4,
      read() {
        this.push(read++);
      },
    });
    const gate = deferred<number>();
    const subscription = fromPull<number>(stream)
      .pipe(poolMap(() => gate.promise, { concurrency: 2 }))
      .subscribe();
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    expect(read).toBeLessThanOrEqual(2 + 4 + 1);
    subscription.unsubscribe();
  });

  it('closes an acknowledged stream at draining once its last item has settled, though it is silent', async () => {
    const stream = new PassThrough({ objectMode: true });
    stream.write(1);
    const gate = deferred();
    const settled: unknown[] = [];
    const source = fromPull<number>(stream, { onSettled: ({ failure }) => settled.push(failure) });
    const run = runFlow(source.pipe(poolMap(() => gate.promise, { concurrency: 2 })));
    await vi.waitUntil(() => run.report().itemsIn === 1);
    const end = run.drain();
    expect(stream.destroyed).toBe(false);
    gate.resolve();
    expect(await end).toMatchObject({ end: 'drained', delivered: 1, warnings: [] });
    expect(stream.destroyed).toBe(true);
    expect(settled).toEqual([undefined]);
  });

  it.each([
    ['promised', async (url: string, signal: AbortSignal) => (await fetch(url, { signal })).body!],
    [
      'in a generator',
      async function* (url: string, signal: AbortSignal) {
        yield* (await fetch(url, { signal })).body!;
      },
    ],
  ] as const)('closes the body of a fetch without a warning: %s', async (_, open) => {
    const server = createServer((_request, response) => response.write('a')).listen(0, '127.0.0.1');
    try {
      await once(server, 'listening');
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      for (const how of ['drain', 'abort'] as const) {
        const run = runFlow(fromPull<Uint8Array>((signal) => open(url, signal)));
        await vi.waitUntil(() => run.report().itemsIn === 1, { timeout: 20_000 });
        expect(await run[how]()).toMatchObject({ warnings: [], left: [] });
      }
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it('cancels a web stream when it is unsubscribed from', () => {
    const cancel = vi.fn();
    fromPull(new ReadableStream({ cancel })).subscribe().unsubscribe();
    expect(cancel).toHaveBeenCalledTimes(1);
  });

  it('errors with the error of a web stream', async () => {
    vi.spyOn(console, 'warn').mockReturnValue();
    const boom = new Error('network');
    const stream = new ReadableStream<number>({
      start(controller) {
        controller.enqueue(1);
        queueMicrotask(() => controller.error(boom));
      },
    });
    await expect(all(fromPull(stream))).rejects.toBe(boom);
  });

  it('completes a web stream on drain, and cancels it', async () => {
    const cancel = vi.fn();
    const run = runFlow(fromPull(new ReadableStream({ cancel })));
    expect(await run.drain()).toMatchObject({ end: 'drained', warnings: [] });
    expect(cancel).toHaveBeenCalledTimes(1);
  });
});

describe('fromPush', () => {
  it('gives what the source gives, whether there is room or not', async () => {
    const source = new Subject<number>();
    const gate = deferred();
    const got: number[] = [];
    const run = runFlow(
      fromPush(source).pipe(
        poolMap(
          async (value) => {
            await gate.promise;
            got.push(value);
          },
          { concurrency: 1 },
        ),
      ),
    );
    for (let i = 0; i < 5; i++) source.next(i);
    source.complete();
    gate.resolve();
    expect(await run).toMatchObject({ itemsIn: 5, delivered: 5, warnings: [] });
    expect((await run).stages[0]).toMatchObject({ overruns: 4 });
    expect(got).toEqual([0, 1, 2, 3, 4]);
  });

  it('unsubscribes from the source when it is unsubscribed from, and on drain', async () => {
    const source = new Subject<number>();
    const subscription = fromPush(source).subscribe();
    expect(source.observed).toBe(true);
    subscription.unsubscribe();
    expect(source.observed).toBe(false);

    const run = runFlow(fromPush(source));
    expect(source.observed).toBe(true);
    expect((await run.drain()).end).toBe('drained');
    expect(source.observed).toBe(false);
  });

  it('stops a synchronous source when downstream leaves', async () => {
    let given = 0;
    const endless = new Observable<number>((subscriber) => {
      while (!subscriber.closed && given < 1_000) subscriber.next(given++);
    });
    expect(await all(fromPush(endless).pipe(take(3)))).toEqual([0, 1, 2]);
    expect(given).toBe(3);
  });

  it('passes errors on, and takes any input that `from` takes', async () => {
    await expect(all(fromPush(Promise.reject(new Error('x'))))).rejects.toThrow('x');
    expect(await all(fromPush([1, 2]))).toEqual([1, 2]);
    expect(await all(fromPush(from(Promise.resolve(3))))).toEqual([3]);
  });
});

describe('link', () => {
  const linked = <T>(handlers: (top: Subscriber<T>) => Parameters<typeof link<T, T>>[1]) => {
    return (source: Observable<T>): Observable<T> =>
      new Observable((subscriber) => source.subscribe(link(subscriber, handlers(subscriber))));
  };

  it('passes on what has no handler', async () => {
    expect(await all(of(1, 2).pipe(linked(() => ({}))))).toEqual([1, 2]);
    const failing = new Observable<number>((subscriber) => subscriber.error('x'));
    await expect(all(failing.pipe(linked(() => ({}))))).rejects.toBe('x');
  });

  it('errors the stream with what a handler throws, and unsubscribes from the source', async () => {
    const source = new Subject<number>();
    const failed = all(
      source.pipe(
        linked((top) => ({
          next(value) {
            if (value === 2) throw new Error('two');
            top.next(value);
          },
        })),
      ),
    );
    source.next(1);
    source.next(2);
    expect(source.observed).toBe(false);
    await expect(failed).rejects.toThrow('two');
  });

  it('gives its own end to the operator, which may add to it', async () => {
    const flow = of(1).pipe(
      linked<number>((top) => ({
        complete() {
          top.next(9);
          top.complete();
        },
      })),
    );
    expect(await all(flow)).toEqual([1, 9]);
  });

  it('unsubscribes from the source when it is unsubscribed from', () => {
    const source = new Subject<number>();
    source
      .pipe(linked(() => ({})))
      .subscribe()
      .unsubscribe();
    expect(source.observed).toBe(false);
  });
});
