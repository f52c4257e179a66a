import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fate, plans, Trial, type Fate, type Stop } from './trial.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Plans tried for each property; more of them in a longer search: `PROPERTY_RUNS=5000`. */
const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 300);

/** Tries random plans. On failure fast-check prints the seed, the path and the smallest plan that fails. */
async function holds(stops: Stop['kind'][], check: (trial: Trial) => void): Promise<void> {
  await fc.assert(
    fc.asyncProperty(plans(...stops), async (plan) => {
      const trial = await new Trial(plan).execute();
      expect(trial.faults).toEqual([]);
      check(trial);
    }),
    { numRuns: RUNS },
  );
}

const TIMEOUT_MS = 120_000 + RUNS * 20;

const sorted = (items: Iterable<number>): number[] => [...items].sort((a, b) => a - b);
const of = (trial: Trial, wanted: Fate): number[] =>
  trial.pulled.filter((item) => fate(trial.plan, item) === wanted);

/** Every item that was pulled has the outcome that the model gives it, once. */
function expectModel(trial: Trial): void {
  expect(sorted(trial.out)).toEqual(sorted(of(trial, 'out')));
  expect(sorted(trial.rejected)).toEqual(sorted(of(trial, 'rejected')));
  expect(sorted(trial.dead)).toEqual(sorted(of(trial, 'dead')));
  expect(trial.filtered).toBe(of(trial, 'filtered').length);
  expect(trial.report).toMatchObject({
    itemsIn: trial.pulled.length,
    delivered: trial.out.length,
    rejected: trial.rejected.length,
    dropped: of(trial, 'dropped').length,
    dead: trial.dead.length,
    leftOver: 0,
    left: [],
  });
}

/** No item has an outcome that the model does not give it, and none is missing. */
function expectAccounted(trial: Trial): void {
  const { report, plan } = trial;
  expect(of(trial, 'out')).toEqual(expect.arrayContaining(trial.out));
  expect(new Set(trial.out).size).toBe(trial.out.length);
  const left = report.left.map(({ value }) => value as number);
  expect(new Set(left).size).toBe(left.length);
  // A source may have one in hand, which no stage holds.
  expect(left.length).toBeGreaterThanOrEqual(report.leftOver);
  expect(left.length).toBeLessThanOrEqual(report.leftOver + trial.pullsPending);
  // What a sink has confirmed is safe, also where nobody below heard of it.
  const seen = new Set([...trial.out, ...trial.rejected, ...trial.dead, ...left, ...trial.stored]);
  const missing = trial.pulled.filter(
    (item) => !seen.has(item) && !['filtered', 'dropped', 'nothing'].includes(fate(plan, item)),
  );
  // What native operators held is in no list of ours; the tickets tell of it.
  const natively = trial.heldNatively + (plan.stop.kind === 'take' ? trial.onTheirWay : 0);
  expect(missing.length, `missing: ${missing.join()}`).toBeLessThanOrEqual(natively);
}

/** Each ticket settles once; acknowledged only if the item has its outcome, and never before it is stored. */
function expectTickets(trial: Trial): void {
  if (!trial.plan.ticketed) return;
  const buffers = trial.plan.specs.filter(({ kind }) => kind === 'bufferCount').length;
  expect(sorted(trial.settled.map(({ item }) => item))).toEqual(sorted(trial.pulled));
  const storeAt = trial.plan.specs.findIndex(({ kind }) => kind === 'storeTo');
  const done = new Set([...trial.out, ...trial.rejected, ...trial.dead]);
  const left = new Set(trial.report.left.map(({ value }) => value));
  const taken = trial.plan.stop.kind === 'take' && trial.onTheirWay + trial.heldNatively > 0;
  // The limits of T6: a native holder across sources, or of a part of what one call brings (a batch, another buffer).
  const parts = buffers > 0 && (trial.plan.sources.length > 1 || trial.onTheirWay > 0 || buffers > 1);
  for (const { item, failed, stored } of trial.settled) {
    // A group shares one outcome: `take` may leave in the middle of one that a native operator is unpacking.
    if (failed || taken || parts) continue;
    if (!stored && !done.has(item))
      expect(left.has(item), `${item} was acknowledged, and is left`).toBe(false);
    if (fate(trial.plan, item) !== 'out') continue;
    if (storeAt >= 0) expect(stored, `${item} was acknowledged before it was stored`).toBe(true);
    else expect(done.has(item), `${item} was acknowledged without an outcome`).toBe(true);
  }
}

describe('any chain of operators, whatever becomes of its items', () => {
  it(
    'gives each item the outcome that the list of operators gives it',
    async () => {
      await holds(['none'], (trial) => {
        expect(trial.report.end).toBe('completed');
        expect(trial.pulled).toHaveLength(trial.plan.sources.reduce((sum, { count }) => sum + count, 0));
        expectModel(trial);
        expectTickets(trial);
        if (trial.plan.ticketed) expect(trial.settled.filter(({ failed }) => failed)).toEqual([]);
      });
    },
    TIMEOUT_MS,
  );

  it(
    'gives every item that was pulled its outcome when it is drained',
    async () => {
      await holds(['drain'], (trial) => {
        expect(['completed', 'drained']).toContain(trial.report.end);
        const retried = trial.plan.specs.some(
          (s) => s.kind === 'poolMap' && s.outcomes.includes('second attempt'),
        );
        // A wait that draining cuts short ends as a failure; without one, nothing differs from a run to the end.
        if (!retried) expectModel(trial);
        expect(trial.report).toMatchObject({ left: [], leftOver: 0, itemsIn: trial.pulled.length });
        const { delivered, rejected, dropped, dead } = trial.report;
        const finished = delivered + rejected + dropped + dead + trial.filtered + trial.nothing;
        expect(finished).toBe(trial.pulled.length);
        if (!retried) expectTickets(trial);
      });
    },
    TIMEOUT_MS,
  );

  it(
    'accounts for every item that was pulled when it is aborted',
    async () => {
      await holds(['abort'], (trial) => {
        expect(['completed', 'aborted']).toContain(trial.report.end);
        expectAccounted(trial);
        expectTickets(trial);
      });
    },
    TIMEOUT_MS,
  );

  it(
    'accounts for every item that was pulled when downstream leaves',
    async () => {
      await holds(['take'], (trial) => {
        expect(trial.report.end).toBe('completed');
        expect(trial.report.delivered).toBe(trial.out.length);
        expectAccounted(trial);
        expectTickets(trial);
      });
    },
    TIMEOUT_MS,
  );

  it(
    'accounts for every item that was pulled when work fails',
    async () => {
      await holds(['fail'], (trial) => {
        if (trial.error !== undefined) expect(trial.error).toMatchObject({ message: 'fatal' });
        expectAccounted(trial);
        expectTickets(trial);
      });
    },
    TIMEOUT_MS,
  );
});
