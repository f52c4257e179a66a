import { setTimeout as sleep } from 'node:timers/promises';
import { map, timer } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { fromPush, poolMap } from 'sluice';
import { expectMarbles } from 'sluice/testing';
import { expect, test } from 'vitest';

test('with sluice/testing: promises, demand, and how many are at work', async () => {
  const load = async (letter: string) => {
    await sleep(1_000); // virtual
    return letter.toUpperCase();
  };
  await expectMarbles(
    `
    source         abc|
    output         ---- 996ms AB 998ms (C|)
    source.pulled  12--       3
    load.active    12--       -1       0
    `,
    ({ pulled }) => pulled('source').pipe(poolMap(load, { concurrency: 2, name: 'load' })),
  );
});

test("with RxJS's TestScheduler: Observables, and sources that push", () => {
  const testScheduler = new TestScheduler((actual, expected) => expect(actual).toEqual(expected));
  testScheduler.run(({ cold, expectObservable, expectSubscriptions }) => {
    const source = cold('     abc|');
    const subscription = '    ^--!';
    const expected = '        1s AB 998ms (C|)';

    const load = (letter: string) => timer(1_000).pipe(map(() => letter.toUpperCase()));
    expectObservable(fromPush(source).pipe(poolMap(load, { concurrency: 2 }))).toBe(expected);
    expectSubscriptions(source.subscriptions).toBe(subscription);
  });
});
