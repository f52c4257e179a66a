import { map, type Observable } from 'rxjs';
import type { SourceCheckpoint } from '../../checkpoint/checkpointedSource.ts';
import { fromPull } from '../../demand/fromPull.ts';
import { InvalidOptionError, PageError } from '../../errors.ts';
import { callable, nonEmpty, wholeNumber } from '../../options.ts';
import { checkPolicy, type RetryPolicy } from '../../retry/RetryPolicy.ts';
import { withRetry } from '../../work/withRetry.ts';
import type { WorkContext } from '../../work/Work.ts';
import { isSamePlace, placeAfter, startIn, type PageKey, type PagePosition } from './PagePosition.ts';

/** Some items, and where the others are. */
export interface Page<T, P> {
  readonly items: readonly T[];
  /** Where the next page is; `undefined` after the last one. */
  readonly next: P | undefined;
}

/** How to read something page by page: `linkPages`, `cursorPages`, `numberedPages`, or your own. */
export interface PagePlan<T, P> {
  /** Where the first page is. */
  readonly first: P;
  /** Reads the page at that place. Work as for `poolMap`: it may be wrapped in `withTimeout`, say. */
  readonly read: (at: P, context: WorkContext) => Promise<Page<T, P>>;
  /**
   * The place that many items after `at`, for a plan that can read from any item on. Then the place of an item is the same
   * whatever the size of pages is. @defaultValue places are pages, and items in them are counted
   */
  readonly after?: (at: P, items: number) => P;
  /**
   * What tells an item from all others and stays the same. With it, reading goes on after that very item, on whatever page
   * it has come to be. @defaultValue nothing: items are counted
   */
  readonly keyOf?: (item: T) => PageKey;
}

/** An item, and where to go on after it. */
export interface PagedItem<T, P> {
  readonly value: T;
  readonly resumeAt: PagePosition<P>;
}

export interface FromPagesOptions<P> {
  /** When to read a page again that failed. @defaultValue never */
  readonly retry?: RetryPolicy;
  /** Where to begin: the `resumeAt` of the last item that is done. @defaultValue at the first page */
  readonly from?: PagePosition<P>;
  /** Keeps how far it has got, and where to go on after a restart. @defaultValue nothing does */
  readonly checkpoint?: SourceCheckpoint;
  /** Name in messages. @defaultValue 'fromPages' */
  readonly name?: string;
}

export interface ReadPagesOptions<P> extends Omit<FromPagesOptions<P>, 'checkpoint'> {
  /** Ends it, also while a page is being read. */
  readonly signal?: AbortSignal;
}

/**
 * Emits the items of pages, one page after the other, each read when the items before it are taken.
 *
 *     const orders = fromPages(linkPages<Order>(http, 'https://api.example/orders'), { retry: delays([1_000, 5_000]) });
 *
 * - **Emits when** an item is there and the stage below has room.
 * - **Waits when** the stage below is full: one page at most is in memory.
 * - **Drops** nothing.
 * - **Completes when** there is no next page, or draining begins.
 * - **Errors when** a page cannot be read, and `retry` gives up: with the items before it emitted, none of it, and
 *   nothing lost: `from` goes on there. A plan that cannot go on without a gap is a `PageError`.
 * - **Unsubscribing** aborts the request that is under way. Each subscription begins anew.
 *
 * With a `checkpoint` it goes on after a restart where it had come to. If the plan has `keyOf`, that is after the very item,
 * whatever the size of pages is by then, and whatever was inserted before; if the item is gone, it is a `PageError`. Without
 * it, items are counted from the beginning of their page, so keep the size of pages: a page that has not as many items as it
 * had is a `PageError`. By `numberedPages` items are counted from the first, and the size may change.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function fromPages<T, P>(plan: PagePlan<T, P>, options: FromPagesOptions<P> = {}): Observable<T> {
  checkOptions('fromPages', plan, options);
  const { checkpoint, name = 'fromPages', ...rest } = options;
  if (checkpoint === undefined) {
    return fromPull((signal) => valuesOf(readPages(plan, { ...rest, signal })), { name });
  }
  if (rest.from !== undefined) throw new InvalidOptionError('fromPages: from is what the checkpoint says');
  const source = checkpoint.source<PagedItem<T, P>, PagePosition<P>>(
    ({ cursor: from }, signal) => readPages(plan, { ...rest, ...(from && { from }), signal }),
    { name, cursor: ({ resumeAt }) => resumeAt, isSame: isSamePlace },
  );
  return source.pipe(map(({ value }) => value));
}

/**
 * Reads the same, each item with the place after it.
 *
 *     for await (const { value, resumeAt } of readPages(plan, { from })) { … }
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function readPages<T, P>(
  plan: PagePlan<T, P>,
  options: ReadPagesOptions<P> = {},
): AsyncIterableIterator<PagedItem<T, P>> {
  checkOptions('readPages', plan, options);
  return pagedItems(plan, options);
}

async function* pagedItems<T, P>(
  plan: PagePlan<T, P>,
  { retry, from, signal = new AbortController().signal }: ReadPagesOptions<P>,
): AsyncGenerator<PagedItem<T, P>, undefined> {
  const read = retry === undefined ? plan.read : withRetry(plan.read, retry);
  let at = from === undefined ? plan.first : from.at;
  let place = from?.skip === 0 ? undefined : from;
  for (let index = 0; ; index++) {
    const page = { ...checked(await read(at, { index, worker: 0, attempt: 1, signal }), at), at };
    const { items, next } = page;
    const start = place === undefined ? 0 : startIn(plan, page, place);
    if (start !== undefined) place = undefined;
    for (let i = start ?? items.length; i < items.length; i++) {
      yield { value: items[i]!, resumeAt: placeAfter(plan, page, i) };
    }
    if (next === undefined) break;
    at = next;
  }
  if (place !== undefined) {
    throw new PageError('fromPages: the item to go on after is not there any more; say where else to begin');
  }
  return undefined;
}

async function* valuesOf<T, P>(items: AsyncIterable<PagedItem<T, P>>): AsyncGenerator<T> {
  for await (const { value } of items) yield value;
}

/** What a function of the user's has made of an answer may be anything. */
function checked<T, P>(page: Page<T, P>, at: P): Page<T, P> {
  if (!Array.isArray(page.items)) throw new PageError('fromPages: the items of a page must be an array');
  if (page.next === at) throw new PageError('fromPages: the next page is the same page again');
  return page;
}

function checkOptions(
  operator: string,
  plan: { readonly read?: unknown; readonly after?: unknown; readonly keyOf?: unknown } | undefined,
  { retry, from, name = 'fromPages' }: FromPagesOptions<unknown>,
): void {
  callable(`${operator}: plan.read`, plan?.read);
  if (plan?.after !== undefined) callable(`${operator}: plan.after`, plan.after);
  if (plan?.keyOf !== undefined) callable(`${operator}: plan.keyOf`, plan.keyOf);
  if (retry !== undefined) checkPolicy(`${operator}: retry`, retry);
  if (from !== undefined) wholeNumber(`${operator}: from.skip`, from.skip, 0);
  nonEmpty(`${operator}: name`, name);
}
