import type { Sink } from 'sluice';
import type { SinkLawOptions } from '../../src/testing/laws/index.ts';

export interface SinkCase {
  readonly make: () => Sink<number> | Sink<number>['store'];
  readonly options?: SinkLawOptions<number>;
}

/** A sink in memory that does all as it should, but for what is given. Negative numbers are bad. */
function memory(change: (rows: Map<number, number>) => Partial<Sink<number>> = () => ({})): SinkCase {
  let rows = new Map<number, number>();
  return {
    make: () => {
      const mine = new Map<number, number>();
      rows = mine;
      let isClosed = false;
      const proper: Required<Sink<number>> = {
        async store(items, { signal }) {
          await new Promise<void>((resolve, reject) => {
            const timer = setTimeout(resolve, 5);
            signal.addEventListener('abort', () => {
              clearTimeout(timer);
              reject(new Error('aborted'));
            });
          });
          if (isClosed) throw new Error('closed');
          if (items.some((item) => item < 0)) throw new RangeError('bad');
          for (const item of items) mine.set(item, item);
        },
        classify: (error) => (error instanceof RangeError ? 'data' : 'retry'),
        async close() {
          isClosed = true;
        },
      };
      return { ...proper, ...change(mine) };
    },
    options: { stored: () => [...rows.values()], bad: () => -1, keyed: true },
  };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function put(rows: Map<number, number>, items: readonly number[]): void {
  for (const item of items) {
    if (item < 0) throw new RangeError('bad');
    rows.set(item, item);
  }
}

export const properSink = memory();

/** Sinks with one fault each. */
export const brokenSinks: Record<string, SinkCase & { readonly breaks: readonly string[] }> = {
  'sorts the batch in place': {
    ...memory((rows) => ({
      async store(items) {
        put(rows, (items as number[]).sort());
      },
      close: undefined as never,
    })),
    breaks: ['leaves the batch as it was'],
  },
  'hangs when it is aborted': {
    ...memory((rows) => ({
      async store(items, { signal }) {
        await sleep(1);
        if (signal.aborted) await new Promise(() => undefined);
        put(rows, items);
      },
    })),
    breaks: ['settles when its signal is aborted'],
  },
  'says nothing of an error it does not know': {
    ...memory(() => ({
      classify: (error) => (error instanceof RangeError ? 'data' : (undefined as never)),
    })),
    breaks: ['says retry, data or fatal of any error'],
  },
  'fails to close twice': {
    ...memory(() => {
      let isClosed = false;
      return {
        async close() {
          if (isClosed) throw new Error('closed');
          isClosed = true;
        },
      };
    }),
    breaks: ['closes, also twice'],
  },
  'resolves before it has stored': {
    ...memory((rows) => ({
      async store(items) {
        if (items.some((item) => item < 0)) throw new RangeError('bad');
        void sleep(1).then(() => put(rows, items));
      },
    })),
    breaks: [
      'has stored every item when it resolves',
      'stores four batches at once',
      'stores a batch again without doubling it',
    ],
  },
  'loses the last of many': {
    ...memory((rows) => ({
      async store(items) {
        put(rows, items.slice(0, 99));
      },
    })),
    breaks: ['has stored every item when it resolves'],
  },
  'loses what a batch has beyond 100 items': {
    ...memory((rows) => ({
      async store(items) {
        put(rows, items.slice(0, 100));
      },
    })),
    breaks: ['has stored every item when it resolves'],
  },
  'stores the first item in the place of all': {
    ...memory((rows) => ({
      async store(items) {
        put(rows, items); // for the bad ones
        for (const item of items) rows.set(item, items[0]!);
      },
    })),
    breaks: [
      'has stored every item when it resolves',
      'stores four batches at once',
      'stores a batch again without doubling it',
    ],
  },
  'mixes up three batches at once': {
    ...memory((rows) => {
      let atOnce = 0;
      return {
        async store(items) {
          atOnce++;
          await Promise.resolve();
          if (atOnce < 3) put(rows, items);
          atOnce--;
        },
      };
    }),
    breaks: ['stores four batches at once'],
  },
  'goes on when it is told to stop before it begins': {
    ...memory((rows) => ({
      store: (items, { signal }) =>
        new Promise((resolve, reject) => {
          if (signal.aborted) reject(new Error('aborted'));
          queueMicrotask(() => {
            try {
              put(rows, items);
              resolve();
            } catch (error) {
              reject(error);
            }
          });
        }),
    })),
    breaks: ['stores nothing when it is told to stop before it begins'],
  },
  'mixes up two batches at once': {
    ...memory((rows) => {
      let batch: readonly number[] = [];
      return {
        async store(items) {
          batch = items;
          await sleep(1);
          put(rows, batch);
        },
      };
    }),
    breaks: ['stores four batches at once'],
  },
  'swallows what comes after it was closed': {
    ...memory((rows) => {
      let isClosed = false;
      return {
        async store(items) {
          if (!isClosed) put(rows, items);
        },
        async close() {
          isClosed = true;
        },
      };
    }),
    breaks: ['stores or refuses what comes after it was closed'],
  },
  'swallows a failure': {
    ...memory((rows) => ({
      async store(items) {
        put(
          rows,
          items.filter((item) => item >= 0),
        );
      },
    })),
    breaks: ['refuses a batch with an item that it cannot store'],
  },
  'takes a bad item for a lost connection': {
    ...memory(() => ({ classify: () => 'retry' })),
    breaks: ['says data of the error of a bad item'],
  },
  'doubles what comes again': {
    ...memory((rows) => ({
      async store(items) {
        for (const item of items) {
          if (item < 0) throw new RangeError('bad');
          rows.set(rows.size, item);
        }
      },
    })),
    breaks: ['stores a batch again without doubling it'],
  },
};
