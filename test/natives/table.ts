import * as rx from 'rxjs';
import type { Observable, OperatorFunction } from 'rxjs';
import { fromPull, fromPush, poolMap } from 'sluice';
import type { Item, Parts, Wiring } from './probe.ts';

/** What tickets cannot see past, in words for the table. */
export const LIMITS = {
  branch:
    'The operator holds an item inside a group or window, while another group goes on: the item settles with the other.',
  lag: 'The operator emits an earlier item in the call of a later one: the later one settles with the earlier.',
  half: 'One part of an item is emitted at once and another held: the item settles with the first part.',
  state: 'An item is emitted at once, and again later as part of a state: it settles the first time.',
} as const;

/** One wiring of one export of RxJS. */
export interface Row extends Wiring {
  readonly operator: string;
  readonly deprecated?: boolean;
  /** Why an item of it may be acknowledged early; unmarked: never. */
  readonly limit?: keyof typeof LIMITS;
  /** What to use in its place; unmarked: what its class says. */
  readonly instead?: string;
}

type Extras = Pick<Row, 'standsFor' | 'limit' | 'instead' | 'deprecated'>;

const { concatMap, EMPTY, interval, map, merge, mergeMap, NEVER, of, take, timer } = rx;

const nameIn = (code: string): string => /^\w+/.exec(code)?.[0] ?? '';

/** Any wiring; the code begins with the name of the export. */
function row(code: string, wire: (parts: Parts) => Observable<unknown>, extras: Extras = {}): Row {
  return { operator: nameIn(code), code, wire, ...extras };
}

/** An operator between source and stage. */
function between(code: string, operator: OperatorFunction<Item, unknown>, extras?: Extras): Row {
  return row(code, ({ source, stage }) => source.pipe(operator, stage), extras);
}

/** One that takes Observables: here, of one item each. */
function flattening(
  code: string,
  operator: OperatorFunction<Observable<Item>, unknown>,
  extras?: Extras,
): Row {
  const inner = code === 'combineLatestAll()' || code === 'zipAll()' ? (x: Item) => of(x) : inMs;
  return row(code, ({ source, stage }) => source.pipe(map(inner), operator, stage), extras);
}

/** Something that takes the source and perhaps another, above the stage. */
function joined(code: string, join: (parts: Parts) => Observable<unknown>, extras?: Extras): Row {
  return row(code, (parts) => join(parts).pipe(parts.stage), extras);
}

/** Windows or groups, with the stage inside. */
function inside(code: string, operator: OperatorFunction<Item, Observable<Item>>, extras?: Extras): Row {
  const within = `${code}, mergeMap(x$ => x$.pipe(stage))`;
  return row(
    within,
    ({ source, stage }) =>
      source.pipe(
        operator,
        mergeMap((group) => group.pipe(stage)),
      ),
    extras,
  );
}

const inMs = (x: Item): Observable<Item> => timer(3).pipe(map(() => x));
const odd = (x: Item): boolean => x.id % 2 === 1;
const byId = (a: Item, b: Item): number => a.id - b.id;
const list = (all: readonly Item[], x: Item): readonly Item[] => [...all, x];
const isFourth = (_: Item, index: number): boolean => index === 3;
const isChild = (x: Item): boolean => 'child' in x;
const child = (x: Item): Item => ({ ...x, child: true }) as Item;
const opened = (): Observable<unknown> => merge(of(0), interval(5));

const atTheEnd: Extras = { instead: 'the same below the last stage' };
const push: Extras = { instead: 'the same inside `fromPush(…)`' };
const state: Extras = { limit: 'state', instead: '`batch`, or keep the state where the items are stored' };
const both: Extras = { instead: 'one `fromPull` that reads both' };
const time: Extras = { instead: '`batch({ maxWaitMs })`' };
const pool: Extras = { instead: '`poolMap`' };
const old: Extras = { deprecated: true };

/** One row for each export that is an operator, or makes an Observable of others. */
export const rows: readonly Row[] = [
  between(
    'audit(() => timer(3))',
    rx.audit(() => timer(3)),
    push,
  ),
  between('auditTime(3)', rx.auditTime(3), push),
  between('buffer(interval(5))', rx.buffer(interval(5)), time),
  between('bufferCount(3)', rx.bufferCount(3)),
  between('bufferTime(5)', rx.bufferTime(5), time),
  between(
    'bufferToggle(opened, () => timer(3))',
    rx.bufferToggle(opened(), () => timer(3)),
    time,
  ),
  between(
    'bufferWhen(() => timer(5))',
    rx.bufferWhen(() => timer(5)),
    time,
  ),
  between(
    'catchError(() => EMPTY)',
    rx.catchError(() => EMPTY),
  ),
  flattening('combineLatestAll()', rx.combineLatestAll(), atTheEnd),
  joined('combineLatestWith(other)', ({ source, other }) => source.pipe(rx.combineLatestWith(other)), {
    ...both,
    limit: 'state',
  }),
  flattening('concatAll()', rx.concatAll(), pool),
  between('concatMap(x => inMs(x))', concatMap(inMs), pool),
  joined('concatWith(other)', ({ source, other }) => source.pipe(rx.concatWith(other))),
  between(
    'connect(x$ => x$)',
    rx.connect((shared) => shared),
  ),
  between('count()', rx.count(), { standsFor: 'all', ...atTheEnd }),
  between(
    'debounce(() => timer(3))',
    rx.debounce(() => timer(3)),
    push,
  ),
  between('debounceTime(3)', rx.debounceTime(3), push),
  between('defaultIfEmpty(0)', rx.defaultIfEmpty(0)),
  between('delay(3)', rx.delay(3), pool),
  between(
    'delayWhen(() => timer(3))',
    rx.delayWhen(() => timer(3)),
    pool,
  ),
  joined('dematerialize()', ({ source }) =>
    source.pipe(
      map((value) => ({ kind: 'N' as const, value })),
      rx.dematerialize(),
    ),
  ),
  between(
    'distinct(x => x.half)',
    rx.distinct((x) => x.half),
  ),
  between(
    'distinctUntilChanged(sameHalf)',
    rx.distinctUntilChanged((a, b) => a.half === b.half),
  ),
  between("distinctUntilKeyChanged('half')", rx.distinctUntilKeyChanged('half')),
  between('elementAt(3)', rx.elementAt(3)),
  between('endWith(0)', rx.endWith(0)),
  between(
    'every(() => true)',
    rx.every(() => true),
    { standsFor: 'all', ...atTheEnd },
  ),
  flattening('exhaustAll()', rx.exhaustAll(), pool),
  between('exhaustMap(x => inMs(x))', rx.exhaustMap(inMs), pool),
  between(
    'expand(x => isChild(x) ? EMPTY : later(x))',
    rx.expand((x) => (isChild(x) ? EMPTY : timer(20).pipe(map(() => child(x))))),
    { limit: 'half', instead: '`poolMap` with a `fromPull` in its work' },
  ),
  between('filter(odd)', rx.filter(odd), { instead: '`filterOr`' }),
  between(
    'finalize(f)',
    rx.finalize(() => {}),
  ),
  between('find(isFourth)', rx.find(isFourth)),
  between('findIndex(isFourth)', rx.findIndex(isFourth), { standsFor: 'latest' }),
  between('first()', rx.first()),
  inside(
    'groupBy(parity)',
    rx.groupBy((x) => x.id % 2),
    { instead: '`poolMap` with `by`' },
  ),
  between('ignoreElements()', rx.ignoreElements()),
  between('isEmpty()', rx.isEmpty(), { standsFor: 'latest' }),
  between('last()', rx.last(), atTheEnd),
  between(
    'map(f)',
    map((x) => [x]),
  ),
  between('materialize()', rx.materialize()),
  between('max(byId)', rx.max(byId), atTheEnd),
  flattening('mergeAll(2)', rx.mergeAll(2), pool),
  between('mergeMap(x => inMs(x), 2)', mergeMap(inMs, 2), pool),
  between(
    'mergeScan((all, x) => inMs(x), [])',
    rx.mergeScan((_all: unknown, x: Item) => inMs(x), []),
    pool,
  ),
  joined('mergeWith(other)', ({ source, other }) => source.pipe(rx.mergeWith(other))),
  between('min(byId)', rx.min(byId), atTheEnd),
  between('observeOn(asyncScheduler)', rx.observeOn(rx.asyncScheduler), { instead: 'nothing: leave it out' }),
  joined('onErrorResumeNextWith(other)', ({ source, other }) => source.pipe(rx.onErrorResumeNextWith(other))),
  between('pairwise()', rx.pairwise(), state),
  between('raceWith(NEVER)', rx.raceWith(NEVER)),
  between('reduce(list, [])', rx.reduce(list, [] as readonly Item[]), atTheEnd),
  between('repeat(2)', rx.repeat(2)),
  between('retry(2)', rx.retry(2)),
  between('sample(interval(5))', rx.sample(interval(5)), push),
  between('sampleTime(5)', rx.sampleTime(5), push),
  between('scan(list, [])', rx.scan(list, [] as readonly Item[]), state),
  joined('sequenceEqual(other)', ({ source, other }) => source.pipe(rx.sequenceEqual(other, () => true)), {
    standsFor: 'all',
    ...both,
  }),
  between('share()', rx.share()),
  between('shareReplay(1)', rx.shareReplay(1)),
  between('single(isFourth)', rx.single(isFourth), atTheEnd),
  between('skip(3)', rx.skip(3)),
  between('skipLast(3)', rx.skipLast(3), { limit: 'lag', ...atTheEnd }),
  between('skipUntil(timer(5))', rx.skipUntil(timer(5))),
  between(
    'skipWhile(x => x.id < 4)',
    rx.skipWhile((x) => x.id < 4),
  ),
  between('startWith(0)', rx.startWith(0)),
  between('subscribeOn(asyncScheduler)', rx.subscribeOn(rx.asyncScheduler)),
  flattening('switchAll()', rx.switchAll(), push),
  between('switchMap(x => inMs(x))', rx.switchMap(inMs), push),
  between(
    'switchScan((all, x) => inMs(x), [])',
    rx.switchScan((_all: unknown, x: Item) => inMs(x), []),
    push,
  ),
  between('take(4)', take(4)),
  between('takeLast(3)', rx.takeLast(3), atTheEnd),
  between('takeUntil(timer(5))', rx.takeUntil(timer(5))),
  between(
    'takeWhile(x => x.id < 5)',
    rx.takeWhile((x) => x.id < 5),
    { instead: 'nothing: the item that ends it is handed back' },
  ),
  between(
    'tap(f)',
    rx.tap(() => {}),
  ),
  between(
    'throttle(() => timer(3))',
    rx.throttle(() => timer(3)),
  ),
  between('throttleTime(3)', rx.throttleTime(3)),
  between('throwIfEmpty()', rx.throwIfEmpty()),
  between('timeInterval()', rx.timeInterval()),
  between('timeout(1_000)', rx.timeout(1_000)),
  between('timestamp()', rx.timestamp()),
  between('toArray()', rx.toArray(), { instead: '`batch`, or the same below the last stage' }),
  inside('window(interval(5))', rx.window(interval(5)), time),
  inside('windowCount(3)', rx.windowCount(3), { instead: '`batch`' }),
  inside('windowTime(5)', rx.windowTime(5), time),
  inside(
    'windowToggle(opened, () => timer(3))',
    rx.windowToggle(opened(), () => timer(3)),
    time,
  ),
  inside(
    'windowWhen(() => timer(5))',
    rx.windowWhen(() => timer(5)),
    time,
  ),
  between('withLatestFrom(timer(5))', rx.withLatestFrom(timer(5)), {
    instead: 'read the latest value in the work',
  }),
  flattening('zipAll()', rx.zipAll(), atTheEnd),
  joined('zipWith(other)', ({ source, other }) => source.pipe(rx.zipWith(other)), both),

  // Deprecated, and still there.
  /* eslint-disable @typescript-eslint/no-deprecated */
  between('concatMapTo(timer(3))', rx.concatMapTo(timer(3)), { standsFor: 'nth', ...old, ...pool }),
  between("mapTo('x')", rx.mapTo('x'), { standsFor: 'latest', ...old }),
  between('mergeMapTo(timer(3), 2)', rx.mergeMapTo(timer(3), 2), { standsFor: 'nth', ...old, ...pool }),
  between(
    'multicast(() => new Subject(), x$ => x$)',
    rx.multicast(
      () => new rx.Subject<Item>(),
      (shared) => shared,
    ),
    old,
  ),
  between("pluck('part')", rx.pluck('part'), old),
  between(
    'publish(x$ => x$)',
    rx.publish((shared) => shared),
    old,
  ),
  joined(
    'publishBehavior(0), refCount()',
    ({ source }) => source.pipe((input) => rx.publishBehavior<unknown>(0)(input), rx.refCount()),
    old,
  ),
  joined('publishLast(), refCount()', ({ source }) => source.pipe(rx.publishLast(), rx.refCount()), old),
  joined(
    'publishReplay(1), refCount()',
    ({ source }) => source.pipe((input) => rx.publishReplay<Item>(1)(input), rx.refCount()),
    old,
  ),
  joined(
    'refCount() after publish()',
    ({ source }) => source.pipe((input) => rx.publish<Item>()(input), rx.refCount()),
    old,
  ),
  between(
    'repeatWhen(ends => ends.pipe(take(1)))',
    rx.repeatWhen((ends) => ends.pipe(take(1))),
    old,
  ),
  between(
    'retryWhen(errors => errors)',
    rx.retryWhen((errors) => errors),
    old,
  ),
  between('switchMapTo(timer(3))', rx.switchMapTo(timer(3)), { standsFor: 'latest', ...old, ...push }),
  between('timeoutWith(1_000, EMPTY)', rx.timeoutWith(1_000, EMPTY), old),
  /* eslint-enable @typescript-eslint/no-deprecated */

  // Functions that make one Observable of others.
  joined('combineLatest([source, other])', ({ source, other }) => rx.combineLatest([source, other]), {
    ...both,
    limit: 'state',
  }),
  joined('concat(source, other)', ({ source, other }) => rx.concat(source, other)),
  joined('connectable(source)', ({ source }) => {
    const shared = rx.connectable(source);
    const connecting = rx.defer(() => {
      shared.connect();
      return EMPTY;
    });
    return merge(shared, connecting);
  }),
  joined('defer(() => source)', ({ source }) => rx.defer(() => source)),
  joined('forkJoin([source, other])', ({ source, other }) => rx.forkJoin([source, other]), both),
  joined('from(source)', ({ source }) => rx.from(source)),
  joined('iif(() => true, source, other)', ({ source, other }) => rx.iif(() => true, source, other)),
  joined('merge(source, other)', ({ source, other }) => merge(source, other)),
  joined('onErrorResumeNext(source, other)', ({ source, other }) => rx.onErrorResumeNext(source, other)),
  joined('partition(source, odd)[0]', ({ source }) => rx.partition(source, odd)[0], {
    instead: '`filterOr`',
  }),
  joined('race(source, NEVER)', ({ source }) => rx.race(source, NEVER)),
  joined('scheduled(source, asyncScheduler)', ({ source }) => rx.scheduled(source, rx.asyncScheduler), {
    instead: 'nothing: leave it out',
  }),
  joined('using(resource, () => source)', ({ source }) =>
    rx.using(
      () => ({ unsubscribe() {} }),
      () => source,
    ),
  ),
  joined('zip(source, other)', ({ source, other }) => rx.zip(source, other), both),
];

/** The same, wired differently: what is held then, and what becomes of tickets. */
export const variants: readonly Row[] = [
  between(
    'mergeMap(x => of(x))',
    mergeMap((x) => of(x)),
  ),
  between(
    'mergeMap(x => [x, x])',
    mergeMap((x) => [x, x]),
  ),
  between(
    'mergeMap(x => merge(of(x), later(x)))',
    mergeMap((x) => merge(of(x), timer(20).pipe(map(() => x)))),
    { limit: 'half' },
  ),
  between(
    'mergeMap(x => fromPull([x, x]), 2)',
    mergeMap((x) => fromPull([x, x]), 2),
  ),
  between(
    'mergeMap(x => fromPull(slowly(x)), 2)',
    mergeMap((x) => fromPull(slowly(x)), 2),
  ),
  between(
    'concatMap(x => fromPull([x, x]))',
    concatMap((x) => fromPull([x, x])),
  ),
  between(
    'concatMap(x => fromPull(slowly(x)))',
    concatMap((x) => fromPull(slowly(x))),
  ),
  between(
    'switchMap(x => fromPull([x, x]))',
    rx.switchMap((x) => fromPull([x, x])),
  ),
  between(
    'switchMap(x => fromPull(slowly(x)))',
    rx.switchMap((x) => fromPull(slowly(x))),
  ),
  between(
    'exhaustMap(x => fromPull(slowly(x)))',
    rx.exhaustMap((x) => fromPull(slowly(x))),
  ),
  between(
    'mergeScan((all, x) => fromPull(slowly(x)), [], 1)',
    rx.mergeScan((_all: unknown, x: Item) => fromPull(slowly(x)), [], 1),
  ),
  between(
    'switchScan((all, x) => fromPull(slowly(x)), [])',
    rx.switchScan((_all: unknown, x: Item) => fromPull(slowly(x)), []),
  ),
  between(
    'expand(x => isChild(x) ? EMPTY : of(child(x)))',
    rx.expand((x) => (isChild(x) ? EMPTY : of(child(x)))),
  ),
  between(
    'expand(x => isChild(x) ? EMPTY : fromPull(slowly(child(x))))',
    rx.expand((x) => (isChild(x) ? EMPTY : fromPull(slowly(child(x))))),
  ),
  row('mergeMap(x => of(x).pipe(stage))', ({ source, stage }) =>
    source.pipe(mergeMap((x) => of(x).pipe(stage))),
  ),
  row('concatMap(x => of(x).pipe(stage))', ({ source, stage }) =>
    source.pipe(concatMap((x) => of(x).pipe(stage))),
  ),
  between(
    'mergeMap(x => [x, x]), concatMap(x => fromPull(slowly(x)))',
    (source) =>
      source.pipe(
        mergeMap((x) => [x, x]),
        concatMap((x) => fromPull(slowly(x))),
      ),
    { limit: 'half' },
  ),
  between('bufferCount(3, 1)', rx.bufferCount(3, 1), state),
  between('bufferCount(2, 3)', rx.bufferCount(2, 3)),
  between('bufferCount(3), concatMap(list => fromPull(list))', (source) =>
    source.pipe(
      rx.bufferCount(3),
      concatMap((some) => fromPull(some)),
    ),
  ),
  between(
    'bufferCount(3), concatAll(), concatMap(x => fromPull(slowly(x)))',
    (source) =>
      source.pipe(
        rx.bufferCount(3),
        rx.concatAll(),
        concatMap((x) => fromPull(slowly(x))),
      ),
    { limit: 'half' },
  ),
  between('bufferCount(3), takeUntil(timer(6))', (source) =>
    source.pipe(rx.bufferCount(3), rx.takeUntil(timer(6))),
  ),
  between('toArray(), mergeMap(list => fromPull(list))', (source) =>
    source.pipe(
      rx.toArray(),
      mergeMap((all) => fromPull(all)),
    ),
  ),
  between('take(5), toArray()', (source) => source.pipe(take(5), rx.toArray())),
  between(
    'takeLast(3), concatMap(x => fromPull(slowly(x)))',
    (source) =>
      source.pipe(
        rx.takeLast(3),
        concatMap((x) => fromPull(slowly(x))),
      ),
    { limit: 'half' },
  ),
  between(
    'startWith(zeroth), pairwise()',
    (source) => source.pipe(rx.startWith(ZEROTH), rx.pairwise()),
    state,
  ),
  between(
    'scan(previous), map(([a]) => a)',
    (source) =>
      source.pipe(
        rx.scan(([, b]: readonly Item[], x) => [b ?? ZEROTH, x], [ZEROTH, ZEROTH] as readonly Item[]),
        map(([a]) => a),
      ),
    state,
  ),
  between('skipLast(1)', rx.skipLast(1), { limit: 'lag' }),
  between(
    'throttleTime(3, …, { trailing: true })',
    rx.throttleTime(3, rx.asyncScheduler, { leading: false, trailing: true }),
  ),
  between(
    'delayWhen(() => of(0))',
    rx.delayWhen(() => of(0)),
  ),
  between('observeOn(asapScheduler)', rx.observeOn(rx.asapScheduler)),
  between('observeOn(queueScheduler)', rx.observeOn(rx.queueScheduler)),
  between('map(throws at the third)', map(throwsOnce())),
  between('map(throws at the third), retry(1)', (source) => source.pipe(map(throwsOnce()), rx.retry(1))),
  between('map(throws at the third), catchError(() => of(0))', (source) =>
    source.pipe(
      map(throwsOnce()),
      rx.catchError(() => of(0)),
    ),
  ),
  between('map(throws at the third), catchError(() => timer(3))', (source) =>
    source.pipe(
      map(throwsOnce()),
      rx.catchError(() => timer(3)),
    ),
  ),
  row(
    'groupBy(parity), mergeMap(x$ => x$.pipe(bufferCount(3)))',
    ({ source, stage }) =>
      source.pipe(
        rx.groupBy((x) => x.id % 2),
        mergeMap((group) => group.pipe(rx.bufferCount(3))),
        stage,
      ),
    { limit: 'branch' },
  ),
  row('windowCount(3), mergeMap(x$ => x$.pipe(toArray()))', ({ source, stage }) =>
    source.pipe(
      rx.windowCount(3),
      mergeMap((window) => window.pipe(rx.toArray())),
      stage,
    ),
  ),
  row('windowCount(3), mergeMap(x$ => x$.pipe(poolMap(f), toArray()))', ({ source, stage }) =>
    source.pipe(
      rx.windowCount(3),
      mergeMap((window) =>
        window.pipe(
          poolMap((x) => [x], { concurrency: 1 }),
          rx.toArray(),
        ),
      ),
      stage,
    ),
  ),
  joined('zip(source, slow)', ({ source, slow }) => rx.zip(source, slow)),
  joined('combineLatest([source, slow])', ({ source, slow }) => rx.combineLatest([source, slow]), {
    limit: 'state',
  }),
  joined('merge(source, slow)', ({ source, slow }) => merge(source, slow)),
  joined('merge(source, interval(2))', ({ source }) => merge(source, ticks())),
  joined('merge(source, fromPush(interval(2)))', ({ source }) => merge(source, fromPush(ticks()))),
  joined('merge(source, other), bufferCount(4)', ({ source, other }) =>
    merge(source, other).pipe(rx.bufferCount(4)),
  ),
  joined('concat(slow, source)', ({ source, slow }) => rx.concat(slow, source)),
  joined('race(source, other)', ({ source, other }) => rx.race(source, other)),
  joined('buffer(other)', ({ source, other }) => source.pipe(rx.buffer(other))),
  joined('sample(other)', ({ source, other }) => source.pipe(rx.sample(other))),
  joined('sample(fromPush(interval(2)))', ({ source }) => source.pipe(rx.sample(fromPush(ticks())))),
  joined('withLatestFrom(other)', ({ source, other }) => source.pipe(rx.withLatestFrom(other))),
  joined('skipUntil(other)', ({ source, other }) => source.pipe(rx.skipUntil(other))),
  joined('takeUntil(other)', ({ source, other }) => source.pipe(rx.takeUntil(other))),
];

/** Deprecated names of exports that have a row. */
export const aliases: Readonly<Record<string, string>> = {
  combineAll: 'combineLatestAll',
  exhaust: 'exhaustAll',
  flatMap: 'mergeMap',
};

/** Exports that have no row, and why. */
export const leftOut: Readonly<Record<string, readonly string[]>> = {
  'makes an Observable of something that is no Observable: nothing can be above it': [
    ...['animationFrames', 'bindCallback', 'bindNodeCallback', 'empty', 'fromEvent', 'fromEventPattern'],
    ...['generate', 'interval', 'never', 'of', 'pairs', 'range', 'throwError', 'timer'],
  ],
  'ends a chain: nothing can be below it': ['firstValueFrom', 'lastValueFrom'],
  'is a class': [
    ...['AsyncSubject', 'BehaviorSubject', 'ConnectableObservable', 'Notification', 'Observable'],
    ...['ReplaySubject', 'Scheduler', 'Subject', 'Subscriber', 'Subscription', 'VirtualAction'],
    ...['VirtualTimeScheduler', 'ArgumentOutOfRangeError', 'EmptyError', 'NotFoundError'],
    ...['ObjectUnsubscribedError', 'SequenceError', 'TimeoutError', 'UnsubscriptionError'],
  ],
  'is a helper': ['identity', 'isObservable', 'noop', 'pipe'],
};

const ZEROTH: Item = { id: 0, half: 0, part: { id: 0 } };

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function* slowly(x: Item): AsyncIterable<Item> {
  for (let n = 0; n < 2; n++) {
    await later(1);
    yield x;
  }
}

function ticks(): Observable<number> {
  return interval(2).pipe(take(20));
}

/** Throws at the third item of each subscription. */
function throwsOnce(): (x: Item, index: number) => Item {
  return (x, index) => {
    if (index === 2) throw new Error('failed');
    return x;
  };
}
