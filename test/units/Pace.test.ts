import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Pace } from '../../src/connectors/http/Pace.ts';

const quota = (remaining: number, resetMs: number, name = 'q') => ({ name, remaining, resetMs });

describe('pauses', () => {
  test('until what was asked for, and later by a part of it, never earlier', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            forMs: fc.nat(200_000),
            afterMs: fc.nat(50_000),
            chance: fc.double({ min: 0, max: 0.999, noNaN: true }),
          }),
        ),
        (pauses) => {
          let chance = 0;
          const pace = new Pace(() => chance);
          let at = 1_000;
          let asked = -Infinity;
          for (const { forMs, afterMs, chance: next } of pauses) {
            chance = next;
            at += afterMs;
            pace.pause(forMs, at);
            asked = Math.max(asked, at + forMs);
            expect(pace.opensAt).toBeGreaterThanOrEqual(asked);
            expect(pace.opensAt).toBeLessThanOrEqual(asked + 1_000);
            expect(pace.mayAsk(0, pace.opensAt - 0.001)).toBe(false);
            expect(pace.mayAsk(0, pace.opensAt)).toBe(true);
          }
        },
      ),
    );
  });

  test('a shorter one changes nothing, and what was asked for is without the jitter', () => {
    const pace = new Pace(() => 0.5);
    pace.pause(4_000, 0);
    pace.pause(1_000, 500);
    expect([pace.askedMs(500), pace.opensAt]).toEqual([3_500, 4_200]);
    expect([pace.changesAt(500), pace.changesAt(4_200)]).toEqual([4_200, undefined]);
  });
});

describe('quotas', () => {
  test('no more on its way than remains; all of it, where all is answered', () => {
    const pace = new Pace(() => 0);
    pace.count(quota(3, 1_000), 0);
    expect([2, 3, 4].map((unanswered) => pace.mayAsk(unanswered, 10))).toEqual([true, false, false]);
    expect(pace.mayAsk(3, 1_000)).toBe(true);
  });

  test('an answer that was overtaken does not raise what remains; a new window does', () => {
    const pace = new Pace(() => 0);
    pace.count(quota(1, 10_000), 0);
    pace.count(quota(5, 10_000), 300);
    expect(pace.mayAsk(1, 400)).toBe(false);
    pace.count(quota(5, 60_000), 500);
    expect(pace.mayAsk(4, 600)).toBe(true);
  });

  test('used up, it is a pause; each of several holds', () => {
    const pace = new Pace(() => 0);
    pace.count(quota(8, 60_000, 'minute'), 0);
    pace.count(quota(0, 1_000, 'second'), 0);
    expect([pace.mayAsk(0, 999), pace.mayAsk(0, 1_000), pace.mayAsk(8, 1_000)]).toEqual([false, true, false]);
    expect([pace.askedMs(0), pace.changesAt(0), pace.changesAt(2_000), pace.changesAt(60_000)]).toEqual([
      1_000,
      1_000,
      60_000,
      undefined,
    ]);
  });

  test('a server that counts never gets more than its quota, in whatever order it works and answers', () => {
    const move = fc.record({ kind: fc.constantFrom('send', 'send', 'count', 'answer'), which: fc.nat(20) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.array(move, { maxLength: 150 }), (limit, moves) => {
        const pace = new Pace(() => 0);
        const sent: { remaining: number | undefined }[] = [];
        let counted = 0;
        let told = false;
        let sentBefore = 0;
        for (const { kind, which } of moves) {
          if (kind === 'send' && pace.mayAsk(sent.length, 1)) {
            sent.push({ remaining: undefined });
            if (!told) sentBefore++;
          } else if (kind === 'count') {
            const waiting = sent.filter(({ remaining }) => remaining === undefined);
            const request = waiting[which % (waiting.length || 1)];
            if (request) request.remaining = Math.max(0, limit - ++counted);
          } else {
            const answered = sent.filter(({ remaining }) => remaining !== undefined);
            const request = answered[which % (answered.length || 1)];
            if (!request) continue;
            sent.splice(sent.indexOf(request), 1);
            pace.count(quota(request.remaining!, 60_000), 1);
            told = true;
          }
          // Before the first answer nobody knows of a quota.
          expect(counted).toBeLessThanOrEqual(Math.max(limit, sentBefore));
        }
      }),
    );
  });
});
