/**
 * How far a source runs ahead of its work: an endless async generator that takes a turn of the event loop per item, four at
 * a time, 50 ms each, for two seconds; once by RxJS's mergeMap, once by poolMap. `node ahead.mjs`
 */
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { from, mergeMap, takeUntil, timer } from 'rxjs';
import { fromPull, poolMap } from '../dist/index.js';

for (const [name, flowOf] of [
  ['from, mergeMap(work, 4)', (source, work) => from(source()).pipe(mergeMap(work, 4))],
  [
    'fromPull, poolMap(work, { concurrency: 4 })',
    (source, work) => fromPull(source).pipe(poolMap(work, { concurrency: 4 })),
  ],
]) {
  const { pulled, finished, most } = await run(flowOf);
  console.log(
    `${name.padEnd(46)} pulled ${pulled.toLocaleString('en').padStart(9)}, finished ${finished}, most ahead ${most.toLocaleString('en')}`,
  );
}

function run(flowOf) {
  let pulled = 0;
  let finished = 0;
  let most = 0;
  async function* endless() {
    for (;;) {
      await turn(); // without it mergeMap, fed by microtasks alone, would never let a timer fire
      most = Math.max(most, ++pulled - finished);
      yield pulled;
    }
  }
  const work = async (n) => {
    await sleep(50);
    finished++;
    return n;
  };
  return new Promise((resolve, reject) => {
    flowOf(endless, work)
      .pipe(takeUntil(timer(2_000)))
      .subscribe({ error: reject, complete: () => resolve({ pulled, finished, most }) });
  });
}
