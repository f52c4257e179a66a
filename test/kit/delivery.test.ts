import { describe, expect, test } from 'vitest';
import { deliveryLaws } from '../../src/testing/laws/index.ts';
import { brokenDelivery, connection, properDelivery } from './brokenDelivery.ts';
import { broken } from './verdict.ts';

const cut = (): void => {
  connection.lost = true;
};

describe('a sink in memory', () => {
  for (const law of deliveryLaws('memory', properDelivery.make, { keyed: true, cut }))
    test(law.name, law.check);
});

describe('a sink with one fault breaks the law that names it', () => {
  for (const [fault, { make, keyed = false, breaks }] of Object.entries(brokenDelivery)) {
    test(fault, async () => {
      expect(await broken(deliveryLaws(fault, make, { keyed, cut }))).toEqual(breaks);
    });
  }
});
