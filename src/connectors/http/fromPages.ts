import type { Observable } from 'rxjs';
import { fromPull } from '../../demand/fromPull.ts';
import { PageError } from '../../errors.ts';
import { callable, nonEmpty, wholeNumber } from '../../options.ts';
import { checkPolicy, type RetryPolicy } from '../../retry/RetryPolicy.ts';
import { withRetry } from '../../work/withRetry.ts';
import type { WorkContext } from '../../work/Work.ts';

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
}

/** A place between two items, to go on from. It may be kept as JSON, where the place of a page may. */
export interface PagePosition<P> {
  /** Where the page is. */
  readonly at: P;
  /** Items from its beginning on that are before the place. */
  readonly skip: number;
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
  /** Name in messages. @defaultValue 'fromPages' */
  readonly name?: string;
}

export interface ReadPagesOptions<P> extends FromPagesOptions<P> {
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
 * Its items carry no position. Where a flow is to go on after a restart, give `readPages` to a checkpoint, whose cursor
 * is the `resumeAt` of an item.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function fromPages<T, P>(plan: PagePlan<T, P>, options: FromPagesOptions<P> = {}): Observable<T> {
  checkOptions('fromPages', plan, options);
  const { name = 'fromPages' } = options;
  return fromPull((signal) => valuesOf(readPages(plan, { ...options, signal })), { name });
}

/**
 * Reads the same, each item with the place after it. The place stays true where pages come to be of another size. A
 * checkpoint compares places as well: by `linkPages` and `cursorPages` the place of an item depends on the size, so drain
 * the flow before you change it, or the checkpoint may take it for another input (`CheckpointMismatchError`).
 *
 *     const { cursor: from } = point;
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
  let { at, skip } = from ?? { at: plan.first, skip: 0 };
  for (let index = 0; ; index++) {
    const { items, next } = checked(await read(at, { index, worker: 0, attempt: 1, signal }), at);
    for (let i = skip; i < items.length; i++) {
      const isLast = i === items.length - 1 && next !== undefined;
      yield { value: items[i]!, resumeAt: isLast ? { at: next, skip: 0 } : placeIn(plan, at, i + 1) };
    }
    if (next === undefined) return undefined;
    // Where pages have become smaller, what is to be skipped goes on in the next one.
    skip = Math.max(0, skip - items.length);
    at = next;
  }
}

/** The place in a page, or at its end. */
function placeIn<P>({ after }: Pick<PagePlan<unknown, P>, 'after'>, at: P, items: number): PagePosition<P> {
  return after === undefined ? { at, skip: items } : { at: after(at, items), skip: 0 };
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
  plan: { readonly read?: unknown; readonly after?: unknown } | undefined,
  { retry, from, name = 'fromPages' }: FromPagesOptions<unknown>,
): void {
  callable(`${operator}: plan.read`, plan?.read);
  if (plan?.after !== undefined) callable(`${operator}: plan.after`, plan.after);
  if (retry !== undefined) checkPolicy(`${operator}: retry`, retry);
  if (from !== undefined) wholeNumber(`${operator}: from.skip`, from.skip, 0);
  nonEmpty(`${operator}: name`, name);
}
