import { map } from 'rxjs';
import { describe, test } from 'vitest';
import * as kernel from '../contract/kernel.ts';
import { cases } from '../contract/operators.ts';
import { operatorLaws } from '../../src/testing/laws/index.ts';

describe('every word obeys the laws of the kit', () => {
  for (const [name, { make, throwing, operator: _, holds, ...said }] of Object.entries(cases)) {
    const options = {
      ...said,
      ...(holds === undefined ? {} : { limit: holds }),
      ...(throwing ? { throwing: () => throwing(kernel) } : {}),
    };
    for (const law of operatorLaws(name, () => make(kernel), options)) test(law.name, law.check);
  }
});

describe('so does an operator of RxJS that keeps the chain, with nothing said of it', () => {
  for (const law of operatorLaws('map', () => map((n: number) => n * 2))) test(law.name, law.check);
});
