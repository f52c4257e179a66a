import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { of } from 'rxjs';
import { describe, expect, it } from 'vitest';
import {
  adaptive,
  batch,
  boundedQueue,
  broadcast,
  dedupe,
  budgeted,
  delays,
  drops,
  exponential,
  filterOr,
  fromPull,
  InvalidOptionError,
  intake,
  poolMap,
  rateLimit,
  retryDelayed,
  route,
  runFlow,
  stage,
  storeTo,
  toAsyncIterable,
  withBreaker,
  withHedge,
  withRetry,
  withTimeout,
} from 'sluice';

const work = (value: unknown): Promise<unknown> => Promise.resolve(value);
const policy = delays([1]);
/** A wrong option, as it comes from code without types. */
const wrong = (value: unknown): never => value as never;

const whole = (least: number, got: string): string =>
  `must be a whole number of ${least} or more, got ${got}`;

const listed = 'broadcast: branches must be a list of one operator or more: broadcast([a, b])';

const cases: [call: () => unknown, message: string][] = [
  [
    () => poolMap(wrong('work'), { concurrency: 1 }),
    'poolMap: work must be a function, got a string of 4 characters',
  ],
  [() => poolMap(work, wrong({})), `poolMap: concurrency ${whole(1, 'undefined')}`],
  [() => poolMap(work, { concurrency: 0 }), `poolMap: concurrency ${whole(1, '0')}`],
  [() => poolMap(work, { concurrency: 1.5 }), `poolMap: concurrency ${whole(1, '1.5')}`],
  [() => poolMap(work, { concurrency: NaN }), `poolMap: concurrency ${whole(1, 'NaN')}`],
  [() => poolMap(work, { concurrency: Infinity }), `poolMap: concurrency ${whole(1, 'Infinity')}`],
  [() => poolMap(work, { concurrency: wrong('3') }), `poolMap: concurrency ${whole(1, "the string '3'")}`],
  [
    () => fromPull([1], { maxPending: 3 }),
    'fromPull: maxPending bounds the items without an outcome, so it needs onSettled',
  ],
  [
    () => runFlow(of(1), { signal: wrong(new AbortController()) }),
    'runFlow: signal must be an AbortSignal, got a value of type object',
  ],
  [
    () => runFlow(of(1), { drainSignal: wrong('SIGTERM') }),
    'runFlow: drainSignal must be an AbortSignal, got a string of 7 characters',
  ],
  [() => poolMap(work, { concurrency: 1, maxWaiting: -1 }), `poolMap: maxWaiting ${whole(0, '-1')}`],
  [() => poolMap(work, { concurrency: 1, by: wrong(1) }), 'poolMap: by must be a function, got 1'],
  [
    () => poolMap(work, { concurrency: 1, onFailure: wrong('ignore') }),
    "poolMap: onFailure must be 'fail', 'drop', a function, a sink or an Observer, got a string of 6 characters",
  ],
  [
    () => poolMap(work, { concurrency: 1, onFailure: wrong(null) }),
    "poolMap: onFailure must be 'fail', 'drop', a function, a sink or an Observer, got null",
  ],
  [() => boundedQueue(wrong({})), `boundedQueue: capacity ${whole(1, 'undefined')}`],
  [() => boundedQueue({ capacity: 0 }), `boundedQueue: capacity ${whole(1, '0')}`],
  [
    () => boundedQueue({ capacity: 1, overflow: wrong('drop') }),
    "boundedQueue: overflow must be one of 'fail', 'dropOldest', 'dropNewest', got 'drop'",
  ],
  [
    () => boundedQueue({ capacity: 1, onDrop: wrong({}) }),
    'boundedQueue: onDrop must be a function, got a value of type object',
  ],
  [() => filterOr(wrong(true)), 'filterOr: predicate must be a function, got true'],
  [() => filterOr(() => true, { concurrency: 0 }), `filterOr: concurrency ${whole(1, '0')}`],
  [
    () => filterOr(() => true, { rejected: wrong('log') }),
    'filterOr: rejected must be a function, got a string of 3 characters',
  ],
  [() => batch(wrong({})), `batch: maxItems ${whole(1, 'undefined')}`],
  [() => batch({ maxItems: -1 }), `batch: maxItems ${whole(1, '-1')}`],
  [() => batch({ maxItems: 1, maxWaitMs: -1 }), 'batch: maxWaitMs must be a number of 0 or more, got -1'],
  [() => batch({ maxItems: 1, maxWaitMs: NaN }), 'batch: maxWaitMs must be a number of 0 or more, got NaN'],
  [() => batch({ maxItems: 1, maxWeight: -0.5 }), 'batch: maxWeight must be a number of 0 or more, got -0.5'],
  [() => batch({ maxItems: 1, weigh: wrong([]) }), 'batch: weigh must be a function, got an array'],
  [() => rateLimit(wrong({})), `rateLimit: limit ${whole(1, 'undefined')}`],
  [() => rateLimit({ limit: 0, perMs: 1 }), `rateLimit: limit ${whole(1, '0')}`],
  [
    () => rateLimit({ limit: 1, perMs: 0.5 }),
    'rateLimit: perMs must be a finite number of 1 or more, got 0.5',
  ],
  [() => rateLimit({ limit: 1, perMs: 1, burst: 0 }), `rateLimit: burst ${whole(1, '0')}`],
  [
    () => rateLimit({ limit: 1, perMs: 1, by: wrong('id') }),
    'rateLimit: by must be a function, got a string of 2 characters',
  ],
  [() => rateLimit({ limit: 1, perMs: 1, maxWaiting: 0 }), `rateLimit: maxWaiting ${whole(1, '0')}`],
  [() => dedupe(wrong({})), 'dedupe: by must be a function, got undefined'],
  [
    () => dedupe({ by: work, withinMs: -1, maxKeys: 1 }),
    'dedupe: withinMs must be a number of 0 or more, got -1',
  ],
  [() => dedupe({ by: work, withinMs: 1, maxKeys: 0 }), `dedupe: maxKeys ${whole(1, '0')}`],
  [
    () => dedupe({ by: work, withinMs: 1, maxKeys: wrong(Infinity) }),
    `dedupe: maxKeys ${whole(1, 'Infinity')}`,
  ],
  [() => broadcast(wrong([])), listed],
  [() => broadcast(wrong(null)), listed],
  [() => broadcast(wrong(work)), listed],
  [() => broadcast(wrong([1])), 'broadcast: a branch must be a function, got 1'],
  [() => route(wrong(1), { branches: {} }), 'route: by must be a function, got 1'],
  [() => route(() => 'a', wrong({})), 'route: branches must have one operator or more'],
  [
    () => route(() => undefined, { branches: wrong({ a: 1 }) }),
    'route: branches.a must be a function, got 1',
  ],
  [
    () => route(() => 'a', { branches: { a: (source) => source }, maxWaiting: 0 }),
    `route: maxWaiting ${whole(1, '0')}`,
  ],
  [
    () => route(() => 'a', { branches: { a: (source) => source }, rejected: wrong('log') }),
    'route: rejected must be a function, got a string of 3 characters',
  ],
  [() => storeTo(wrong({})), 'storeTo: sink.store must be a function, got undefined'],
  [() => storeTo(wrong(null)), 'storeTo: sink.store must be a function, got undefined'],
  [() => storeTo(async () => undefined, { maxItems: 0 }), `storeTo: maxItems ${whole(1, '0')}`],
  [
    () => storeTo(async () => undefined, { maxWaitMs: -1 }),
    'storeTo: maxWaitMs must be a number of 0 or more, got -1',
  ],
  [() => storeTo(async () => undefined, { concurrency: 0 }), `storeTo: concurrency ${whole(1, '0')}`],
  [
    () => storeTo(async () => undefined, { retry: wrong({}) }),
    'storeTo: retry must be made by delays(…) or exponential(…), got a value of type object',
  ],
  [
    () => storeTo(async () => undefined, { onFailure: wrong('retry') }),
    "storeTo: onFailure must be 'fail', 'drop', a function, a sink or an Observer, got a string of 5 characters",
  ],
  [
    () => storeTo(async () => undefined, { name: '' }),
    'storeTo: name must be a string that is not empty, got a string of 0 characters',
  ],
  [
    () => retryDelayed(wrong(undefined)),
    'retryDelayed: policy must be made by delays(…) or exponential(…), got undefined',
  ],
  [
    () => retryDelayed(wrong({ delayMs: () => 1 })),
    'retryDelayed: policy.isRetryable must be a function, got undefined',
  ],
  [() => withRetry(wrong(1), policy), 'withRetry: work must be a function, got 1'],
  [() => withRetry(work, wrong(3)), 'withRetry: policy must be made by delays(…) or exponential(…), got 3'],
  [() => withTimeout(wrong(null), { timeoutMs: 1 }), 'withTimeout: work must be a function, got null'],
  [
    () => withTimeout(work, { timeoutMs: -5 }),
    expect.stringMatching(/^withTimeout: timeoutMs must be /) as string,
  ],
  [
    () => withTimeout(work, { timeoutMs: 0 }),
    expect.stringMatching(/^withTimeout: timeoutMs must be /) as string,
  ],
  [() => withBreaker(work, wrong({ openMs: 1 })), `withBreaker: maxFailures ${whole(1, 'undefined')}`],
  [
    () => withBreaker(work, { maxFailures: 1, openMs: Infinity }),
    expect.stringMatching(/^withBreaker: openMs must be a finite number/) as string,
  ],
  [
    () => withBreaker(work, { maxFailures: 1, openMs: 1, whenOpen: wrong('drop') }),
    "withBreaker: whenOpen must be one of 'wait', 'fail', got 'drop'",
  ],
  [
    () => budgeted(policy, { maxExtraShare: -1 }),
    'budgeted: maxExtraShare must be a finite number of 0 or more, got -1',
  ],
  [() => budgeted(policy, { maxExtraShare: 1.1 }), 'budgeted: maxExtraShare must be 1 or less, got 1.1'],
  [() => budgeted(policy, { maxExtraShare: 0.1, maxSaved: 0 }), `budgeted: maxSaved ${whole(1, '0')}`],
  [
    () => budgeted(wrong({}), { maxExtraShare: 0.1 }),
    'budgeted: policy must be made by delays(…) or exponential(…), got a value of type object',
  ],
  [() => delays(wrong(5)), 'delays: delaysMs must be an array of milliseconds, got 5'],
  [() => delays([1, -1]), 'delays: delaysMs must be a finite number of 0 or more, got -1'],
  [() => delays([Infinity]), 'delays: delaysMs must be a finite number of 0 or more, got Infinity'],
  [() => delays([1], { maxElapsedMs: -1 }), 'delays: maxElapsedMs must be a number of 0 or more, got -1'],
  [() => delays([1], { isRetryable: wrong(true) }), 'delays: isRetryable must be a function, got true'],
  [
    () => exponential({ initialMs: -1, maxRetries: 1 }),
    'exponential: initialMs must be a finite number of 0 or more, got -1',
  ],
  [
    () => exponential({ initialMs: 1, maxRetries: 1, factor: 0.5 }),
    'exponential: factor must be a finite number of 1 or more, got 0.5',
  ],
  [
    () => exponential({ initialMs: 1, maxRetries: 1, maxMs: -1 }),
    'exponential: maxMs must be a finite number of 0 or more, got -1',
  ],
  [() => exponential(wrong({ initialMs: 1 })), `exponential: maxRetries ${whole(0, 'undefined')}`],
  [
    () => exponential({ initialMs: 1, maxRetries: 1, random: wrong(0.5) }),
    'exponential: random must be a function, got 0.5',
  ],
  [() => fromPull([], { onSettled: wrong(1) }), 'fromPull: onSettled must be a function, got 1'],
  [() => fromPull([], { maxPending: 0 }), `fromPull: maxPending ${whole(1, '0')}`],
  [() => intake({ capacity: 0 }), `intake: capacity ${whole(1, '0')}`],
  [() => toAsyncIterable(of(1), { capacity: 0 }), `toAsyncIterable: capacity ${whole(1, '0')}`],
  [() => drops(wrong(1)), 'drops: operator must be a function, got 1'],
  [
    () => stage('', (source) => source),
    'stage: name must be a string that is not empty, got a string of 0 characters',
  ],
  [() => runFlow(wrong({})), 'runFlow: flow must be an Observable, got a value of type object'],
  [() => runFlow(wrong(undefined)), 'runFlow: flow must be an Observable, got undefined'],
  [
    () => runFlow(of(1), { drainTimeoutMs: -1 }),
    'runFlow: drainTimeoutMs must be a finite number of 0 or more, got -1',
  ],
  [
    () => runFlow(of(1), { onError: wrong('ignore') }),
    "runFlow: onError must be one of 'drain', 'abort', got 'ignore'",
  ],
  [() => runFlow(of(1), { onWarning: wrong(1) }), 'runFlow: onWarning must be a function, got 1'],
  [
    () => runFlow(of(1), { statsEveryMs: 0 }),
    'runFlow: statsEveryMs must be a number from 1 to 2147483647, got 0',
  ],
  [() => runFlow(of(1), { debug: wrong(true) }), 'runFlow: debug must be a function, got true'],
];

describe('a wrong call', () => {
  it.each(cases.map(([, message], i) => [message, i, message] as const))(
    'throws at once, and says who, what, the range and what came: %s',
    (_title, i, message) => {
      let thrown: unknown;
      try {
        cases[i]![0]();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(InvalidOptionError);
      expect(thrown).toBeInstanceOf(TypeError);
      expect(thrown).toMatchObject({ code: 'INVALID_OPTION', name: 'InvalidOptionError' });
      expect((thrown as Error).message).toEqual(message);
    },
  );

  it.each([
    ['poolMap', () => poolMap(work, { concurrency: 1, name: '' })],
    ['boundedQueue', () => boundedQueue({ capacity: 1, name: '' })],
    ['batch', () => batch({ maxItems: 1, name: '' })],
    ['filterOr', () => filterOr(() => true, { name: '' })],
    ['broadcast', () => broadcast([(source) => source], { name: '' })],
    ['route', () => route(() => 'a', { branches: { a: (source) => source }, name: '' })],
    ['dedupe', () => dedupe({ by: work, withinMs: 1, maxKeys: 1, name: '' })],
    ['rateLimit', () => rateLimit({ limit: 1, perMs: 1, name: '' })],
  ])('%s refuses an empty name', (_operator, call) => {
    expect(call).toThrow(InvalidOptionError);
  });

  it.each<[key: string, call: (...args: never[]) => unknown]>([
    ['adaptive: min', adaptive],
    ['batch: maxItems', batch],
    ['boundedQueue: capacity', boundedQueue],
    ['budgeted: maxExtraShare', budgeted.bind(undefined, policy)],
    ['dedupe: by', dedupe],
    ['exponential: initialMs', exponential],
    ['intake: capacity', intake],
    ['poolMap: concurrency', poolMap.bind(undefined, work)],
    ['rateLimit: limit', rateLimit],
    ['route: branches', route.bind(undefined, () => 'a' as never)],
    ['toAsyncIterable: capacity', toAsyncIterable.bind(undefined, of(1))],
    ['withBreaker: maxFailures', withBreaker.bind(undefined, work)],
    ['withHedge: afterPercentile', withHedge.bind(undefined, work)],
    ['withTimeout: timeoutMs', withTimeout.bind(undefined, work)],
  ])('%s is asked for where plain JavaScript leaves out all options', (key, call) => {
    expect(() => call()).toThrow(InvalidOptionError);
    expect(() => call()).toThrow(`${key} must `);
  });

  it('exponential refuses a jitter that it does not know', () => {
    expect(() => exponential({ initialMs: 1, maxRetries: 1, jitter: wrong('some') })).toThrow(
      InvalidOptionError,
    );
  });
});

describe('the documented default of each option', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const files = ['operators', 'src/demand', 'src/flow', 'src/retry', 'src/work'].flatMap((folder) =>
    readdirSync(root + folder)
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name}`),
  );
  const rows = files.flatMap((file) => {
    const code = readFileSync(root + file, 'utf8');
    const documented = /\/\*\*((?:(?!\*\/)[\s\S])*?)@defaultValue ([^\n]*?)\s*\*\/\s*readonly (\w+)\?/g;
    return [...code.matchAll(documented)].map(([, , value, key]) => ({
      file,
      key: key!,
      value: value!,
      code,
    }));
  });
  /** What a word in a comment stands for, where it is not the literal itself. */
  const words: Record<string, string | undefined> = {
    'no limit': 'Infinity',
    '1 for each': '() => 1',
    'a line on the console': 'warnOnConsole',
    'a log on the console where SLUICE_DEBUG=1 is set': 'debugTracer()',
    'where trying again may help, as for policies': 'retryableByDefault',
    'not where the error says that it does not': 'retryableByDefault',
    '`status` 429 or 503, a `retryAfterMs`, or a `TimeoutError`': 'pushbackByDefault',
  };
  /** Words that say that there is none. */
  const absent = ['no keys', 'nobody', 'never'];

  it('is found where options are declared', () => {
    expect(rows.length).toBeGreaterThanOrEqual(25);
  });

  it.each(rows)('$file: $key is $value', ({ code, key, value }) => {
    const tidy = code.replace(/\s+/g, ' ');
    const destructured = new RegExp(`[{,] ${key} = (.*?)(?=, \\w+( =|,| })|,? } =)`).exec(tidy)?.[1];
    if (absent.includes(value) || (value === 'no limit' && destructured === undefined)) {
      expect(destructured).toBe(undefined);
      if (value === 'no limit') expect(tidy).toMatch(new RegExp(`${key} \\?\\? (Infinity|UNLIMITED)`));
      return;
    }
    const expected = value in words ? words[value] : value;
    expect(destructured).toBe(expected);
  });
});
