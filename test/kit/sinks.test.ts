import { describe, expect, test } from 'vitest';
import { sinkLaws } from '../../src/testing/laws/index.ts';
import { brokenSinks, properSink } from './brokenSinks.ts';
import { broken } from './verdict.ts';

describe('a plain function is a sink', () => {
  let rows: number[] = [];
  const make = () => {
    rows = [];
    return async (items: readonly number[]) => {
      rows.push(...items);
    };
  };
  for (const law of sinkLaws('push', make, { stored: () => rows.length })) test(law.name, law.check);
});

test('the laws close every sink that they have opened', async () => {
  const open = new Set<object>();
  let rows = new Set<number>();
  const make = () => {
    const mine = (rows = new Set());
    return {
      store: async (items: readonly number[]) => {
        open.add(mine);
        if (items.includes(-1)) throw new RangeError('bad');
        for (const item of items) mine.add(item);
      },
      classify: () => 'data' as const,
      close: async () => void open.delete(mine),
    };
  };
  const options = { stored: () => rows.size, bad: () => -1, keyed: true };
  for (const { name, check } of sinkLaws('reopened', make, options)) {
    await check();
    expect(open.size, name).toBe(0);
  }
});

describe('a sink with one fault breaks the law that names it', () => {
  for (const [fault, { make, options, breaks }] of Object.entries(brokenSinks)) {
    test(fault, async () => {
      expect(await broken(sinkLaws(fault, make, options))).toEqual(breaks);
    });
  }

  test('without a fault it breaks none', async () => {
    expect(await broken(sinkLaws('memory', properSink.make, properSink.options))).toEqual([]);
  });
});
