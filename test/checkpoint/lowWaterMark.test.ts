import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LowWaterMark } from '../../src/checkpoint/LowWaterMark.ts';

test('the mark moves over what is settled without a gap, and waits at the first that is not', () => {
  const low = new LowWaterMark<number>();
  for (const position of [10, 20, 30, 40]) low.add(position);
  expect(low.mark).toBeUndefined();
  expect([low.settle(20), low.mark]).toEqual([false, undefined]);
  expect([low.settle(40), low.mark]).toEqual([false, undefined]);
  expect([low.settle(10), low.mark]).toEqual([true, 20]);
  expect(low.pending).toBe(2);
  expect([low.settle(30), low.mark]).toEqual([true, 40]);
  expect(low.pending).toBe(0);
});

test('it goes on from where the last run had come to', () => {
  const low = new LowWaterMark('page 7');
  expect(low.mark).toBe('page 7');
  low.add('page 8');
  expect(low.mark).toBe('page 7');
  low.settle('page 8');
  expect(low.mark).toBe('page 8');
});

test('a position that is open twice, or settled and not open, is a mistake of the program', () => {
  const low = new LowWaterMark<number>();
  low.add(1);
  expect(() => low.add(1)).toThrow('added twice');
  low.settle(1);
  expect(() => low.settle(1)).toThrow('not open');
});

test('in any order of adding and settling: all up to the mark is settled, and the next is not', () => {
  const orders = fc.integer({ min: 1, max: 40 }).chain((count) =>
    fc.record({
      settled: fc.shuffledSubarray(Array.from({ length: count }, (_, i) => i)),
      ahead: fc.integer({ min: 0, max: count }),
      count: fc.constant(count),
    }),
  );
  fc.assert(
    fc.property(orders, ({ settled, ahead, count }) => {
      const low = new LowWaterMark<number>();
      const done = new Set<number>();
      let added = 0;
      const check = (): void => {
        let next = 0;
        while (done.has(next)) next++;
        expect(low.mark ?? -1).toBe(next - 1);
        expect(low.pending).toBe(added - next);
        expect(new Set(low.ahead)).toEqual(new Set([...done].filter((position) => position >= next)));
      };
      for (const position of settled) {
        while (added <= Math.max(position, Math.min(ahead, count - 1))) low.add(added++);
        low.settle(position);
        done.add(position);
        check();
      }
    }),
  );
});

test('a million positions: no more are remembered than are open', () => {
  const low = new LowWaterMark<number>();
  const open = 1_000;
  for (let i = 0; i < 1_000_000; i++) {
    low.add(i);
    if (i >= open) low.settle(i - open);
  }
  expect(low.pending).toBe(open);
  expect(low.mark).toBe(1_000_000 - open - 1);
});
