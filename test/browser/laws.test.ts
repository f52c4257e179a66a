import './host.ts'; // first: the laws look for it when they are loaded
import { describe, expect, test } from 'vitest';
import * as kernel from '../contract/kernel.ts';
import { obeys } from '../contract/law.ts';
import { laws } from '../contract.ts';

test('what nobody caught is noticed here too', async () => {
  const rejected = (): void => {
    void Promise.reject(new Error('rejected'));
  };
  await expect(obeys(rejected)).rejects.toMatchObject({ cause: { message: 'rejected' } });
  const thrown = (): void => {
    queueMicrotask(() => {
      throw new Error('thrown');
    });
  };
  await expect(obeys(thrown)).rejects.toMatchObject({ cause: { message: 'thrown' } });
});

describe('the laws of the kernel, in a browser', () => {
  for (const law of laws) {
    test(`${law.rule}: ${law.says}`, () => obeys(() => law.check(kernel)));
  }
});
