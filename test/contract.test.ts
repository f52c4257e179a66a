import { afterAll, describe, expect, test } from 'vitest';
import { version } from 'rxjs/package.json';
import { readFile } from 'node:fs/promises';
import * as kernel from './contract/kernel.ts';
import { obeys, upTo, type Kernel } from './contract/law.ts';
import { cases } from './contract/operators.ts';
import { laws } from './contract.ts';
import { mutant, removeMutants } from './support/mutant.ts';

const ENTRY = 'test/contract/kernel.ts';
afterAll(removeMutants);

test('the table of operators covers every operator of the index, and each rule has a law and a twin', async () => {
  const index = await readFile(new URL('../operators/index.ts', import.meta.url), 'utf8');
  const names = [...index.matchAll(/export \{ (\w+).* from '\.\/\w+\.ts'/g)].map(([, name]) => name);
  expect(names.length).toBeGreaterThan(5);
  expect([...new Set(Object.values(cases).map(({ operator }) => operator))].toSorted()).toEqual(
    names.toSorted(),
  );
  const rules = [...upTo(12).map((n) => `D${n}`), 'S2', 'S3', ...upTo(10).map((n) => `T${n}`), 'The ledger'];
  expect(rules.filter((rule) => !laws.some((law) => law.rule === rule && law.sabotage.length > 0))).toEqual(
    [],
  );
});

describe('the laws of the kernel', () => {
  for (const law of laws) {
    test(`${law.rule}: ${law.says}`, () => obeys(() => law.check(kernel)));
  }
});

// Twins run once, on the RxJS that they are bundled with.
if (version !== '7.8.0')
  describe('a twin that breaks a rule is found out', () => {
    for (const law of laws) {
      for (const sabotage of law.sabotage) {
        test(`${law.rule}: ${law.says} — not without ${sabotage.find.trim()}`, async () => {
          const twin = await mutant<Kernel>(ENTRY, sabotage);
          await expect(
            obeys(() => law.check(twin)),
            'the law does not notice',
          ).rejects.toThrow();
        });
      }
    }
  });
