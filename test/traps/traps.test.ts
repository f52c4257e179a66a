import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { page, summary, summaryIn, type Measured } from './report.ts';
import { traps, type Trap } from './traps.ts';

const PAGE = new URL('../../docs/traps.md', import.meta.url);
const README = new URL('../../README.md', import.meta.url);

const measured = new Map<Trap, Measured>();

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe.each(traps)('$id, $wanted', (trap) => {
  let stock = 'not measured';

  test(`${trap.stock.code}: ${trap.stock.does}`, async () => {
    stock = await trap.stock.measure();
    expect(stock).toBe(trap.stock.does);
  });

  test(`${trap.ours.code}: ${trap.ours.does}`, async () => {
    const ours = await trap.ours.measure();
    measured.set(trap, { stock, ours });
    expect(ours).toBe(trap.ours.does);
    expect(ours).not.toBe(stock);
  });
});

describe('the table', () => {
  test('is the committed page, measured on this RxJS', async () => {
    await expect(page(traps, measured)).toMatchFileSnapshot(PAGE.pathname);
  });

  test('is in the README, in short', () => {
    expect(summaryIn(readFileSync(README, 'utf8'))).toBe(summary(traps, measured));
  });
});
