import { setTimeout as namedSleep } from 'node:timers/promises';
import {
  catchError,
  concat,
  concatMap,
  delay,
  interval,
  mergeMap,
  NEVER,
  of,
  retry,
  skip,
  take,
  takeUntil,
  tap,
  throwError,
  timer,
} from 'rxjs';
import { describe, expect, test } from 'vitest';
import { batch, boundedQueue, filterOr, fromPush, poolMap } from 'sluice';
import {
  exploreMarbles,
  expectMarbles,
  runMarbles,
  type MarblesOptions,
  type Rows,
  type Wiring,
} from 'sluice/testing';

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const realTimeout = AbortSignal.timeout.bind(AbortSignal);
const realSetTimeout = globalThis.setTimeout;

/** What the player says of a flow that is not as drawn. */
async function failure(picture: string, wiring: Wiring, options?: MarblesOptions): Promise<string> {
  return expectMarbles(picture, wiring, options).then(
    () => 'it passed',
    (error: unknown) => (error as Error).message,
  );
}

describe('the player', () => {
  test('asserts output, subscriptions and lanes', async () => {
    await expectMarbles(
      `
      source  ab-c|
      a       ----A|
      b        ------B|
      c            ---C|
      output  ----A--BC|
      active  12------10
      waiting 0--1-0
      demand  1--0-1
      `,
      ({ source, work }) => source().pipe(poolMap(work, { concurrency: 2, maxWaiting: 1 })),
    );
  });

  test('plays promises: work that sleeps for an hour comes in its exact column, without waiting', async () => {
    const startedAt = performance.now();
    await expectMarbles(
      `
      source  (ab|)
      output  - 3599999ms (ab|)
      active  2           0
      `,
      ({ source }) => {
        const work = async (letter: string) => {
          await sleep(3_600_000);
          return letter;
        };
        return source().pipe(poolMap(work, { concurrency: 2 }));
      },
    );
    expect(performance.now() - startedAt).toBeLessThan(30_000);
  });

  test('named imports of node:timers/promises, and AbortSignal.timeout, go by its clock', async () => {
    const slow = async (letter: string) => {
      await namedSleep(3);
      const signal = AbortSignal.timeout(4);
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
      });
      return `${letter}${(signal.reason as Error).name}`;
    };
    await expectMarbles(
      `
      source  a|
      output  -------(A|)
      `,
      ({ source }) => source().pipe(mergeMap(slow)),
      { values: { A: 'aTimeoutError' } },
    );
  });

  test('0 ms is the same millisecond, also within a timer', async () => {
    await expectMarbles(
      `
      source  -a|
      output  ---(a|)
      `,
      ({ source }) =>
        source().pipe(
          delay(2),
          concatMap((value) => timer(0).pipe(mergeMap(() => of(value)))),
        ),
    );
  });

  test('plays native operators, and a label drawn twice is a second subscription', async () => {
    await expectMarbles(
      `
      source  -a#
      source       -b#
      source            -c|
      output  -a----b----c|
      `,
      ({ source }) => source().pipe(retry({ count: 2, delay: 3 })),
    );
  });

  test('a pulled row gives an item in its column at the earliest, and when it is asked for', async () => {
    await expectMarbles(
      `
      source        abc-|
      a             --A|
      b                --B|
      c                   --C|
      output        --A--B--C|
      source.pulled 1--2--3
      `,
      ({ pulled, work }) => pulled().pipe(poolMap(work, { concurrency: 1 })),
    );
  });

  test('a promise row settles where it ends, with its last value', async () => {
    await expectMarbles(
      `
      source  a|
      a       --(A|)
      output  --(A|)
      `,
      ({ source, promise }) => source().pipe(poolMap(promise, { concurrency: 1 })),
    );
  });

  test('a ! of the output unsubscribes, first of all in its column; every row below must be left then', async () => {
    await expectMarbles(
      `
      source  a-b-!
      a       --A-!
      b         --!
      output  --A-!
      `,
      ({ source, work }) => source().pipe(mergeMap(work)),
    );
  });

  test('drain finishes what is inside, abort does not', async () => {
    const flow: Wiring = ({ pulled, work }) => pulled().pipe(poolMap(work, { concurrency: 1, name: 'slow' }));
    const drained = await expectMarbles(
      `
      source  abc-!
      a       --A|
      b          --B|
      output  --A--B|
      drain   ----!
      `,
      flow,
    );
    expect(drained).toMatchObject({ end: 'drained', leftOver: 0 });
    const aborted = await expectMarbles(
      `
      source  abc-!
      a       --A|
      b          -!
      output  --A-!
      abort   ----!
      `,
      flow,
    );
    expect(aborted).toMatchObject({ end: 'aborted', left: [{ stage: 'slow', value: 'b' }] });
  });

  test('values and errors come from tables', async () => {
    await expectMarbles(
      `
      source  ab#
      output  xy#
      `,
      ({ source }) => source<{ id: number }>().pipe(mergeMap(({ id }) => of([id]))),
      {
        values: { a: { id: 1 }, b: { id: 2 }, x: [1], y: [2] },
        errors: { source: new RangeError('far'), output: RangeError },
      },
    );
  });
});

describe('a failure of the player', () => {
  const picture = `
      source  ab-c|
      a       ----A|
      b        ------B|
      c            ---C|
      output  ----A--BC|
      active  12------10
  `;
  const wiring: Wiring = ({ source, work }) =>
    source().pipe(poolMap(work, { concurrency: 2, maxWaiting: 1 }));

  test('shows expected and actual as aligned rows, and marks the columns that differ', async () => {
    const told = await failure(picture.replace('----A--BC|', '----A-B-C|'), wiring);
    expect(told.split('\n')).toEqual([
      'the flow did not do what its picture says',
      '',
      '    source  ab-c|',
      '    a       ----A|',
      '    b        ------B|',
      '    c            ---C|',
      '    output  ----A-B-C|  expected',
      '            ----A--BC|  actual',
      '                  ^^',
      '    active  12------10',
      '',
      '- output, column 6: expected "B", got nothing',
      '- output, column 7: expected nothing, got "B"',
    ]);
  });

  test.each([
    ['a value', '----A--BC|', '---A---BC|', 'output, column 3'],
    ['an end', '----A--BC|', '----A--BC-|', 'output, column 9'],
    [
      'the start of an inner row',
      '     ---C|',
      '      --C|',
      'c, column 6: subscribed to in column 5 instead of 6',
    ],
    ['a lane', '12------10', '12-----1-0', 'active, column 7: expected 1, got 2'],
    ['a value of the source', 'ab-c|', 'a-bc|', 'b, column 1: subscribed to in column 2 instead of 1'],
  ])('names the place where one column is changed: %s', async (_what, drawn, changed, place) => {
    const told = await failure(picture.replace(drawn, changed), wiring);
    expect(told).toContain(`- ${place}`);
  });

  test('names work whose promise never settled', async () => {
    const never = () => new Promise<string>(() => {});
    const told = await failure('source  a|\noutput  -----', ({ source }) =>
      source().pipe(poolMap(never, { concurrency: 1, name: 'fetch' })),
    );
    expect(told).toContain(
      '- work is still pending: 1 item in fetch never settled; real I/O and real timers cannot come in virtual time',
    );
  });

  test('names a timer that is left over, and who set it', async () => {
    const careless = async () => {
      void sleep(1_000);
      return 'A';
    };
    const told = await failure('source  a|\noutput  A|', ({ source }) => source().pipe(mergeMap(careless)));
    expect(told).toMatch(
      /- a timer is left over: setTimeout of 1000 ms at .*expectMarbles\.test\.ts.*, due in column 1000/,
    );
  });

  test('says of a timer in an open flow, or that none of our code has set, that real I/O cannot come', async () => {
    const hint =
      ', due in column 1000; if it is that of real I/O, such as fetch: that cannot come in virtual time';
    const waiting: Wiring = ({ source }) => source().pipe(mergeMap(() => sleep(1_000)));
    expect(await failure('source  a|\noutput  a|', waiting)).toContain(hint);
    const nobody: Wiring = ({ source }) =>
      source().pipe(tap(() => queueMicrotask(setTimeout.bind(undefined, () => undefined, 1_000))));
    expect(await failure('source  a|\noutput  a|', nobody)).toContain(hint);
    const careless: Wiring = ({ source }) => source().pipe(tap(() => void sleep(1_000)));
    expect(await failure('source  a|\noutput  a|', careless)).not.toContain('real I/O');
  });

  const goesOn: [string, number, Wiring][] = [
    ['a delay', 5, ({ source }) => source().pipe(delay(5))],
    ['a timer after the source', 5, ({ source }) => concat(source(), timer(5)).pipe(skip(1))],
    ['a batch', 9, ({ source }) => concat(source(), NEVER).pipe(batch({ maxItems: 5, maxWaitMs: 9 }))],
    ['work of RxJS', 7, ({ source }) => source().pipe(mergeMap(() => timer(7)))],
  ];
  test.each(goesOn)('says what to draw where more is to come: %s', async (_what, ms, wiring) => {
    const open = await failure('source  a|\noutput  --', wiring);
    expect(open.split('\n', 1)[0]).toMatch(
      /^the flow did what its picture says, but more is to come when the picture ends: setInterval of /,
    );
    expect(open).toMatch(new RegExp(`setInterval of ${ms} ms.*, due in column \\d+; draw on to there, or !`));
    expect(open).toContain('or ! where output is left');
    expect(await failure('source  a|\noutput  --!', wiring)).toBe('it passed');
    expect(await failure('source  a|\noutput  --', wiring, { allow: ['timers'] })).toBe('it passed');
    const run = await failure('source  a|\noutput  --', wiring, { run: {} });
    expect(run).toContain('or ! where a row abort stops the run');
    expect(await failure('source  a|\noutput  --!\nabort   --!', wiring)).toBe('it passed');
  });

  test.each([
    ['undefined', () => undefined],
    ['a promise', async ({ source }: Rows) => source()],
    ['a promise', () => Promise.reject(new Error('lost'))],
    ['[1]', () => [1]],
  ])('says what the wiring gave, where it is no Observable: %s', async (what, wiring) => {
    expect(await failure('source  a|\noutput  a|', wiring as unknown as Wiring)).toBe(
      `the wiring gave ${what}, not an Observable`,
    );
  });

  test.each([
    ['my-source  ab|\noutput  ab|', 'my-source'],
    ['source ab|\noutput  ab|', 'source'],
  ])('says that names are not padded: %j', async (unpadded, name) => {
    expect(await failure(unpadded, ({ source }) => source(name))).toContain(
      `\n- rows begin in different columns, ${name} not where output does: if that is not meant, pad the names\n`,
    );
  });

  test('says nothing of padding where a later row is subscribed to too early', async () => {
    const later: Wiring = ({ source }) => concat(source('a'), source('b'));
    const message = await failure('a       -a|\nb          b|\noutput  -ab|', later);
    expect(message).toContain('b, column 3: subscribed to in column 2 instead of 3');
    expect(message).not.toContain('pad the names');
  });

  test('points to the line that asked for it, also where the promise is only handed on', async () => {
    const marble = {
      title: 'it emits',
      picture: 'source  a|\noutput  b|',
      wiring: ({ source }: Rows) => source(),
    };
    const calls: (() => Promise<unknown>)[] = [
      () => expectMarbles(marble.picture, marble.wiring),
      () => expectMarbles('source  a b|\noutput  b|', marble.wiring),
      () => runMarbles(marble),
      () => exploreMarbles(marble),
    ];
    for (const call of calls) {
      const { stack = '', message } = (await call().catch((error: unknown) => error)) as Error;
      expect(stack).toContain(message);
      expect(/^ +at .*$/m.exec(stack)?.[0]).toContain('expectMarbles.test.ts');
    }
  });

  test('names a rejection that nobody handles', async () => {
    const careless = async () => {
      void Promise.reject(new Error('lost'));
      return 'A';
    };
    const told = await failure('source  a|\noutput  A|', ({ source }) => source().pipe(mergeMap(careless)));
    expect(told).toContain('- nobody handled the rejection of a promise: Error: lost');
  });

  test('names an error that nobody catches', async () => {
    const told = await failure('source  a|\noutput  A|', ({ source }) =>
      source().pipe(
        mergeMap(async () => {
          setTimeout(() => {
            throw new Error('thrown in a timer');
          }, 0);
          return 'A';
        }),
      ),
    );
    expect(told).toContain('- nobody caught Error: thrown in a timer');
  });

  test.each([
    ['AbortSignal.timeout', () => void realTimeout(1)],
    ['setTimeout', () => void realSetTimeout(() => {}, 1)],
  ])('names a real timer, taken before the clock was installed: %s', async (name, start) => {
    const told = await failure('source  a|\noutput  (a|)', ({ source }) =>
      source().pipe(
        take(1),
        concatMap(async (value) => {
          start();
          return value;
        }),
      ),
    );
    expect(told).toContain('a real timer was started');
    expect(told).toContain(name);
  });

  test('names a row and a lane that nobody reads', async () => {
    const told = await failure('source  a|\nb  -b|\noutput  a|\nfetch.active  0', ({ source }) => source());
    expect(told).toContain('- b, column 0: unread: the wiring never asks for it, only for source');
    expect(told).toContain('- row fetch.active is unread: there is no stage called fetch');
  });

  test('says which rows, stages and sources there are, where a name is misspelt', async () => {
    const copy: Wiring = ({ source }) => source('sorce');
    expect(await failure('source  a|\noutput  a|', copy)).toBe(
      'the wiring asks for row sorce, which is not drawn; drawn are source, output',
    );
    expect(await failure('source  a|\nouput  a|', ({ source }) => source())).toBe(
      'a picture needs row output, which is not drawn; drawn are source, ouput',
    );
    const pool: Wiring = ({ pulled }) =>
      pulled().pipe(poolMap((value) => of(value), { concurrency: 1, name: 'pool' }));
    const lanes = await failure('source  a|\noutput  a|\npol.active  0\nsorce.pulled  1', pool);
    expect(lanes).toContain('- row pol.active is unread: there is no stage called pol; there are pool');
    expect(lanes).toContain(
      '- row sorce.pulled is unread: there is no source called sorce; there are source',
    );
    expect(lanes).not.toContain('expected 1, got 0');
    const errors = await failure('source  #\noutput  #', ({ source }) => source(), {
      errors: { sorce: 'X' },
    });
    expect(errors).toContain('but errors name row sorce, which is not drawn; drawn are source, output\n');
  });

  test('names a row that is asked for and not drawn, and a subscription too many', async () => {
    const missing = await failure('source  a|\noutput  #', ({ source, work }) =>
      source().pipe(mergeMap(work)),
    );
    expect(missing).toContain('- the wiring asks for row a, which is not drawn; drawn are source, output');
    const again = await failure('source  #\noutput  #', ({ source }) => source().pipe(retry(1)));
    expect(again).toContain('- source is subscribed to in column 0, and drawn are only 1 row');
  });

  test('names a lane of which there are several', async () => {
    const told = await failure('source  a|\noutput  a|\nactive  0', ({ source }) =>
      source().pipe(
        poolMap((value) => of(value), { concurrency: 1, name: 'one' }),
        poolMap((value) => of(value), { concurrency: 1, name: 'two' }),
      ),
    );
    expect(told).toContain('- row active: say of which stage: one.active, two.active');
  });

  test('names an error that is not the one expected', async () => {
    const told = await failure('source  a#\noutput  a#', ({ source }) => source(), {
      errors: { output: 'ELSE' },
    });
    expect(told.split('\n').slice(2)).toEqual([
      '    source  a#',
      '    output  a#  expected  # is ELSE',
      '            a#  actual    # is Error: source failed',
      '             ^',
      '',
      '- output, column 1: expected error ELSE, got error Error: source failed',
    ]);
  });

  test.each([
    ['a class', RangeError, 'RangeError'],
    ['an error', Object.assign(new Error('too late'), { code: 'LATE' }), 'Error (LATE): too late'],
  ])('names the error that is expected: %s', async (_what, output, name) => {
    const told = await failure('source  #\noutput  #', ({ source }) => source(), { errors: { output } });
    expect(told).toContain(`- output, column 0: expected error ${name}, got error Error: source failed`);
  });

  test('an output without an expected error must error with that of a row', async () => {
    const failing: Wiring = ({ source, work }) =>
      source().pipe(
        mergeMap(work),
        catchError(() => throwError(() => new Error('mine'))),
      );
    const told = await failure('source  (a!)\na       #\noutput  #', failing);
    expect(told).toContain('- output, column 0: expected error Error: a failed, got error Error: mine');
    const nobody = await failure('source  a\noutput  #', ({ source }) =>
      source().pipe(mergeMap(() => throwError(() => new Error('mine')))),
    );
    expect(nobody).toContain(
      '- output, column 0: expected error thrown by a row (name any other in errors), got error Error: mine',
    );
  });

  test('names a warning: a row that pushes into closed demand, where that is not said to be meant', async () => {
    const flow = 'source  ab|\na       ---|\nb          ---|\noutput  ------|';
    const pool: Wiring = ({ source, work }) => source().pipe(poolMap(work, { concurrency: 1 }));
    const told = await failure(flow, pool);
    expect(told.split('\n', 1)[0]).toMatch(
      /^the flow did what its picture says, but sluice warned: poolMap: items arrive although 1 is held/,
    );
    expect(told).toContain('- sluice warned: poolMap: items arrive although 1 is held');
    expect(await failure(flow, pool, { allow: ['warnings'] })).toBe('it passed');
    const meant: Wiring = ({ source, work }) => fromPush(source()).pipe(poolMap(work, { concurrency: 1 }));
    expect(await failure(flow, meant)).toBe('it passed');
  });

  test('has the title of a marble that is data', async () => {
    const played = runMarbles({
      title: 'it emits',
      picture: 'source  a|\noutput  b|',
      wiring: ({ source }) => source(),
    });
    await expect(played).rejects.toThrow(/^it emits: the flow did not do/);
  });

  test('a flow that loops in one millisecond is stopped', async () => {
    const told = await failure('source  -|\noutput  -|', ({ source }) =>
      source().pipe(takeUntil(interval(0).pipe(mergeMap(() => NEVER)))),
    );
    expect(told).toContain('timers in one millisecond');
  });

  test('leaves the clocks as they were', async () => {
    const before = [globalThis.setTimeout, Date, performance.now, AbortSignal.timeout];
    await failure('source  a|\noutput  b|', ({ source }) => source());
    await failure('source  a|\noutput  b|', () => {
      throw new Error('the wiring throws');
    });
    expect([globalThis.setTimeout, Date, performance.now, AbortSignal.timeout]).toEqual(before);
    expect(Math.abs(Date.now() - performance.timeOrigin - performance.now())).toBeLessThan(60_000);
  });
});

describe('a row that stops the run', () => {
  test.each(['drain', 'abort'])('must say when: %s', async (name) => {
    const picture = `
      source  a--|
      ${name}   ---|
      output  a--|
    `;
    expect(await failure(picture, ({ source }) => source())).toBe(
      `row ${name} does nothing: draw ! in the column of the ${name}`,
    );
  });
});

describe('values that look alike', () => {
  class Private {
    readonly #value: number;
    constructor(value: number) {
      this.#value = value;
    }
    get value(): number {
      return this.#value;
    }
  }
  const key = Symbol('key');
  const picture = `
    source  a|
    output  b|
  `;
  const compared = (a: unknown, b: unknown): Promise<string> =>
    failure(picture, ({ source }) => source(), { values: { a, b } });

  test.each([
    ['regular expressions', /a/, /b/, 'expected b = "/b/", got "/a/"'],
    ['addresses', new URL('http://a'), new URL('http://b'), 'expected b = "http://b/", got "http://a/"'],
    ['objects with private fields', new Private(1), new Private(2), '[object Object]'],
    ['promises', Promise.resolve(1), Promise.resolve(2), '[object Promise]'],
    ['buffers', new ArrayBuffer(1), new ArrayBuffer(2), '[object ArrayBuffer]'],
    ['properties with a symbol', { [key]: 1 }, { [key]: 2 }, 'expected b = {}'],
    ['maps', new Map([[1, 2]]), new Map([[1, 3]]), 'expected b = {"Map":[[1,3]]}, got {"Map":[[1,2]]}'],
    ['sets', [new Set([1])], [new Set([2])], 'expected b = [{"Set":[2]}], got [{"Set":[1]}]'],
    ['what is undefined', { x: 1 }, { x: 1, y: undefined }, '{"x":1,"y":"undefined"}, got {"x":1}'],
    ['numbers', [NaN], [-Infinity], 'expected b = ["-Infinity"], got ["NaN"]'],
  ])('are not taken for one another: %s', async (_kind, a, b, words) => {
    expect(await compared(a, b)).toContain(words);
  });

  test.each([
    ['regular expressions', /a/g, /a/g],
    ['addresses', new URL('http://a'), new URL('http://a')],
    ['nothing in them', [{}, [], null, undefined], [{}, [], null, undefined]],
    ['typed arrays', new Uint8Array([1, 2]), new Uint8Array([1, 2])],
    ['maps', new Map([[1, { x: 2 }]]), new Map([[1, { x: 2 }]])],
  ])('are the same where all that can be seen is: %s', async (_kind, a, b) => {
    expect(await compared(a, b)).toBe('it passed');
  });
});

describe('what a wiring may use', () => {
  test('note writes a row; signal is aborted in the column of a !', async () => {
    await expectMarbles(
      `
      source    abcd-!
      output    -b-d-|
      rejected  a-c
      stop      -----!
      `,
      ({ source, note, signal }) => {
        const stopped = signal('stop');
        return source().pipe(
          takeUntil(
            new Promise((resolve) => {
              stopped.addEventListener('abort', resolve);
            }),
          ),
          filterOr((value) => value === 'b' || value === 'd', { rejected: note('rejected') }),
        );
      },
    );
  });

  test('an array is the row of all its letters', async () => {
    await expectMarbles(
      `
      source  a|
      ab      --X|
      output  --X|
      `,
      ({ source, work }) => source().pipe(mergeMap((value) => work([value, 'b']))),
    );
  });

  test('two pictures at once wait for one another', async () => {
    const one = () =>
      expectMarbles('source  --a|\noutput  --a|', ({ source }) =>
        source().pipe(boundedQueue({ capacity: 1 })),
      );
    await Promise.all([one(), one(), one()]);
  });
});
