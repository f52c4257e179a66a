import { mergeMap } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { poolMap } from 'sluice';
import { expectMarbles } from 'sluice/testing';

const slow = async (letter: string): Promise<string> => {
  await new Promise((resolve) => setTimeout(resolve, 3_600_000));
  return letter.toUpperCase();
};

describe('the marble player in a browser', () => {
  it('plays promises and lanes in virtual time', async () => {
    const startedAt = performance.now();
    await expectMarbles(
      `
      source  (ab|)
      output  - 3599999ms (AB|)
      active  2           0
      `,
      ({ source }) => source().pipe(poolMap(slow, { concurrency: 2 })),
    );
    expect(performance.now() - startedAt).toBeLessThan(30_000);
  });

  it('names a rejection that nobody handles', async () => {
    const careless = async (letter: string): Promise<string> => {
      void Promise.reject(new Error('lost'));
      return letter;
    };
    const played = expectMarbles('source  a|\noutput  a|', ({ source }) => source().pipe(mergeMap(careless)));
    await expect(played).rejects.toThrow('nobody handled the rejection of a promise: Error: lost');
  });
});
