import { of, throwError, type Observable } from 'rxjs';
import { afterAll, describe, expect, it } from 'vitest';
import { budgeted, delays, fromPull, poolMap, withRetry, type RetryPolicy } from 'sluice';
import { mutant, removeMutants } from '../support/mutant.ts';
import { Pulls, virtual } from './virtualTime.ts';

/** Attempts for each of 10,000 items where `failing` of 100 attempts fail, and the share of items that came out. */
function attemptsAnItem(
  policy: RetryPolicy,
  failing: number,
  seed = 3,
  fails = (chance: number, _value: number): boolean => chance < failing,
): { attempts: number; out: number } {
  let state = seed;
  let attempts = 0;
  let out = 0;
  virtual(({ flush }) => {
    const work = (value: number): Observable<number> => {
      attempts++;
      state = (state * 48_271) % 2_147_483_647;
      return fails(state % 100, value) ? throwError(() => new Error('busy')) : of(value);
    };
    fromPull(new Pulls(10_000))
      .pipe(poolMap(withRetry(work, policy), { concurrency: 4, onFailure: 'drop' }))
      .subscribe(() => out++);
    flush();
  });
  return { attempts: attempts / 10_000, out: out / 10_000 };
}
const five = delays([1, 1, 1, 1, 1]);

describe('budgeted', () => {
  it('keeps attempts below 1.3 an item while a fifth of them fail, and hardly an item is given up', () => {
    const { attempts, out } = attemptsAnItem(budgeted(five, { maxExtraShare: 0.29 }), 20);
    expect(attempts).toBeLessThan(1.3);
    expect(out).toBeGreaterThan(0.99);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('does so whatever comes: seed %i, evenly and in bursts', (seed) => {
    const bursts: ((chance: number, value: number) => boolean)[] = [
      (chance) => chance < 20,
      (_, value) => value % 50 < 10, // short outages
      (_, value) => value % 5_000 < 1_000, // long ones
      (chance, value) => (value % 1_000 < 500 ? chance < 40 : false),
    ];
    for (const fails of bursts) {
      const { attempts, out } = attemptsAnItem(budgeted(five, { maxExtraShare: 0.29 }), 20, seed, fails);
      expect(attempts).toBeLessThanOrEqual(1.3);
      expect(attempts).toBeGreaterThan(1.05);
      expect(out).toBeGreaterThan(0.79); // no item is lost that did not fail
    }
  });

  it('does not multiply the load on a service that fails altogether', () => {
    expect(attemptsAnItem(five, 100).attempts).toBe(6);
    expect(attemptsAnItem(budgeted(five, { maxExtraShare: 0.2 }), 100).attempts).toBeLessThan(1.202);
    expect(attemptsAnItem(budgeted(five, { maxExtraShare: 0 }), 100).attempts).toBe(1.001);
  });

  it('saves no more than maxSaved in good times', () => {
    const policy = budgeted(five, { maxExtraShare: 0.5, maxSaved: 3 });
    attemptsAnItem(policy, 0);
    expect(Array.from({ length: 4 }, () => policy.budget?.spend())).toEqual([true, true, true, false]);
  });

  describe('a twin', () => {
    afterAll(removeMutants);
    it('that spends without counting is found out', async () => {
      const twin = await mutant<{ budgeted: typeof budgeted }>('operators/index.ts', {
        file: 'src/retry/RetryPolicy.ts',
        find: 'saved--;',
        replace: '',
      });
      const { attempts } = attemptsAnItem(twin.budgeted(five, { maxExtraShare: 0.2 }), 100);
      expect(attempts).toBeGreaterThan(1.3);
    });
  });
});
