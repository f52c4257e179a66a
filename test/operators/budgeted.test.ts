import { of, throwError, type Observable } from 'rxjs';
import { afterAll, describe, expect, it } from 'vitest';
import { budgeted, delays, fromPull, poolMap, withRetry, type RetryPolicy } from 'sluice';
import { mutant, removeMutants } from '../support/mutant.ts';
import { Pulls, virtual } from './virtualTime.ts';

/** Attempts for each item where `failing` of 100 attempts fail, and the share of items that came out. */
function attemptsAnItem(
  policy: RetryPolicy,
  failing: number,
  seed = 3,
  fails = (chance: number, _value: number): boolean => chance < failing,
  items = 10_000,
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
    fromPull(new Pulls(items))
      .pipe(poolMap(withRetry(work, policy), { concurrency: 4, onFailure: 'drop' }))
      .subscribe(() => out++);
    flush();
  });
  return { attempts: attempts / items, out: out / items };
}
const five = delays([1, 1, 1, 1, 1]);

/** Attempts for each of 1,000 items where all fail. */
const attemptsOfNoUse = (policy: RetryPolicy): number =>
  attemptsAnItem(policy, 100, 3, () => true, 1_000).attempts;

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
    // A budget has saved 10 retries before the first failure.
    expect(attemptsOfNoUse(five)).toBe(6);
    expect(attemptsOfNoUse(budgeted(five, { maxExtraShare: 0.2 }))).toBeLessThanOrEqual(1.21);
    expect(attemptsOfNoUse(budgeted(five, { maxExtraShare: 0 }))).toBe(1.01);
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
      expect(attemptsOfNoUse(twin.budgeted(five, { maxExtraShare: 0.2 }))).toBeGreaterThan(1.3);
    });
  });
});
