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
