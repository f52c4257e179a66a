import fc from 'fast-check';

/**
 * Whether `repeat`, `concat`, `concatWith` and `endWith` may stand inside an inner stream of `concatMap` and its like: what
 * they subscribe to, or give, when a source of ours has ended is not counted to the item (docs/native-operators.md, "Limits").
 */
export const SUCCESSORS = process.env['GRAPH_SUCCESSORS'] !== 'off';

/** An operator of a random graph. */
export type Op =
  | { readonly kind: 'map' | 'tap' | 'scan' | 'pairwise' | 'startWith' | 'endWith' }
  | { readonly kind: 'filter' | 'drops' | 'filterOr'; readonly mod: number }
  | { readonly kind: 'take' | 'takeWhile'; readonly count: number }
  | { readonly kind: 'bufferCount'; readonly size: number; readonly unpack: boolean }
  /** Throws at one item, once, and is tried again, or another stream is put in its place. */
  | { readonly kind: 'retry'; readonly at: number; readonly delayMs: number | undefined }
  | { readonly kind: 'catchError'; readonly at: number; readonly by: Inner }
  | { readonly kind: 'repeat'; readonly delayMs: number | undefined }
  | { readonly kind: 'concatWith'; readonly by: Inner }
  | { readonly kind: 'flatten'; readonly how: Flattening; readonly inners: readonly Inner[] }
  | { readonly kind: 'poolMap'; readonly concurrency: number; readonly ordered: boolean; readonly work: Work }
  | {
      readonly kind: 'batch';
      readonly maxItems: number;
      readonly maxWaitMs: number;
      readonly unpack: boolean;
    }
  | { readonly kind: 'boundedQueue'; readonly capacity: number }
  | { readonly kind: 'broadcast' | 'route'; readonly branches: readonly (readonly Op[])[] };

export type Flattening = 'mergeMap' | 'mergeMap, 2' | 'concatMap' | 'switchMap' | 'exhaustMap';

/** What a pool does with an item: gives it now, later, or makes a stream of it. */
export type Work = 'now' | 'later' | Inner;

/** The stream that an item becomes. */
export interface Inner {
  readonly head: Head;
  readonly ops: readonly Op[];
}

export type Head =
  | { readonly kind: 'of'; readonly parts: number }
  | {
      readonly kind: 'fromPull';
      readonly parts: number;
      readonly everyMs: number | undefined;
      readonly own: boolean;
    }
  /** Fails by itself after some parts, the first time, and something comes in its place. */
  | {
      readonly kind: 'failing';
      readonly parts: number;
      readonly everyMs: number | undefined;
      readonly then: 'retry' | 'retry later' | 'of' | 'fromPull';
    }
  | { readonly kind: 'timer'; readonly ms: number }
  | { readonly kind: 'empty' }
  | { readonly kind: 'merge' | 'concat'; readonly inners: readonly [Inner, Inner] };

/** An acknowledged source: how many items, how long it takes for one, how many may be without an outcome. */
export interface Supply {
  readonly count: number;
  readonly everyMs: number | undefined;
  readonly maxPending: number | undefined;
}

/** A whole flow: sources, operators, a sink, and how it is stopped. */
export interface Graph {
  readonly supplies: readonly Supply[];
  readonly joined: 'merge' | 'concat';
  readonly ops: readonly Op[];
  readonly sink: { readonly maxItems: number; readonly maxWaitMs: number; readonly concurrency: number };
  /** Downstream leaves after so many. */
  readonly takes: number | undefined;
  readonly strict: boolean;
  readonly stop: { readonly kind: 'drain' | 'abort'; readonly atMs: number } | undefined;
}

const small = fc.integer({ min: 1, max: 3 });
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const pace = maybe(fc.integer({ min: 0, max: 3 }));
const kind = <K extends string>(...kinds: K[]): fc.Arbitrary<K> => fc.constantFrom(...kinds);

/** Without streams inside. */
const plain = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: kind('map', 'tap') }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('scan', 'pairwise') }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('startWith') }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: kind('filter', 'drops', 'filterOr'), mod: fc.integer({ min: 2, max: 4 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: kind('take', 'takeWhile'), count: small }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('bufferCount'), size: small, unpack: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: kind('retry'), at: small, delayMs: maybe(small) }) },
);
/** Those that hold items under a demand of their own. */
const stages = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      kind: kind('batch'),
      maxItems: small,
      maxWaitMs: fc.constantFrom(0, 3, 1_000),
      unpack: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('boundedQueue'), capacity: small }) },
);
const successors = fc.oneof(
  { weight: 1, arbitrary: fc.record({ kind: kind('endWith') }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('repeat'), delayMs: maybe(small) }) },
);

/** Where an operator stands: below the sources; in an inner stream; or in the work of a pool, which counts as a whole. */
type Where = 'outer' | 'inner' | 'work';

/** An operator, with streams inside it down to a depth. */
function op(depth: number, where: Where): fc.Arbitrary<Op> {
  const outer = where === 'outer';
  const more = where !== 'inner' || SUCCESSORS;
  const simple: fc.WeightedArbitrary<Op>[] = [
    { weight: 6, arbitrary: plain },
    { weight: 2, arbitrary: stages },
    { weight: more ? 1 : 0, arbitrary: successors },
  ];
  if (depth === 0) return fc.oneof(...simple);
  const by = inner(depth - 1, where === 'work' ? 'work' : 'inner');
  return fc.oneof(
    ...simple,
    { weight: more ? 1 : 0, arbitrary: fc.record({ kind: kind('concatWith'), by }) },
    { weight: 1, arbitrary: fc.record({ kind: kind('catchError'), at: small, by }) },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: kind('flatten'),
        how: kind('mergeMap', 'mergeMap, 2', 'concatMap', 'switchMap', 'exhaustMap'),
        inners: fc.array(by, { minLength: 1, maxLength: 2 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: kind('poolMap'),
        concurrency: small,
        ordered: fc.boolean(),
        work: fc.oneof<fc.Arbitrary<Work>[]>(fc.constantFrom('now', 'later'), inner(depth - 1, 'work')),
      }),
    },
    {
      weight: outer ? 1 : 0,
      arbitrary: fc.record({
        kind: kind('broadcast', 'route'),
        branches: fc.array(fc.array(op(0, 'inner'), { maxLength: 2 }), { minLength: 2, maxLength: 2 }),
      }),
    },
  );
}

function inner(depth: number, where: 'inner' | 'work'): fc.Arbitrary<Inner> {
  const heads: fc.WeightedArbitrary<Head>[] = [
    { weight: 3, arbitrary: fc.record({ kind: kind('of'), parts: small }) },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: kind('fromPull'),
        parts: fc.integer({ min: 0, max: 3 }),
        everyMs: pace,
        // An acknowledged source needs a stage below it, and finds none in work.
        own: where === 'work' ? fc.constant(false) : fc.nat(5).map((n) => n === 5),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: kind('failing'),
        parts: fc.integer({ min: 0, max: 2 }),
        everyMs: pace,
        then: kind('retry', 'retry later', 'of', 'fromPull'),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: kind('timer'), ms: fc.integer({ min: 0, max: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: kind('empty') }) },
  ];
  if (depth > 0) {
    const both = fc.tuple(inner(depth - 1, where), inner(depth - 1, where));
    heads.push({
      weight: 2,
      arbitrary: fc.record({
        kind: SUCCESSORS || where === 'work' ? kind('merge', 'concat') : kind('merge'),
        inners: both,
      }),
    });
  }
  return fc.record({
    head: fc.oneof(...heads),
    ops: fc.array(op(depth, where), { maxLength: 2 }),
  });
}

const supply = fc.record({
  count: fc.integer({ min: 1, max: 8 }),
  everyMs: pace,
  maxPending: maybe(fc.integer({ min: 1, max: 6 })),
});

/** Random flows. */
export const graphs: fc.Arbitrary<Graph> = fc.record({
  supplies: fc.oneof(
    { weight: 5, arbitrary: fc.array(supply, { minLength: 1, maxLength: 1 }) },
    { weight: 1, arbitrary: fc.array(supply, { minLength: 2, maxLength: 2 }) },
  ),
  joined: kind('merge', 'concat'),
  ops: fc.array(op(2, 'outer'), { minLength: 1, maxLength: 4 }),
  sink: fc.record({
    maxItems: small,
    maxWaitMs: fc.constantFrom(0, 3, 1_000),
    concurrency: fc.integer({ min: 1, max: 2 }),
  }),
  takes: fc.oneof(
    { weight: 6, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 6 }) },
  ),
  strict: fc.nat(4).map((n) => n === 4),
  stop: fc.oneof(
    { weight: 4, arbitrary: fc.constant(undefined) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: kind('drain', 'abort'), atMs: fc.integer({ min: 0, max: 25 }) }),
    },
  ),
});
