const { expect, test } = require('@jest/globals');
const { poolMap } = require('sluice');
const { exploreMarbles, expectMarbles } = require('sluice/testing');
const { picture, slow } = require('./flow.cjs');

const wiring = ({ source }) => source().pipe(poolMap(slow, { concurrency: 2 }));

test('two at a time', () => expectMarbles(picture, wiring));

test('in a sample of orders', () => {
  const check = (output) => {
    expect([...output].sort()).toEqual(['A', 'B']);
  };
  return exploreMarbles({ title: 'two', picture, wiring }, { maxRuns: 1, check });
});
