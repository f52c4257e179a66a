import { existsSync, readFileSync } from 'node:fs';
import * as rx from 'rxjs';
// eslint-disable-next-line rxjs-x/prefer-root-operators -- its names are the list of what is an operator
import * as operators from 'rxjs/operators';
import * as sluice from 'sluice';
import { beforeAll, describe, expect, test } from 'vitest';
import { measure, type Facts } from './probe.ts';
import { classOf, insteadOf, page, summary, summaryIn } from './report.ts';
import { aliases, leftOut, rows, variants, type Row } from './table.ts';

const PAGE = new URL('../../docs/native-operators.md', import.meta.url);
const README = new URL('../../README.md', import.meta.url);

const all = [...rows, ...variants];
let facts: Map<Row, Facts>;

/** Rows of which something holds that is not to be, with what was found. */
function failing(wrong: (tickets: Facts['tickets'], row: Row) => readonly string[] | boolean): string[] {
  return all.flatMap((row) => {
    const found = wrong(facts.get(row)!.tickets, row);
    if (found === false || (found !== true && found.length === 0)) return [];
    return [`${row.code}${found === true ? '' : `: ${found.join('; ')}`}`];
  });
}

beforeAll(async () => {
  facts = await measure(all);
}, 300_000);

describe('the table', () => {
  test('has a row for every export of RxJS that is an operator or joins Observables', () => {
    const exported = new Set([...Object.keys(rx), ...Object.keys(operators)]);
    const functions = [...exported].filter(
      (name) => typeof (rx as Record<string, unknown>)[name] === 'function',
    );
    const known = [
      ...rows.map((row) => row.operator),
      ...Object.keys(aliases),
      ...Object.values(leftOut).flat(),
    ];
    expect(known.sort()).toEqual(functions.sort());
  });

  test('leaves out no operator', () => {
    const names = Object.values(leftOut).flat();
    expect(names.filter((name) => name in operators)).toEqual([]);
  });

  test.each(Object.entries(aliases))('takes %s for another name of %s', (alias, name) => {
    const named: Record<string, unknown> = { ...rx };
    expect(named[alias]).toBe(named[name]);
  });

  test('is the committed page, measured on this RxJS', async () => {
    await expect(page(facts)).toMatchFileSnapshot(PAGE.pathname);
  });

  test('is summed up in the README', () => {
    const readme = existsSync(README) ? readFileSync(README, 'utf8') : '';
    expect(summaryIn(readme) ?? summary(facts)).toBe(summary(facts));
  });

  test('names nothing to use instead that sluice does not export', () => {
    const words = rows.flatMap((row) => [...insteadOf(row, facts.get(row)!).matchAll(/`(\w+)[^`]*`/g)]);
    const options = ['by'];
    const unknown = words
      .map(([, name = '']) => name)
      .filter((name) => !(name in sluice) && !options.includes(name));
    expect([...new Set(unknown)]).toEqual([]);
  });
});

describe('behind every native operator', () => {
  test('no item is acknowledged before its outcome, but for the documented limits', () => {
    const early = failing(
      ({ early: { lenient }, again }, { limit }) => limit === undefined && [...lenient, ...again.lenient],
    );
    expect(early).toEqual([]);
  });

  test('no item is acknowledged before its outcome under strict, but for state and half', () => {
    const early = failing(
      ({ early: { strict }, again }, { limit }) =>
        limit !== 'state' && limit !== 'half' && [...strict, ...again.strict],
    );
    expect(early).toEqual([]);
  });

  test('each mark of a limit is needed', () => {
    const unneeded = failing(({ early, again }, { limit }) => {
      const clean = [...early.lenient, ...early.strict, ...again.lenient, ...again.strict].length === 0;
      return clean && limit !== undefined;
    });
    expect(unneeded).toEqual([]);
  });

  test('each item is settled exactly once', () => {
    expect(failing(({ unsettled }) => unsettled)).toEqual([]);
  });

  test('no flow stalls', () => {
    expect(failing(({ stalled }) => stalled)).toEqual([]);
  });

  test('a flow that errors says so with a code of sluice or the error that was thrown', () => {
    const known = /^(completed|TICKET_(LOST|HELD|PATH|UNCLAIMED)|UNCLAIMED|OVERRUN|Error: failed)$/;
    const strange = failing(({ ends }) =>
      Object.values(ends)
        .flatMap((set) => [...set])
        .filter((end) => !known.test(end)),
    );
    expect(strange).toEqual([]);
  });

  test('where the chain is cut an acknowledged source refuses to run', () => {
    const cut = all.filter((row) => facts.get(row)!.chain === 'cut');
    const ends = cut.map((row) => [...facts.get(row)!.tickets.ends.plain].join());
    expect(new Set(ends)).toEqual(new Set(['TICKET_PATH']));
  });

  test('what is transparent or drops keeps the bound', () => {
    const growing = all.filter(
      (row) => /transparent|dropping/.test(classOf(facts.get(row)!)) && facts.get(row)!.bound === 'grows',
    );
    expect(growing.map((row) => row.code)).toEqual([]);
  });

  test('what breaks the bound is told of', () => {
    const silent = rows.filter((row) => {
      const { bound, told } = facts.get(row)!;
      return bound === 'grows' && told.length === 0 && classOf(facts.get(row)!) !== 'holding in the call';
    });
    expect(silent.map((row) => row.code)).toEqual([]);
  });
});

test('the probe sees an item that is acknowledged while it is held', async () => {
  const sabotaged: Row = {
    operator: 'drops',
    code: 'drops(bufferCount(3))',
    wire: ({ source, stage }) => source.pipe(sluice.drops(rx.bufferCount(3)), stage),
  };
  const found = (await measure([sabotaged])).get(sabotaged)!;
  expect(found.tickets.early.lenient).not.toEqual([]);
  expect(found.tickets.early.strict).not.toEqual([]);
});
