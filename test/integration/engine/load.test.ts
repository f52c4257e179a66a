import * as sluice from 'sluice';
import { afterAll, describe, expect, test } from 'vitest';
import type { Sluice } from '../../engine/Scenario.ts';
import { mutant, removeMutants } from '../../support/mutant.ts';
import { load } from './load.ts';

afterAll(removeMutants);

describe.each(load)('$says', ({ check, twins }) => {
  test('so it is', async () => {
    await check(sluice);
  });

  test.each(twins)('and is not where $says', async (twin) => {
    const lib = await mutant<Sluice>('operators/index.ts', twin);
    await expect(check(lib)).rejects.toThrow();
  });
});
