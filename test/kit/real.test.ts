import { describe, expect, test } from 'vitest';
import { fromPull, poolMap } from 'sluice';
import { operatorLaws, sourceLaws } from '../../src/testing/laws/index.ts';
import { numbers, oneByOne } from '../../src/testing/laws/numbers.ts';
import { brokenOperators } from './brokenOperators.ts';
import { broken } from './verdict.ts';

// Real time is for what a fake clock cannot hurry. Here it is the event loop, and takes milliseconds.
const turn = (n: number): Promise<number> => new Promise((resolve) => setImmediate(resolve, n));

describe('the laws hold in real time as well', () => {
  const pool = () => poolMap(turn, { concurrency: 2 });
  const laws = [
    ...operatorLaws('poolMap', pool, { limit: 2, time: 'real' }),
    ...sourceLaws('fromPull', (count) => fromPull(() => oneByOne(numbers(count))), { time: 'real' }),
  ];
  for (const { name, check } of laws) test(name, check);
});

test('and find faults', async () => {
  const fault = brokenOperators['emits into closed demand'];
  if (!fault) throw new Error('there is no such fault');
  const found = await broken(operatorLaws('broken', fault.make, { ...fault.options, time: 'real' }));
  expect(found).toEqual(fault.breaks);
});
