import { describe, expect, test } from 'vitest';
import { operatorLaws } from '../../src/testing/laws/index.ts';
import { brokenOperators, properOperator } from './brokenOperators.ts';
import { broken } from './verdict.ts';

describe('an operator with one fault breaks the law that names it', () => {
  for (const [fault, { make, options, breaks }] of Object.entries(brokenOperators)) {
    test(fault, async () => {
      expect(await broken(operatorLaws(fault, make, options))).toEqual(breaks);
    });
  }

  test('without a fault it breaks none', async () => {
    expect(await broken(operatorLaws('proper', properOperator, { limit: 1 }))).toEqual([]);
  });
});
