import { strict as assert } from 'node:assert';
import { interval, mergeMap, of, take } from 'rxjs';
import { vi } from 'vitest';
import { endOf, sleep, upTo, type Scenario, type Sluice } from './Scenario.ts';

const WARNING_HOOKS: readonly (() => unknown)[] = [
  () => {
    throw new Error('hook');
  },
  () => Promise.reject(new Error('hook')),
];

/** A flow that gives warnings, with this hook. */
async function warned(lib: Sluice, onWarning: () => unknown): Promise<void> {
  const held = interval(1).pipe(
    take(30),
    mergeMap((n) => of(n)),
  );
  const slow = lib.poolMap(
    async (n: number) => {
      await sleep(20);
      return n;
    },
    { concurrency: 1, name: 'slow' },
  );
  const run = lib.runFlow(
    lib.fromPull(upTo(4)).pipe(
      mergeMap(() => held),
      slow,
    ),
    {
      onWarning,
    },
  );
  const report = await endOf(run, 10_000);
  assert.equal(report.end, 'completed');
  assert.equal(report.delivered, 120);
  const hook = report.warnings.filter((text) => text === 'runFlow: onWarning failed: Error: hook');
  assert.ok(hook.length === 1 && report.warnings.length > 1, report.warnings.join('\n'));
}

/** F79: hooks and metrics that throw, or are slow. */
export const hooks: readonly Scenario[] = [
  {
    says: 'F79: a debug hook that throws, rejects or is slow leaves the flow as it is, and its failures are counted',
    async check(lib) {
      const slow = (): number => {
        let sum = 0;
        for (let i = 0; i < 10_000; i++) sum += i;
        return sum;
      };
      let failures = 0;
      const failure = (): Error => new Error(`hook ${++failures}`);
      const failing: readonly (() => unknown)[] = [
        () => {
          throw failure();
        },
        () => Promise.reject(failure()),
        async () => {
          await sleep(3);
          throw failure();
        },
      ];
      const quiet: readonly (() => unknown)[] = [slow, () => new Promise(() => undefined)];
      for (const debug of [...failing, ...quiet]) {
        const onWarning = vi.fn();
        let calls = 0;
        const pool = lib.poolMap(
          async (n: number) => {
            await sleep(1);
            return n;
          },
          { concurrency: 2 },
        );
        const run = lib.runFlow(lib.fromPull(upTo(20)).pipe(pool), {
          debug: () => {
            calls++;
            return debug();
          },
          onWarning,
        });
        const report = await endOf(run, 100);
        assert.deepEqual([report.end, report.delivered, report.leftOver], ['completed', 20, 0]);
        assert.ok(calls >= 60, `${calls} calls`);
        const told = onWarning.mock.calls.map(([message]) => String(message));
        const counted = report.warnings.map((text) => /^runFlow: debug failed (\d+) times$/.exec(text)?.[1]);
        assert.equal(told.length, failing.includes(debug) ? 1 : 0);
        assert.ok(told.every((text) => /^runFlow: debug failed: hook \d+$/.test(text)));
        // The last of those that reject do so when the run is over.
        const least = failing.indexOf(debug) === 0 ? calls : calls - 20;
        if (failing.includes(debug))
          assert.ok(Number(counted.at(-1)) >= least, `${counted.at(-1)} of ${calls}`);
        assert.equal(report.warnings.length, failing.includes(debug) ? 2 : 0);
      }
    },
    twins: [
      {
        says: 'the hook is called unguarded',
        file: 'src/flow/Run.ts',
        find: 'this.trace = debug && this.#harmless(debug);',
        replace: 'this.trace = debug;',
      },
      {
        says: 'each failure is a warning of its own',
        file: 'src/flow/Run.ts',
        find: 'if (++failures === 1)',
        replace: 'if (++failures > 0)',
      },
    ],
  },
  {
    says: 'F79: onWarning that throws or rejects leaves the flow as it is, and is in the report beside its warning',
    async check(lib) {
      for (const onWarning of WARNING_HOOKS) await warned(lib, onWarning);
    },
    twins: [
      {
        says: 'what fails is not told',
        file: 'src/flow/Run.ts',
        find: 'this.note(`runFlow: onWarning failed: ${String(error)}`);',
        replace: 'void error;',
      },
    ],
  },
  {
    says: 'F79: a reader of stats$ that throws is its own affair',
    async check(lib) {
      const pool = lib.poolMap(
        async (n: number) => {
          await sleep(2);
          return n;
        },
        { concurrency: 2 },
      );
      const run = lib.runFlow(lib.fromPull(upTo(20)).pipe(pool), { statsEveryMs: 3 });
      let read = 0;
      let end = 'none';
      run.stats$.subscribe({
        next: () => {
          read++;
        },
        complete: () => {
          end = 'complete';
        },
      });
      // RxJS throws it in a later turn, where nobody of ours can be hit.
      let thrown: unknown;
      run.stats$.subscribe(() => {
        throw new Error('reader');
      });
      for (let ms = 0; ms < 100; ms++) {
        try {
          await vi.advanceTimersByTimeAsync(1);
        } catch (error) {
          thrown = error;
        }
      }
      assert.equal((thrown as Error | undefined)?.message, 'reader');
      assert.equal(run.report().delivered, 20);
      assert.equal(end, 'complete');
      assert.ok(read > 3);
    },
    twins: [
      {
        says: 'the figures end with the first interval',
        file: 'src/flow/runFlow.ts',
        find: 'const all = concat(once, live, this.#ended, once);',
        replace: 'const all = once;',
      },
    ],
  },
];
