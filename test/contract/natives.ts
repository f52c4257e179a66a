import assert from 'node:assert/strict';
import {
  asapScheduler,
  bufferCount,
  bufferTime,
  catchError,
  concatMap,
  concatWith,
  debounceTime,
  defaultIfEmpty,
  delay,
  distinctUntilChanged,
  endWith,
  exhaustMap,
  filter,
  groupBy,
  map,
  mergeMap,
  mergeWith,
  observeOn,
  of,
  pairwise,
  reduce,
  repeat,
  retry,
  scan,
  share,
  skip,
  startWith,
  switchMap,
  take,
  takeLast,
  takeWhile,
  tap,
  timer,
  toArray,
  windowCount,
  zipWith,
  type Observable,
  type OperatorFunction,
} from 'rxjs';
import { acknowledged, early, items, lost, once, run, settled, store, type Log } from './acknowledged.ts';
import { sleep, takes, upTo, without, type Kernel, type Law } from './law.ts';

const PLACE = 'src/demand/Place.ts';

interface Native {
  readonly make: (sluice: Kernel) => OperatorFunction<string, unknown>;
  /** How a run may end; a code of an error is as good, if nothing is lost. @defaultValue completed */
  readonly ends?: readonly string[];
  /** It lets go of items: they are acknowledged and stored nowhere. */
  readonly drops?: true;
  /** Its state is not replayed: an item counts as stored with the first that contains it. */
  readonly state?: true;
  readonly strict?: true;
  /** It gives items again: what is stored later is not the first of its kind. */
  readonly again?: true;
  /** One of many that differ in their inner streams: fewer items, and not at every place. */
  readonly brief?: true;
}

const LOST = ['TICKET_LOST', 'TICKET_HELD'];
/** What is held without an end fills a window. */
const HELD = ['completed', 'TICKET_HELD'];

/** Three parts of a value, each in its own time. */
const parts = (sluice: Kernel, value: string): Observable<string> =>
  sluice.fromPull(async function* () {
    for (const part of 'abc') {
      await sleep(1);
      yield `${value}${part}`;
    }
  });

/** What an inner source of ours gives goes through native operators that let go of some, or fail at one in the first attempt. */
const cutShort: Record<string, (value: string) => OperatorFunction<string, string>> = {
  filter: () => filter((part) => !part.endsWith('c')),
  take: () => take(2),
  takeWhile: () => takeWhile((part) => !part.endsWith('c')),
  'takeWhile, none': () => takeWhile(() => false),
  bufferCount: () => (source) =>
    source.pipe(
      bufferCount(2),
      map((two) => two.join('+')),
    ),
};
const givenAgain: Record<string, (value: string, sluice: Kernel) => OperatorFunction<string, string>> = {
  retry: () => (source) => source.pipe(once('a'), retry(1)),
  'retry, in the middle': () => (source) => source.pipe(once('b'), retry(1)),
  'retry with a delay': () => (source) => source.pipe(once('a'), retry({ count: 1, delay: 3 })),
  'catchError to fromPull': (value, sluice) => (source) =>
    source.pipe(
      once('b'),
      catchError(() => parts(sluice, value)),
    ),
  'catchError to of': (value) => (source) =>
    source.pipe(
      once('b'),
      catchError(() => of(`${value}d`)),
    ),
};
/** What native operators put behind the end of an inner source of ours: it belongs to the same item. */
const followed: Record<string, (value: string, sluice: Kernel) => OperatorFunction<string, string>> = {
  repeat: () => repeat(2),
  'repeat, a stage': (_, sluice) => (source) =>
    source.pipe(repeat(2), sluice.poolMap(takes(1), { concurrency: 1 })),
  'a stage, repeat': (_, sluice) => (source) =>
    source.pipe(sluice.poolMap(takes(1), { concurrency: 1 }), repeat(2)),
  'concatWith fromPull': (value, sluice) => concatWith(parts(sluice, `${value}x`)),
  'concatWith of': (value) => concatWith(of(`${value}x`)),
  endWith: (value) => endWith(`${value}x`),
  'mergeWith fromPull': (value, sluice) => mergeWith(parts(sluice, `${value}x`)),
};
const flattened = {
  concatMap: <T, R>(inner: (value: T) => Observable<R>) => concatMap(inner),
  mergeMap: <T, R>(inner: (value: T) => Observable<R>) => mergeMap(inner),
  'mergeMap, two at once': <T, R>(inner: (value: T) => Observable<R>) => mergeMap(inner, 2),
};

/** Each of them on the parts of each item, in each kind of inner stream. */
function inside(
  middles: Record<string, (value: string, sluice: Kernel) => OperatorFunction<string, string>>,
  traits: Omit<Native, 'make'>,
): Record<string, Native> {
  const natives = Object.entries(flattened).flatMap(([flat, flatten]) =>
    Object.entries(middles).map(([name, middle]): [string, Native] => [
      `${flat} to fromPull, ${name}`,
      {
        make: (sluice) => flatten((value: string) => parts(sluice, value).pipe(middle(value, sluice))),
        ends: HELD,
        brief: true,
        ...traits,
      },
    ]),
  );
  return Object.fromEntries(natives);
}

/** Each group is an inner stream as well, which many items are worked on in. */
const groupings: Record<string, OperatorFunction<string, Observable<string>>> = {
  'groupBy, two groups': groupBy((value) => Number(value.slice(1)) % 2),
  'groupBy, one group each': groupBy((value) => value),
  windowCount: windowCount(3),
};

const fails = (at: string) =>
  map((value: string) => {
    if (value.includes(at)) throw new Error('bad');
    return value;
  });

/** The native operators between an acknowledged source and a stage, in the classes of the README's table. */
const classes: Record<string, Record<string, Native>> = {
  transparent: {
    map: { make: () => map((value) => `${value}!`) },
    tap: { make: () => tap(() => undefined) },
    startWith: { make: () => startWith('first') },
    endWith: { make: () => endWith('last') },
    defaultIfEmpty: { make: () => defaultIfEmpty('none') },
    scan: { make: () => scan((sum: string[], value) => [...sum, value], []), state: true },
    'mergeMap to of': { make: () => mergeMap((value) => of(`${value}a`, `${value}b`)) },
    'concatMap to of': { make: () => concatMap((value) => of(value)) },
    'switchMap to of': { make: () => switchMap((value) => of(value)) },
    'exhaustMap to of': { make: () => exhaustMap((value) => of(value)) },
    'groupBy and mergeMap': {
      make: () => (source) =>
        source.pipe(
          groupBy((value) => value.slice(-1)),
          mergeMap((group) => group),
        ),
    },
  },
  dropping: {
    filter: {
      make: () => filter((value) => value.endsWith('0') || value.endsWith('5')),
      drops: true,
      ends: HELD,
    },
    'filter, nothing left': { make: () => filter(() => false), drops: true, ends: HELD },
    skip: { make: () => skip(2), drops: true },
    take: { make: () => take(3) },
    takeWhile: { make: () => takeWhile((value) => !value.includes('i4')), drops: true },
    distinctUntilChanged: {
      make: () => distinctUntilChanged((a, b) => a.length === b.length),
      drops: true,
      ends: HELD,
    },
  },
  'holding in the call': {
    bufferCount: { make: () => bufferCount(3) },
    pairwise: { make: () => pairwise(), state: true },
    toArray: { make: () => toArray(), ends: HELD },
    reduce: { make: () => reduce((sum: string, value: string) => `${sum} ${value}`), ends: HELD },
    takeLast: { make: () => takeLast(2), drops: true, ends: HELD },
    'windowCount and toArray': {
      make: () => (source) =>
        source.pipe(
          windowCount(3),
          mergeMap((window) => window.pipe(toArray())),
        ),
    },
    'zip, strict': {
      make: (sluice) => zipWith(sluice.fromPull(upTo(99))),
      strict: true,
      ends: ['TICKET_UNCLAIMED', 'completed'],
    },
  },
  'holding for a time': {
    delay: { make: () => delay(2), ends: LOST },
    debounceTime: { make: () => debounceTime(2), drops: true, ends: [...LOST, ...HELD] },
    observeOn: { make: () => observeOn(asapScheduler), ends: LOST },
    bufferTime: { make: () => bufferTime(2), ends: [...LOST, ...HELD] },
    'mergeMap to promises': { make: () => mergeMap(takes(2)), ends: LOST },
    'concatMap to a timer': {
      make: () => concatMap((value) => timer(2).pipe(map(() => value))),
      ends: LOST,
    },
    'switchMap to a timer': {
      make: () => switchMap((value) => timer(2).pipe(map(() => value))),
      ends: LOST,
    },
  },
  'with sources inside': {
    'concatMap to fromPull': {
      make: (sluice) => concatMap((value) => sluice.fromPull([`${value}a`, `${value}b`])),
      ends: HELD,
    },
    'mergeMap to fromPull, two at once': {
      make: (sluice) => mergeMap((value) => sluice.fromPull([`${value}a`, `${value}b`, `${value}c`]), 2),
      ends: HELD,
    },
    'mergeMap to fromPull': {
      make: (sluice) => mergeMap((value) => sluice.fromPull([`${value}a`, `${value}b`])),
    },
    'concatMap to fromPull that fails and is retried': {
      make: (sluice) =>
        concatMap((value) => {
          let attempt = 0;
          const input = async function* () {
            yield `${value}a`;
            await sleep(1);
            if (attempt++ === 0) throw new Error('bad');
            yield `${value}b`;
          };
          return sluice.fromPull(input).pipe(retry(1));
        }),
      ends: HELD,
    },
    'concatMap to fromPull that fails': {
      make: (sluice) =>
        concatMap((value) =>
          sluice.fromPull(async function* (): AsyncGenerator<string> {
            await sleep(1);
            if (value.includes('i1')) throw new Error('bad');
            yield value;
          }),
        ),
      ends: ['bad', 'TICKET_HELD'],
    },
    'mergeMap to the first of fromPull': {
      make: (sluice) => mergeMap((value) => sluice.fromPull([`${value}a`, `${value}b`]).pipe(take(1))),
    },
    'concatMap to a pool': {
      make: (sluice) =>
        concatMap((value) => sluice.fromPull([value]).pipe(sluice.poolMap(takes(1), { concurrency: 1 }))),
      ends: HELD,
    },
  },
  'with sources inside that are cut short': inside(cutShort, { drops: true }),
  'with sources inside that are given again': inside(givenAgain, { again: true }),
  'with sources inside that are followed by others': Object.fromEntries(
    Object.entries(inside(followed, {})).filter(([name]) => name.startsWith('concatMap')),
  ),
  'with sources inside groups': Object.fromEntries(
    Object.entries({
      ...inside({ 'no more': () => tap(() => undefined) }, {}),
      ...inside({ repeat: () => repeat(2) }, {}),
      ...inside({ take: cutShort['take']! }, { drops: true }),
    })
      .filter(([name]) => name.startsWith('mergeMap to')) // the others hold an item inside its group
      .flatMap(([name, { make, ...traits }]) =>
        Object.entries(groupings).map(([grouping, group]): [string, Native] => [
          `${grouping}, ${name}`,
          {
            make: (sluice) => (source) =>
              source.pipe(
                group,
                mergeMap((each) => each.pipe(make(sluice))),
              ),
            ...traits,
          },
        ]),
      ),
  ),
  failing: {
    'map that throws once, under retry': {
      make: () => (source) => source.pipe(once('i4'), retry(1)),
      again: true,
    },
    'map that throws': { make: () => fails('i4'), ends: ['bad'] },
    catchError: {
      make: () => (source) =>
        source.pipe(
          fails('i4'),
          catchError(() => of('instead')),
        ),
      drops: true,
    },
    'retry, once': { make: () => (source) => source.pipe(fails('i4'), retry(1)), ends: ['bad'], again: true },
    share: { make: () => share(), ends: ['TICKET_PATH', 'completed'] },
  },
};

/** Where the native operator stands. */
const places: Record<
  string,
  (
    sluice: Kernel,
    log: Log,
    native: OperatorFunction<string, unknown>,
  ) => (source: Observable<string>) => Observable<unknown>
> = {
  'below the source': (sluice, log, native) => (source) => source.pipe(native, store(sluice, log)),
  'between two stages': (sluice, log, native) => (source) =>
    source.pipe(
      sluice.poolMap(takes(1), { concurrency: 2 }),
      native,
      sluice.storeTo<unknown>(
        async (values) => {
          await sleep(3);
          log.push(`store ${JSON.stringify(values)}`);
        },
        { maxItems: 3, maxWaitMs: 5 },
      ),
    ),
  'above a batch': (sluice, log, native) => (source) =>
    source.pipe(native, sluice.batch({ maxItems: 2, maxWaitMs: 4 }), store(sluice, log)),
  'below a batch': (sluice, log, native) => (source) =>
    source.pipe(
      sluice.batch({ maxItems: 2, maxWaitMs: 4 }),
      map((values) => values.join('+')),
      native,
      store(sluice, log),
    ),
};

/** How the run goes on: to its end, with a window that is smaller than the input, drained, aborted. */
const courses = {
  'to the end': {},
  'in its own time': { paced: true },
  'with a window': { window: 6 },
  drained: { drainAfterMs: 7 },
  aborted: { abortAfterMs: 7 },
} as const;

async function checkNative(sluice: Kernel, name: string, native: Native): Promise<void> {
  const brief = native.brief === true;
  for (const [place, build] of Object.entries(places)) {
    if (brief && place.includes('batch')) continue;
    for (const [course, options] of Object.entries(courses)) {
      const at = `${name}, ${place}, ${course}`;
      const log: Log = [];
      let pulled = 0;
      const input = function* () {
        for (const item of items(brief ? 9 : 20)) {
          pulled++;
          yield item;
        }
      };
      const { window, paced, ...stops } = { window: undefined, paced: false, ...options };
      const later = async function* () {
        for (const item of input()) {
          await sleep(1);
          yield item;
        }
      };
      const source = acknowledged(sluice, log, paced ? later : input, window);
      const { end } = await run(sluice, build(sluice, log, native.make(sluice))(source), {
        strict: native.strict ?? false,
        ...stops,
      });
      const told = `${at}: ${end}: ${log.join(', ')}`;
      const ends = [
        ...(native.ends ?? ['completed']),
        'drained',
        'aborted',
        ...(window === undefined ? [] : ['TICKET_HELD']),
      ];
      assert.ok(ends.includes(end), told);
      if (end === 'aborted') assert.equal(course, 'aborted', told);
      assert.equal(
        settled(log, 'ack').length + settled(log, 'nak').length,
        pulled,
        `not each settled once: ${told}`,
      );
      assert.deepEqual(early(log, native.state || native.again ? 'first' : 'all'), [], `early: ${told}`);
      if (!native.drops) assert.deepEqual(lost(log), [], `acknowledged, and stored nowhere: ${told}`);
    }
  }
}

/** What makes each class go red. */
const breaks: Record<string, Law['sabotage']> = {
  transparent: [
    without('src/demand/Demand.ts', 'return ticket.claim();', '{ ticket.claims++; return null; }'),
  ],
  dropping: [
    without(
      'src/demand/Outlet.ts',
      'if (ticket !== null && under.drops === drops && this.demand.ticketed) this.wait(ticket);',
      'ticket.hold();',
    ),
  ],
  'holding in the call': [
    without(
      'src/demand/Outlet.ts',
      'const under = this.#under(ticket);',
      'const under = ticket && ticket.hold();',
    ),
    without(
      'src/demand/Outlet.ts',
      'if (ticket !== null && under.drops === drops && this.demand.ticketed) this.wait(ticket);',
    ),
  ],
  'holding for a time': [
    without('src/demand/PullSource.ts', 'if (this.#onSettled) demand.announce();'),
    without(
      'src/demand/Demand.ts',
      'return ticket === undefined && this.ticketed ? undefined : null;',
      'return null;',
    ),
  ],
  'with sources inside': [
    without('src/demand/PullSource.ts', 'this.#out.place.begin(true);'),
    without(
      'src/demand/PullSource.ts',
      'this.#out.emit(value, this.#out.place.works ?? null);',
      'this.#out.emit(value, null);',
    ),
    without(PLACE, "home.failure ?? new HandedBackError('sluice', 'the flow was stopped')", 'undefined'),
    without('src/demand/PullSource.ts', 'this.#out.place.leave(cutShort);', 'this.#out.place.leave(false);'),
    without(
      'src/demand/Outlet.ts',
      'place.leave(works?.claims === claims && works?.drops === drops, works);',
      'place.leave(false, works);',
    ),
  ],
  'with sources inside that are cut short': [
    without('src/demand/PullSource.ts', 'this.#out.place.begin(true);'),
  ],
  'with sources inside that are given again': [
    without('src/demand/PullSource.ts', 'this.#out.place.begin(true);'),
  ],
  'with sources inside that are followed by others': [
    without(PLACE, 'if (before) found.push(before);'),
    without('src/demand/Outlet.ts', 'tail ?? works ?? null', 'tail'),
  ],
  'with sources inside groups': [
    without(
      PLACE,
      'junction && new InnerStream(junction, emitter)',
      'junction && ((junction.end && streamOf(junction.end)) ?? new InnerStream(junction, emitter))',
    ),
  ],
  failing: [
    without(
      'src/demand/Outlet.ts',
      'if (this.closed) {\n      ticket.hold().release(this.#left());',
      'if (this.subscriber.closed) {',
    ),
  ],
};

export const nativeLaws: readonly Law[] = Object.entries(classes).map(([name, natives]) => ({
  rule: 'T4–T10',
  says: `nothing is acknowledged early, lost or left open with native operators: ${name}`,
  async check(sluice) {
    for (const [operator, native] of Object.entries(natives)) await checkNative(sluice, operator, native);
  },
  sabotage: breaks[name] ?? [],
}));
