// Run by `node --test`, from test/kit/runners.test.ts: the kit needs nothing of a test runner.
import { test } from 'node:test';
import { concatMap, map, of } from 'rxjs';
import { operatorLaws, sinkLaws, sourceLaws } from '../../../src/testing/laws/index.ts';
import { fromPull } from '../../../src/demand/fromPull.ts';
import { numbers } from '../../../src/testing/laws/numbers.ts';

const laws = [
  ...operatorLaws('map', () => map((n: number) => n * 2)),
  ...operatorLaws('twice', () => concatMap((n: number) => of(n, n)), {
    outputs: (items) => 2 * items.length,
  }),
  ...sourceLaws('fromPull', (count) => fromPull(numbers(count))),
  ...sinkLaws('nowhere', () => async () => undefined),
  ...sinkLaws('sorts', () => async (items) => void (items as number[]).sort()),
];
for (const { name, check } of laws) void test(name, check);
