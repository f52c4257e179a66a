import { strict as assert } from 'node:assert';
import { interval, mergeMap, of, take } from 'rxjs';
import { vi } from 'vitest';
import { endOf, sleep, upTo, type Scenario } from './Scenario.ts';

/** F79: hooks and metrics that throw, or are slow. */
export const hooks: readonly Scenario[] = [
  {
    says: 'F79: a debug hook that throws or is slow leaves the flow as it is, and is counted in the warnings',
    async check(lib) {
      for (const debug of [
        () => {
          throw new Error('hook');
        },
        () => {
          let sum = 0;
          for (let i = 0; i < 10_000; i++) sum += i;
          return sum;
        },
      ]) {
        const onWarning = vi.fn();
        const pool = lib.poolMap(async (n: number) => n, { concurrency: 2 });
        const run = lib.runFlow(lib.fromPull(upTo(20)).pipe(pool), { debug, onWarning });
        const report = await endOf(run, 100);
        assert.equal(report.end, 'completed');
        assert.equal(report.delivered, 20);
        const threw = onWarning.mock.calls.length > 0;
        assert.equal(report.warnings.length, onWarning.mock.calls.length);
        assert.equal(threw, debug.toString().includes('throw'));
      }
    },
    twins: [
      {
        says: 'the hook is called unguarded',
        file: 'src/flow/Run.ts',
        find: 'this.trace = trace && this.#harmless(trace);',
        replace: 'this.trace = trace;',
      },
    ],
  },
  {
    says: 'F79: onWarning that throws leaves the flow as it is, and is in the report beside its warning',
    async check(lib) {
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
          onWarning: () => {
            throw new Error('hook');
          },
        },
      );
      const report = await endOf(run, 10_000);
      assert.equal(report.end, 'completed');
      assert.equal(report.delivered, 120);
      const hook = report.warnings.filter((text) => text === 'runFlow: onWarning failed: Error: hook');
      assert.ok(hook.length > 0 && report.warnings.length === 2 * hook.length, report.warnings.join('\n'));
    },
    twins: [
      {
        says: 'the hook is called unguarded',
        file: 'src/flow/runFlow.ts',
        find: 'this.#warnings.push(`runFlow: onWarning failed: ${String(error)}`);',
        replace: 'throw error;',
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
        find: 'const rest = concat(live, this.#ended, last);',
        replace: 'const rest = last;',
      },
    ],
  },
];
