import { strict as assert } from 'node:assert';
import { defer, of, throwError, type Observable } from 'rxjs';
import { vi } from 'vitest';
import { sleep, upTo, type Scenario } from './Scenario.ts';

const DAY_MS = 24 * 3_600_000;

/** When `flow` gave its first item, in virtual time; undefined: not within `ms`. */
async function firstAt(flow: Observable<unknown>, ms: number): Promise<number | undefined> {
  const startedAt = Date.now();
  let at: number | undefined;
  const subscription = flow.subscribe({
    next: () => {
      at ??= Date.now() - startedAt;
    },
    error: () => undefined,
  });
  for (let spent = 0; spent < ms; spent += DAY_MS)
    await vi.advanceTimersByTimeAsync(Math.min(DAY_MS, ms - spent));
  subscription.unsubscribe();
  return at;
}

function failsOnce(): Observable<string> {
  let failures = 1;
  return defer(() => (failures-- > 0 ? throwError(() => new Error('once')) : of('x')));
}

export const time: readonly Scenario[] = [
  {
    says: 'F73: no wait ends early, be it longer than a timer of the host takes; what is no wait is refused',
    async check(lib) {
      const { delays, retryDelayed, withRetry } = lib;
      const long = 2 ** 31 + 10;
      assert.equal(await firstAt(failsOnce().pipe(retryDelayed(delays([long]))), long + 5), long);
      // An item of work, and a server that asks for more than the policy.
      const asks = Object.assign(new Error('busy'), { retryAfterMs: long });
      const work = withRetry(
        async (n: number, { attempt }) => (attempt === 1 ? Promise.reject(asks) : n),
        delays([1]),
      );
      const flow = lib.fromPull([1]).pipe(lib.poolMap(work, { concurrency: 1 }));
      assert.equal(await firstAt(flow, long + 5), long);
      for (const wrong of [Infinity, NaN, -1, -Infinity])
        assert.throws(() => delays([wrong]), { code: 'INVALID_OPTION' });
      // A policy of the user's own that answers nonsense gives up instead of trying again at once.
      for (const wrong of [NaN, -1, null as never, '5' as never]) {
        let attempts = 0;
        const counted = defer(() => {
          attempts++;
          return throwError(() => new Error('always'));
        });
        const policy = { delayMs: () => wrong, maxElapsedMs: Infinity, isRetryable: () => true };
        await firstAt(counted.pipe(retryDelayed(policy)), 100);
        assert.equal(attempts, 1);
      }
      // One that never ends leaves no timer, and can be left.
      const never = { delayMs: () => Infinity, maxElapsedMs: Infinity, isRetryable: () => true };
      assert.equal(await firstAt(failsOnce().pipe(retryDelayed(never)), 40 * DAY_MS), undefined);
      assert.equal(vi.getTimerCount(), 0);
    },
    twins: [
      {
        says: 'delays go to the host as they are',
        file: 'src/clock.ts',
        find: 'if (delayMs <= LONGEST_TIMER_MS) return',
        replace: 'return',
      },
      {
        says: 'a wait that is not a number is none',
        file: 'src/retry/RetryPolicy.ts',
        find: "if (typeof wait !== 'number' || !(wait >= 0)) return undefined;",
        replace: 'if (wait === undefined) return undefined;',
      },
    ],
  },
  {
    says: 'F73: maxElapsedMs and delays keep to the clock that never goes back while the wall clock is set',
    async check(lib) {
      for (const jumpMs of [3_600_000, -3_600_000]) {
        const failures: number[] = [];
        const work = lib.withRetry(
          async (n: number, { attempt }) => {
            failures.push(attempt);
            if (attempt === 1) vi.setSystemTime(Date.now() + jumpMs);
            return attempt < 4 ? Promise.reject(new Error('busy')) : n;
          },
          lib.delays([100, 100, 100], { maxElapsedMs: 1_000 }),
        );
        const startedAt = performance.now();
        let doneAt: number | undefined;
        lib
          .fromPull([1])
          .pipe(lib.poolMap(work, { concurrency: 1 }))
          .subscribe({
            next: () => {
              doneAt = performance.now() - startedAt;
            },
            error: () => undefined,
          });
        await vi.advanceTimersByTimeAsync(1_000);
        assert.equal(doneAt, 300);
      }
    },
    twins: [
      {
        says: 'elapsed time is read from the wall clock',
        file: 'src/clock.ts',
        find: 'isReplaced() ? asyncScheduler.now() : performance.now();',
        replace: 'isReplaced() ? asyncScheduler.now() : Date.now();',
      },
    ],
  },
  {
    says: 'I10: draining ends at drainTimeoutMs, and reports exactly what was not finished',
    async check(lib) {
      const work = async (n: number): Promise<number> => {
        await (n === 50 ? new Promise(() => undefined) : sleep(1));
        return n;
      };
      const run = lib.runFlow(lib.fromPull(upTo(1_000)).pipe(lib.poolMap(work, { concurrency: 8 })), {
        drainTimeoutMs: 200,
      });
      setTimeout(() => void run.drain(), 60);
      let end: number | undefined;
      void run.then(({ elapsedMs }) => {
        end = elapsedMs;
      });
      await vi.advanceTimersByTimeAsync(1_260);
      assert.ok(end !== undefined && end >= 260 && end <= 1_260, `ended after ${end} ms`);
      const { left, leftOver, itemsIn, delivered } = run.report();
      assert.deepEqual(
        left.map(({ stage, value }) => [stage, value]),
        [['poolMap', 50]],
      );
      assert.deepEqual([leftOver, itemsIn], [1, delivered + 1]);
    },
    twins: [
      {
        says: 'draining has no time limit',
        file: 'src/flow/runFlow.ts',
        find: 'this.#deadline ??= after(this.#drainTimeoutMs, () => void this.#drainedTooLong());',
        replace: '',
      },
      {
        says: 'what is left is not listed',
        file: 'src/flow/runFlow.ts',
        find: 'left: [...this.#run.left],',
        replace: 'left: [],',
      },
    ],
  },
];
