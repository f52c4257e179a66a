import { version } from 'rxjs/package.json';
import * as sluice from 'sluice';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { mutant, removeMutants } from '../support/mutant.ts';
import { hooks } from './hooks.ts';
import { interleavings } from './interleavings.ts';
import { keys } from './keys.ts';
import { reentrancy } from './reentrancy.ts';
import { resizing } from './resizing.ts';
import { sources } from './sources.ts';
import { time } from './time.ts';
import type { Sluice } from './Scenario.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});
afterAll(removeMutants);

describe.each([...sources, ...time, ...keys, ...reentrancy, ...resizing, ...hooks, ...interleavings])(
  '$says',
  ({ check, twins }) => {
    test('so it is', async () => {
      await check(sluice);
    });

    // Twins run once, on the RxJS that they are bundled with.
    test.each(version === '7.8.0' ? [] : twins)('and is not where $says', async (twin) => {
      const lib = await mutant<Sluice>('operators/index.ts', twin);
      await expect(check(lib)).rejects.toThrow();
    });
  },
);
