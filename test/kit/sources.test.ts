import { describe, expect, test } from 'vitest';
import { sourceLaws } from '../../src/testing/laws/index.ts';
import { sources } from './sources.ts';
import { brokenSources } from './brokenSources.ts';
import { broken } from './verdict.ts';

describe('every way in obeys the laws of the kit', () => {
  for (const [name, { make, options }] of Object.entries(sources)) {
    for (const law of sourceLaws(name, make, options)) test(law.name, law.check);
  }
});

describe('a source with one fault breaks the law that names it', () => {
  for (const [fault, { make, options, breaks }] of Object.entries(brokenSources)) {
    test(fault, async () => {
      expect(await broken(sourceLaws(fault, make, options))).toEqual(breaks);
    });
  }
});
