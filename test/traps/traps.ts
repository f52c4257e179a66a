import {
  bufferCount,
  bufferTime,
  concat,
  concatMap,
  defer,
  from,
  groupBy,
  ignoreElements,
  interval,
  map,
  mergeMap,
  Observable,
  of,
  range,
  retry,
  takeUntil,
  tap,
  throwError,
  timer,
} from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { vi } from 'vitest';
import {
  batch,
  delays,
  fromPull,
  fromPush,
  poolMap,
  retryDelayed,
  runFlow,
  toAsyncIterable,
  withRetry,
} from 'sluice';
import { expectMarbles } from 'sluice/testing';
import {
  attempts,
  closing,
  ending,
  failing,
  firstAt,
  growth,
  handledAtOnce,
  job,
  Jobs,
  outcome,
  pulledAhead,
  soon,
  stepsAfterLeaving,
  upTo,
} from './programs.ts';

/** One of the two ways to write a program: its code, what is known of it, and the program that shows it. */
export interface Side {
  readonly code: string;
  readonly does: string;
  /** Says what happened, under fake timers. */
  readonly measure: () => Promise<string>;
}

/** What one wants of a flow, written in plain RxJS, which does something else, and in words of ours. */
export interface Trap {
  readonly id: string;
  readonly wanted: string;
  readonly stock: Side;
  readonly ours: Side;
}

const keys = ['a1', 'b1', 'a2', 'c1', 'b2', 'c2'];
const fiveThenError = concat(
  range(1, 5),
  throwError(() => new Error('lost')),
);
const failed = throwError(() => new Error('failed'));
const failedAfter = (attempt: () => void): typeof failed =>
  defer(() => {
    attempt();
    return failed;
  });
async function* four(): AsyncGenerator<number> {
  yield* upTo(4);
}

export const traps: readonly Trap[] = [
  {
    id: 'R1',
    wanted: 'a source no faster than its work',
    stock: {
      code: 'from(generator()).pipe(mergeMap(job, 4))',
      does: '10,000 items pulled before the first job is done',
      measure: () => pulledAhead((source) => from(source()).pipe(mergeMap((n) => job(n), 4))),
    },
    ours: {
      code: 'fromPull(generator).pipe(poolMap(job, { concurrency: 4 }))',
      does: '4 items pulled before the first job is done',
      measure: () =>
        pulledAhead((source) => fromPull(source).pipe(poolMap((n) => job(n), { concurrency: 4 }))),
    },
  },
  {
    id: 'R2',
    wanted: 'one item tried again, of four that a generator gives',
    stock: {
      code: 'from(generator()).pipe(concatMap(failsOnceAt2), retry(3))',
      does: '1 4, complete',
      measure: () => outcome(from(four()).pipe(concatMap(failing(2, 1)), retry(3))),
    },
    ours: {
      code: 'fromPull(generator).pipe(poolMap(withRetry(failsOnceAt2, delays([1])), { concurrency: 1 }))',
      does: '1 2 3 4, complete',
      measure: () =>
        outcome(fromPull(four).pipe(poolMap(withRetry(failing(2, 1), delays([1])), { concurrency: 1 }))),
    },
  },
  {
    id: 'R3',
    wanted: 'one at a time, in order for each key',
    stock: {
      code: 'from(keys).pipe(groupBy(key), mergeMap((group) => group, 1))',
      does: '"a1" "a2", complete',
      measure: () =>
        outcome(
          from(keys).pipe(
            groupBy((key) => key[0]),
            mergeMap((group) => group, 1),
          ),
        ),
    },
    ours: {
      code: 'fromPull(keys).pipe(poolMap(work, { concurrency: 1, by: key }))',
      does: '"a1" "b1" "a2" "c1" "b2" "c2", complete',
      measure: () =>
        outcome(fromPull(keys).pipe(poolMap(async (key) => key, { concurrency: 1, by: (key) => key[0] }))),
    },
  },
  {
    id: 'R4',
    wanted: 'work that takes time or not: one timer, then 19,999 `of(n)`',
    stock: {
      code: 'range(1, 20_000).pipe(mergeMap(soon, 1))',
      does: 'not all come out; it neither completes nor errors',
      measure: () => ending(range(1, 20_000).pipe(mergeMap(soon, 1))),
    },
    ours: {
      code: 'fromPush(range(1, 20_000)).pipe(poolMap(soon, { concurrency: 1 }))',
      does: 'all 20,000 come out; it completes',
      measure: () => ending(fromPush(range(1, 20_000)).pipe(poolMap(soon, { concurrency: 1 }))),
    },
  },
  {
    id: 'R5a',
    wanted: 'groups of ten, and an error after five items',
    stock: {
      code: 'source.pipe(bufferCount(10))',
      does: 'nothing, error: lost',
      measure: () => outcome(fiveThenError.pipe(bufferCount(10))),
    },
    ours: {
      code: 'source.pipe(batch({ maxItems: 10 }))',
      does: '[1,2,3,4,5], error: lost',
      measure: () => outcome(fiveThenError.pipe(batch({ maxItems: 10 }))),
    },
  },
  {
    id: 'R5b',
    wanted: 'groups by time, stopped after two items',
    stock: {
      code: 'source.pipe(bufferTime(1_000), takeUntil(stop))',
      does: 'nothing, complete',
      measure: () => outcome(interval(10).pipe(bufferTime(1_000), takeUntil(timer(25)))),
    },
    ours: {
      code: 'runFlow(fromPush(source).pipe(batch({ maxItems: 100, maxWaitMs: 1_000 })), { drainSignal: stop })',
      does: '[0,1], complete',
      measure: () => {
        const out = fromPush(interval(10)).pipe(batch({ maxItems: 100, maxWaitMs: 1_000 }));
        return outcome(
          new Observable((subscriber) => {
            const run = runFlow(out.pipe(tap((group) => subscriber.next(group))));
            setTimeout(() => void run.drain(), 25);
            void run.then(() => subscriber.complete());
          }),
        );
      },
    },
  },
  {
    id: 'R6',
    wanted: 'a generator closed that waits for its next item',
    stock: {
      code: 'from(generator()).subscribe().unsubscribe()',
      does: 'its `finally` has not run after 500 ms',
      measure: () => closing((open) => from(open())),
    },
    ours: {
      code: 'fromPull((signal) => generator(signal)).subscribe().unsubscribe()',
      does: 'its `finally` runs after 0 ms',
      measure: () => closing((open) => fromPull((signal) => open(signal))),
    },
  },
  {
    id: 'R7',
    wanted: 'one of 100 items fails, and the others do not',
    stock: {
      code: 'from(items).pipe(mergeMap(work, 5))',
      does: '8 started, 3 delivered; the 4th ends it',
      measure: async () => {
        const jobs = new Jobs(4);
        let delivered = 0;
        const how = await outcome(
          from(upTo(100)).pipe(
            mergeMap(jobs.work, 5),
            tap(() => delivered++),
            ignoreElements(),
          ),
        );
        return `${jobs.started} started, ${delivered} delivered; ${how === 'nothing, error: failed at 4' ? 'the 4th ends it' : how}`;
      },
    },
    ours: {
      code: 'fromPull(items).pipe(poolMap(work, { concurrency: 5, onFailure: deadLetter }))',
      does: '100 started, 99 delivered; 1 dead letter',
      measure: async () => {
        const jobs = new Jobs(4);
        const letters: number[] = [];
        const onFailure = ({ value }: { value: number }): unknown => letters.push(value);
        const run = runFlow(fromPull(upTo(100)).pipe(poolMap(jobs.work, { concurrency: 5, onFailure })));
        await vi.advanceTimersByTimeAsync(10_000);
        const { delivered, dead } = await run;
        return `${jobs.started} started, ${delivered} delivered; ${dead} dead letter${letters.join() === '4' ? '' : '?'}`;
      },
    },
  },
  {
    id: 'R8',
    wanted: 'three jobs stopped when their subscriber leaves',
    stock: {
      code: 'from(items).pipe(mergeMap(work)).subscribe().unsubscribe()',
      does: '15 more steps are done for nobody',
      measure: () => stepsAfterLeaving((work) => from(upTo(3)).pipe(mergeMap(work))),
    },
    ours: {
      code: 'fromPull(items).pipe(poolMap(work, { concurrency: 3 })).subscribe().unsubscribe()',
      does: '0 more steps are done for nobody',
      measure: () => stepsAfterLeaving((work) => fromPull(upTo(3)).pipe(poolMap(work, { concurrency: 3 }))),
    },
  },
  {
    id: 'R9',
    wanted: 'an asynchronous consumer that is waited for',
    stock: {
      code: 'from(items).subscribe(async (item) => { … })',
      does: '5 of 5 are handled at once',
      measure: () => handledAtOnce((handle) => from(upTo(5)).subscribe(() => void handle())),
    },
    ours: {
      code: 'for await (const item of toAsyncIterable(flow, { capacity: 1 })) { … }',
      does: '1 of 5 are handled at once',
      measure: () =>
        handledAtOnce(async (handle) => {
          for await (const _item of toAsyncIterable(fromPull(upTo(5)), { capacity: 1 })) await handle();
        }),
    },
  },
  {
    id: 'R10',
    wanted: 'the same cost for each of many items',
    stock: {
      code: 'from(items).pipe(mergeMap(work, 1))',
      does: 'with 100 × the items, one costs more than 3 × as much',
      measure: () => growth((items, work) => from(items).pipe(mergeMap(work, 1))),
    },
    ours: {
      code: 'fromPull(items).pipe(poolMap(work, { concurrency: 1 }))',
      does: 'with 100 × the items, one costs less than 3 × as much',
      measure: () => growth((items, work) => fromPull(items).pipe(poolMap(work, { concurrency: 1 }))),
    },
  },
  {
    id: 'R11',
    wanted: 'a marble test of work that is a promise',
    stock: {
      code: 'new TestScheduler(assert).run(({ cold, expectObservable }) => …)',
      does: '0 of 2 results are seen',
      measure: async () => {
        let seen = NaN;
        new TestScheduler((actual: unknown[]) => {
          seen = actual.filter(
            (message) => (message as { notification: { kind: string } }).notification.kind === 'N',
          ).length;
        }).run(({ cold, expectObservable }) => {
          expectObservable(cold('ab|').pipe(mergeMap(async (letter) => letter))).toBe('ab|');
        });
        return `${seen} of 2 results are seen`;
      },
    },
    ours: {
      code: 'await expectMarbles(picture, ({ source }) => …)',
      does: '2 of 2 results are seen',
      measure: async () => {
        vi.useRealTimers(); // the player brings its own
        const picture = 'source  ab|\noutput  ab|';
        const { delivered } = await expectMarbles(picture, ({ source }) =>
          source().pipe(mergeMap(async (letter) => letter)),
        );
        return `${delivered} of 2 results are seen`;
      },
    },
  },
  {
    id: 'R12',
    wanted: 'two retries of a source that gives one item and fails',
    stock: {
      code: 'source.pipe(retry({ count: 2, delay: 1, resetOnSuccess: true }))',
      does: '501 attempts in 500 ms, and no end',
      measure: () =>
        attempts(
          (attempt) =>
            concat(of('x'), failedAfter(attempt)).pipe(retry({ count: 2, delay: 1, resetOnSuccess: true })),
          500,
        ),
    },
    ours: {
      code: 'source.pipe(retryDelayed(delays([1, 1])))',
      does: '3 attempts, then the error',
      measure: () =>
        attempts((attempt) => concat(of('x'), failedAfter(attempt)).pipe(retryDelayed(delays([1, 1]))), 500),
    },
  },
  {
    id: 'R13',
    wanted: 'an item tried again, and nothing given twice',
    stock: {
      code: 'from([1, 2, 3]).pipe(concatMap(failsTwiceAt3), retry())',
      does: '1 2 1 2 1 2 3, complete',
      measure: () => outcome(from([1, 2, 3]).pipe(concatMap(failing(3, 2)), retry())),
    },
    ours: {
      code: 'fromPull([1, 2, 3]).pipe(poolMap(withRetry(failsTwiceAt3, delays([1, 1])), { concurrency: 1 }))',
      does: '1 2 3, complete',
      measure: () =>
        outcome(
          fromPull([1, 2, 3]).pipe(poolMap(withRetry(failing(3, 2), delays([1, 1])), { concurrency: 1 })),
        ),
    },
  },
  {
    id: 'R14',
    wanted: 'a wait of 2,147,483,658 ms, 25 days',
    stock: {
      code: 'timer(2 ** 31 + 10)',
      does: 'after 1 ms',
      measure: () => firstAt(timer(2 ** 31 + 10)),
    },
    ours: {
      code: 'source.pipe(retryDelayed(delays([2 ** 31 + 10])))',
      does: 'after 2,147,483,658 ms',
      measure: () => {
        let failures = 1;
        const source = defer(() => (failures-- > 0 ? failed : of('x')));
        return firstAt(source.pipe(retryDelayed(delays([2 ** 31 + 10]))));
      },
    },
  },
  {
    id: 'R15',
    wanted: '20,000 retries of what fails at once',
    stock: {
      code: 'source.pipe(retry(20_000))',
      does: 'stops before its 20,000 attempts: the stack is full',
      measure: () => attempts((attempt) => failedAfter(attempt).pipe(retry(20_000)), 30_000),
    },
    ours: {
      code: 'source.pipe(retryDelayed(delays(Array(20_000).fill(0))))',
      does: '20,001 attempts, then the error',
      measure: () =>
        attempts((attempt) => {
          const waits = Array<number>(20_000).fill(0);
          return failedAfter(attempt).pipe(retryDelayed(delays(waits)));
        }, 30_000),
    },
  },
  {
    id: 'R16',
    wanted: 'an end in which what was begun is finished',
    stock: {
      code: 'from(items).pipe(mergeMap(work, 8), takeUntil(stop))',
      does: '32 started, 24 delivered',
      measure: async () => {
        const jobs = new Jobs();
        let delivered = 0;
        const flow = from(upTo(100)).pipe(mergeMap(jobs.work, 8), takeUntil(timer(175)));
        await outcome(flow.pipe(map(() => delivered++)));
        return `${jobs.started} started, ${delivered} delivered`;
      },
    },
    ours: {
      code: 'runFlow(fromPull(items).pipe(poolMap(work, { concurrency: 8 })), { drainSignal: stop })',
      does: '32 started, 32 delivered',
      measure: async () => {
        const jobs = new Jobs();
        const run = runFlow(fromPull(upTo(100)).pipe(poolMap(jobs.work, { concurrency: 8 })));
        setTimeout(() => void run.drain(), 175);
        await vi.advanceTimersByTimeAsync(1_000);
        return `${jobs.started} started, ${(await run).delivered} delivered`;
      },
    },
  },
];
