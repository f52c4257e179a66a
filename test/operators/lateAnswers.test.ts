import { throwError, type Observable, type OperatorFunction } from 'rxjs';
import { afterAll, afterEach, beforeEach, expect, it, vi } from 'vitest';
import {
  adaptive,
  batch,
  dedupe,
  delays,
  fromPull,
  poolMap,
  rateLimit,
  retryDelayed,
  route,
  runFlow,
  withBreaker,
  withRetry,
} from 'sluice';
import { toDeadLetters } from 'sluice/files';
import { cursorPages, fromPages, type HttpConnections } from 'sluice/http';
import {
  checkpointedSource,
  type CheckpointedSourceOptions,
} from '../../src/checkpoint/checkpointedSource.ts';
import { Progress } from '../../src/checkpoint/Progress.ts';
import { TestFolder } from '../files/folder.ts';

// A promise is a key unlike any other, and a condition that always holds: whoever gives one where an answer is needed at
// once is told so, and what it rejects with is not left unheard.
const late = (): never => Promise.reject(new Error('later')) as never;

const fails = (): Promise<number> => Promise.reject(new Error('down'));
const failsAsStream = (): Observable<number> => throwError(() => new Error('down'));
const work = (value: number): number[] => [value];
const same = (items: Observable<number>): Observable<number> => items;
const breaker = { maxFailures: 1, openMs: 1, isFailure: late };
const policy = delays([1], { isRetryable: late });
const strange = { ...delays([1]), delayMs: late };

const keeper = () => ({
  progress: new Progress({ position: 0, cursor: undefined, done: [[1, 1, 2, 2]] }),
  confirmed: () => undefined,
  mustHold: () => undefined,
});
const checkpointed = (options: CheckpointedSourceOptions<number, number>): Observable<number> =>
  checkpointedSource(keeper(), () => [1, 2, 3], options);
const http = { json: () => async () => ({ items: [1] }) } as unknown as HttpConnections;
const sources: Record<string, () => Observable<number>> = {
  'checkpoint: cursor': () => checkpointed({ cursor: late }),
  'checkpoint: isSame': () => checkpointed({ cursor: (n) => n, isSame: late }),
  'cursorPages: next': () =>
    fromPages(
      cursorPages<number, { items: number[] }>(http, {
        target: String,
        items: (body) => body.items,
        next: late,
      }),
    ),
};

const folder = new TestFolder();
afterAll(() => folder[Symbol.dispose]());
const letters = toDeadLetters<number>(`${folder.path}/letters`, { encode: late });

const cases: Record<string, OperatorFunction<number, unknown>> = {
  'poolMap: by': poolMap(work, { concurrency: 2, by: late }),
  'dedupe: by': dedupe({ by: late, withinMs: 1_000, maxKeys: 10 }),
  'rateLimit: by': rateLimit({ limit: 1, perMs: 1, by: late }),
  'route: by': route(late, { branches: { same } }),
  'batch: weigh': batch({ maxItems: 2, maxWeight: 5, weigh: late }),
  'RetryPolicy: isRetryable': poolMap(withRetry(fails, policy), { concurrency: 1 }),
  'RetryPolicy: delayMs': poolMap(withRetry(failsAsStream, strange), { concurrency: 1 }),
  'withBreaker: isFailure': poolMap(withBreaker(fails, breaker), { concurrency: 1 }),
  'toDeadLetters: encode': poolMap(fails, { concurrency: 1, onFailure: letters }),
  'adaptive: isPushback': poolMap(fails, { concurrency: adaptive({ min: 1, max: 2, isPushback: late }) }),
};

const unheard = vi.fn();
beforeEach(() => {
  vi.useFakeTimers();
  process.on('unhandledRejection', unheard);
});
afterEach(() => {
  process.off('unhandledRejection', unheard);
  vi.useRealTimers();
  unheard.mockClear();
});

it.each(Object.entries(cases))('%s refuses a promise, and hands the item back', async (hook, operator) => {
  const settled = vi.fn();
  const run = runFlow(fromPull([1], { onSettled: settled }).pipe(operator));
  const failure = run.catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await failure).toMatchObject({
    code: 'INVALID_OPTION',
    message: `${hook} must answer at once, and gave a promise`,
  });
  expect(settled).toHaveBeenCalledWith({ value: 1, failure: expect.any(Error) as Error });
  expect(unheard).not.toHaveBeenCalled();
});

it.each(Object.entries(sources))('%s refuses one as well', async (hook, source) => {
  const run = runFlow(source().pipe(poolMap(work, { concurrency: 1 })));
  const failure = run.catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await failure).toMatchObject({
    code: 'INVALID_OPTION',
    message: `${hook} must answer at once, and gave a promise`,
  });
  expect(unheard).not.toHaveBeenCalled();
});

it('retryDelayed refuses one as well', async () => {
  const run = runFlow(failsAsStream().pipe(retryDelayed(policy)));
  const failure = run.catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await failure).toMatchObject({
    code: 'INVALID_OPTION',
    cause: new Error('down'),
  });
});
