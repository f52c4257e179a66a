import { readFile } from 'node:fs/promises';
import { map, of } from 'rxjs';
import { expect, test } from 'vitest';
import { fromPull } from 'sluice';
import {
  deliveryLaws,
  LawBrokenError,
  operatorLaws,
  sinkLaws,
  sourceLaws,
  type Law,
} from '../../src/testing/laws/index.ts';
import { brokenDelivery } from './brokenDelivery.ts';
import { brokenOperators } from './brokenOperators.ts';
import { brokenSinks } from './brokenSinks.ts';
import { brokenSources } from './brokenSources.ts';
import { broken } from './verdict.ts';

const number = (): number => 0;
const ruled = {
  Operators: operatorLaws('x', () => map(number), { throwing: () => map(number) }),
  Sources: sourceLaws('x', () => of(1), {
    failing: () => of(1),
    observed: () => ({ source: of(1), pulled: number, closed: number }),
  }),
  Sinks: sinkLaws('x', () => async () => undefined, { stored: number, bad: number, keyed: true }),
  Delivery: deliveryLaws('x', () => ({ sink: { store: async () => undefined }, stored: () => [] }), {
    cut: number,
  }),
};
const faults = {
  Operators: brokenOperators,
  Sources: brokenSources,
  Sinks: brokenSinks,
  Delivery: brokenDelivery,
};

const said = (laws: readonly Law[]): string[] => laws.map(({ says }) => says);

test('the page lists every law, in order, and cites no other', async () => {
  const page = await readFile(new URL('../../docs/laws.md', import.meta.url), 'utf8');
  for (const [title, laws] of Object.entries(ruled)) {
    const [, section = ''] = page.split(`\n## ${title}\n`);
    const rows = (section.split('\n## ')[0] ?? '').matchAll(/^\| ([^|]+?) +\|/gm);
    expect([...rows].map(([, law]) => law).slice(2)).toEqual(said(laws));
  }
  const [, rules = ''] = page.split('\n## Reactive Streams\n');
  const cited = [...rules.matchAll(/"([^"]+)"/g)].map(([, law]) => law);
  const all = Object.values(ruled).flatMap(said);
  expect(cited.length).toBeGreaterThan(30);
  expect(cited.filter((law) => !all.includes(law ?? ''))).toEqual([]);
});

test('the page has every rule of Reactive Streams', async () => {
  const page = await readFile(new URL('../../docs/laws.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| (\d\.\d+(?:(?:, | – )\d\.\d+)*) +\|/gm)].map(([, rule]) => rule ?? '');
  const listed = rows.flatMap((row) => {
    const [from = '', to] = row.split(' – ');
    if (to === undefined) return row.split(', ');
    const [chapter, first] = from.split('.');
    const count = Number(to.split('.')[1]) - Number(first) + 1;
    return Array.from({ length: count }, (_, i) => `${chapter ?? ''}.${Number(first) + i}`);
  });
  const chapters = Object.entries({ 1: 11, 2: 13, 3: 17, 4: 2 });
  const rules = chapters.flatMap(([chapter, count]) =>
    Array.from({ length: count }, (_, i) => `${chapter}.${i + 1}`),
  );
  expect(listed).toEqual(rules);
});

test.each(Object.keys(ruled) as (keyof typeof ruled)[])('each law for %s finds a fault', (title) => {
  const found = new Set(Object.values(faults[title]).flatMap(({ breaks }) => breaks));
  expect(said(ruled[title]).filter((law) => !found.has(law))).toEqual([]);
});

test('the message says who, what was expected, and what came', async () => {
  const short = sourceLaws('short', (count) => of(...Array.from({ length: count && count - 1 }, number)));
  const error: unknown = await short[0]?.check().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(LawBrokenError);
  expect(error).toMatchObject({
    code: 'LAW_BROKEN',
    law: 'short: gives its items, then completes',
    message:
      'short: gives its items, then completes\n' +
      '  expected: 1 item, then completion\n' +
      '  came:     0 items, then completion',
  });
});

test('a process that stands still for seconds is no fault of what is checked', async () => {
  let stoodStill = false;
  const late = (count: number) =>
    fromPull(async function* () {
      for (let n = 1; n <= count; n++) {
        if (n === 2 && !stoodStill) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4_100);
        stoodStill ||= n === 2;
        yield n;
      }
    });
  expect(await broken(sourceLaws('late', late, { maxItems: 1_000 }))).toEqual([]);
  expect(stoodStill).toBe(true);
});

test('options are checked at call time', () => {
  expect(() => operatorLaws('', () => map(number))).toThrow('operatorLaws: name must be a string');
  expect(() => operatorLaws('x', () => map(number), { limit: -1 })).toThrow('operatorLaws: limit must be');
  expect(() => sourceLaws('x', () => of(1), { maxItems: 3 })).toThrow('sourceLaws: maxItems must be');
  expect(() => sinkLaws('x', undefined as never)).toThrow('sinkLaws: make must be a function');
});
