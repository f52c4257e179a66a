/** The async pool job, by different hands: `count` numbers through `async (x) => x`, `concurrency` at a time. */
import { from, mergeMap } from 'rxjs';
import { fromPull, poolMap, runFlow } from '../dist/index.js';

const work = async (x) => x;

function* numbers(count) {
  for (let i = 0; i < count; i++) yield i;
}

const drained = (observable) =>
  new Promise((resolve, reject) => {
    let sum = 0;
    observable.subscribe({ next: (x) => (sum += x & 1), complete: () => resolve(sum), error: reject });
  });

export const contestants = {
  /** The tightest hand-written code for the job: workers that pull, by `.then` of shared functions. */
  limit: (count, concurrency) =>
    new Promise((resolve, reject) => {
      const source = numbers(count);
      let active = 0;
      let sum = 0;
      const pull = () => {
        const { done, value } = source.next();
        if (done) {
          if (active === 0) resolve(sum);
          return;
        }
        active++;
        work(value).then(settled, reject);
      };
      const settled = (x) => {
        sum += x & 1;
        active--;
        pull();
      };
      for (let i = 0; i < concurrency; i++) pull();
    }),

  sluice: (count, concurrency) =>
    drained(fromPull(() => numbers(count)).pipe(poolMap(work, { concurrency }))),

  'sluice, by runFlow': async (count, concurrency) => {
    const flow = fromPull(() => numbers(count)).pipe(poolMap(work, { concurrency }));
    return (await runFlow(flow)).delivered;
  },

  'rxjs mergeMap': (count, concurrency) => drained(from(numbers(count)).pipe(mergeMap(work, concurrency))),
};
