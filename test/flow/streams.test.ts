import { PassThrough, pipeline, Readable, Transform, Writable } from 'node:stream';
import { pipeline as piped } from 'node:stream/promises';
import { lastValueFrom, take, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { fromPull, poolMap, runFlow, storeTo, toAsyncIterable } from 'sluice';
import { deferred } from '../support/deferred.ts';

const same = async (value: number): Promise<number> => value;
const ignored = (): void => undefined;

/** Lets streams do all that they do by themselves. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise(setImmediate);
}

function doubling(): Transform {
  return new Transform({
    objectMode: true,
    transform(value: number, _encoding, callback) {
      callback(null, value * 2);
    },
  });
}

describe('streams of Node around a flow', () => {
  it('a source of several streams has the error of the first of them', async () => {
    const boom = new Error('disk');
    const first = new PassThrough({ objectMode: true });
    const flow = fromPull<number>(() => pipeline(first, doubling(), ignored));
    const run = runFlow(flow.pipe(poolMap(same, { concurrency: 1 })));
    first.destroy(boom);
    await expect(run).rejects.toBe(boom);
  });

  it('a source of several streams is closed as a whole when it is left early', async () => {
    const first = Readable.from([1, 2, 3]);
    const second = doubling();
    const flow = fromPull<number>(() => pipeline(first, second, ignored));
    expect(await runFlow(flow.pipe(poolMap(same, { concurrency: 1 }), take(1)))).toMatchObject({
      end: 'completed',
      delivered: 1,
    });
    await settle();
    expect([first.destroyed, second.destroyed]).toEqual([true, true]);
  });

  it('a flow into streams waits for the last of them, and is left where that fails', async () => {
    let pulled = 0;
    const boom = new Error('disk');
    const written = deferred<Error>();
    const last = new Writable({
      objectMode: true,
      highWaterMark: 1,
      write: (_value, _encoding, callback) => void written.promise.then(callback),
    });
    const flow = fromPull(function* () {
      while (true) yield pulled++;
    }).pipe(poolMap(same, { concurrency: 2 }));
    const end = piped(toAsyncIterable(flow, { capacity: 2 }), doubling(), last);
    await settle();
    const ahead = pulled;
    await settle();
    expect(pulled).toBe(ahead);
    written.resolve(boom);
    await expect(end).rejects.toBe(boom);
    await settle();
    expect(pulled).toBe(ahead);
  });

  it.each([
    ['work', new Error('work'), ignored],
    ['source', new Error('source'), (first: Readable, error: Error) => first.destroy(error)],
  ])('a flow in the place of a transform errors, and closes all, with its %s', async (whose, boom, fail) => {
    const first = new PassThrough({ objectMode: true });
    const last = new PassThrough({ objectMode: true });
    const work = async (value: number): Promise<number> => {
      if (whose === 'work') throw boom;
      return value;
    };
    const end = piped(
      first,
      (values: AsyncIterable<number>) =>
        toAsyncIterable(fromPull(values).pipe(poolMap(work, { concurrency: 2 })), { capacity: 2 }),
      last,
    );
    first.write(1);
    setImmediate(() => {
      fail(first, boom);
    });
    await expect(end).rejects.toBe(boom);
    await settle();
    expect([first.destroyed, last.destroyed]).toEqual([true, true]);
  });

  it.each([
    ['is closed with what is in it', false],
    ['is read to its end where onDrain ends the source above it', true],
  ])('a stream between two flows %s, when the second is drained', async (_, ends) => {
    let given = 0;
    let ended = false;
    const open = deferred();
    const first = fromPull(function* () {
      while (!ended) yield given++;
    }).pipe(poolMap(same, { concurrency: 2 }));
    const onDrain = (): void => {
      ended = true;
    };
    const second = fromPull<number>(
      () => pipeline(toAsyncIterable(first, { capacity: 2 }), doubling(), ignored),
      ends ? { onDrain } : {},
    );
    const run = runFlow(second.pipe(poolMap(() => open.promise, { concurrency: 1 })));
    await settle();
    expect(given).toBeGreaterThan(2);
    const drained = run.drain();
    open.resolve();
    const { delivered, leftOver } = await drained;
    expect(leftOver).toBe(0);
    if (ends) expect(delivered).toBe(given);
    else expect(delivered).toBeLessThan(given);
  });

  it('a stream that calls back for each write is a sink', async () => {
    const written: number[] = [];
    const stream = new Writable({
      objectMode: true,
      write(value: number, _encoding, callback) {
        written.push(value);
        callback(value === 3 ? new Error('disk') : null);
      },
    });
    stream.on('error', ignored);
    const write = (value: number): Promise<void> =>
      new Promise((resolve, reject) => {
        stream.write(value, (error) => {
          if (error) reject(error);
          else resolve();
        });
      });
    const store = async (values: readonly number[]): Promise<void> => {
      await Promise.all(values.map(write));
    };
    const run = runFlow(fromPull([1, 2, 3]).pipe(storeTo(store, { maxItems: 2 })));
    await expect(run).rejects.toThrow('disk');
    expect(run.report()).toMatchObject({ stored: 2, leftOver: 1 });
    expect(written).toEqual([1, 2, 3]);
  });

  it('a flow is read by the methods of a stream', async () => {
    const flow = fromPull([1, 2, 3]).pipe(poolMap(same, { concurrency: 2, ordered: true }));
    const stream = Readable.from(toAsyncIterable(flow, { capacity: 1 }));
    expect(await stream.map((value: number) => value * 2).toArray()).toEqual([2, 4, 6]);
    expect(await lastValueFrom(flow.pipe(toArray()))).toEqual([1, 2, 3]);
  });
});
