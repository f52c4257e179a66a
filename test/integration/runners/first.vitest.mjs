import { test } from 'vitest';
import { poolMap } from 'sluice';
import { expectMarbles } from 'sluice/testing';
import { picture, slow } from './flow.cjs';

test('two at a time', () =>
  expectMarbles(picture, ({ source }) => source().pipe(poolMap(slow, { concurrency: 2 }))));
