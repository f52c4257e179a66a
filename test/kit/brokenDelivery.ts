import type { Sink } from 'sluice';
import type { ObservedSink } from '../../src/testing/laws/index.ts';

/** The connection of the sinks here: once lost, it stays so where nobody makes a new one. */
export const connection = { lost: false };

export interface DeliveryCase {
  readonly make: () => ObservedSink<number>;
  readonly keyed?: boolean;
}

/** A sink in memory that knows items by key, but for what is given. */
function memory(change: (rows: Map<unknown, number>) => Partial<Sink<number>> = () => ({})): DeliveryCase {
  return {
    make: () => {
      connection.lost = false;
      const rows = new Map<unknown, number>();
      const store = async (items: readonly number[]): Promise<void> => {
        await Promise.resolve();
        for (const item of items) rows.set(item, item);
      };
      return { sink: { store, ...change(rows) }, stored: () => [...rows.values()] };
    },
    keyed: true,
  };
}

export const properDelivery = memory();

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Sinks with one fault each. */
export const brokenDelivery: Record<string, DeliveryCase & { readonly breaks: readonly string[] }> = {
  'resolves before it has stored': {
    ...memory((rows) => ({
      store: async (items) => {
        void sleep(1).then(() => items.forEach((item) => rows.set(item, item)));
      },
    })),
    breaks: [
      'loses nothing where every tenth item is refused the first time',
      'acknowledges nothing that is not stored',
      'stops at its bound while nothing is confirmed, and goes on',
      'acknowledges an item of three sinks when all have it',
      'settles what is filtered, split, merged or comes to nothing',
      'loses nothing where its connection is cut',
    ],
  },
  'doubles what comes again': {
    ...memory((rows) => ({
      store: async (items) => items.forEach((item) => rows.set(Symbol(), item)),
    })),
    breaks: ['loses nothing where the answer is lost after storing'],
  },
  'takes a second attempt for done': {
    ...memory((rows) => ({
      store: async (items, { attempt }) => {
        if (attempt === 1) items.forEach((item) => rows.set(item, item));
      },
    })),
    breaks: [
      'loses nothing where every tenth item is refused the first time',
      'acknowledges an item of three sinks when all have it',
    ],
  },
  'loses the last of a batch': {
    ...memory((rows) => ({
      store: async (items) => items.slice(0, -1).forEach((item) => rows.set(item, item)),
    })),
    breaks: [
      'loses nothing where every tenth item is refused the first time',
      'loses nothing where the answer is lost after storing',
      'acknowledges nothing that is not stored',
      'stops at its bound while nothing is confirmed, and goes on',
      'acknowledges an item of three sinks when all have it',
      'settles what is filtered, split, merged or comes to nothing',
      'loses nothing where its connection is cut',
    ],
  },
  'loses what a batch has beyond 100 items': {
    ...memory((rows) => ({
      store: async (items) => items.slice(0, 100).forEach((item) => rows.set(item, item)),
    })),
    breaks: ['loses nothing where every tenth item is refused the first time'],
  },
  'hangs at its second batch': {
    ...memory((rows) => {
      let batches = 0;
      return {
        store: async (items) => {
          if (++batches === 2) await new Promise(() => undefined);
          items.forEach((item) => rows.set(item, item));
        },
      };
    }),
    breaks: [
      'loses nothing where every tenth item is refused the first time',
      'loses nothing where the answer is lost after storing',
      'acknowledges nothing that is not stored',
      'stops at its bound while nothing is confirmed, and goes on',
      'acknowledges an item of three sinks when all have it',
      'hands an item back where one sink of three fails for good',
      'settles what is filtered, split, merged or comes to nothing',
      'loses nothing where its connection is cut',
    ],
  },
  'does not connect again': {
    ...memory((rows) => ({
      store: async (items) => {
        await sleep(1);
        if (connection.lost) throw new Error('not connected');
        items.forEach((item) => rows.set(item, item));
      },
    })),
    breaks: ['loses nothing where its connection is cut'],
  },
};
