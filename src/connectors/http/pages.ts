import { PageError } from '../../errors.ts';
import { callable, wholeNumber } from '../../options.ts';
import { atOnce } from '../../work/isPromiseLike.ts';
import type { HttpConnections } from './connections.ts';
import type { PagePlan } from './fromPages.ts';
import { linksOf } from './links.ts';
import type { PageKey } from './PagePosition.ts';
import { requestOf, type HttpTarget } from './target.ts';

interface KeyOptions<T> {
  /** What tells an item from all others, so that reading goes on after that very item. @defaultValue items are counted */
  readonly keyOf?: (item: T) => PageKey;
}

function keysBy<T>(plan: string, keyOf: KeyOptions<T>['keyOf']): KeyOptions<T> {
  if (keyOf === undefined) return {};
  callable(`${plan}: keyOf`, keyOf);
  return { keyOf };
}

export interface LinkPagesOptions<T, B> extends KeyOptions<T> {
  /** The items of an answer. @defaultValue the answer itself, which is an array */
  readonly items?: (body: B) => readonly T[];
}

/**
 * Pages of which each names the next one in its header `Link: <…>; rel="next"` (RFC 8288). A place is an address.
 *
 * The headers of `target`, credentials included, go along; so a next page on another origin is a `PageError`, as is a header
 * that cannot be read: it may have a next page.
 */
export function linkPages<T, B = readonly T[]>(
  http: HttpConnections,
  target: HttpTarget,
  { items = (body) => body as readonly T[], keyOf }: LinkPagesOptions<T, B> = {},
): PagePlan<T, string> {
  callable('linkPages: items', items);
  const keys = keysBy('linkPages', keyOf);
  const request = requestOf(target);
  const ask = http.answer<B, string>((url) => ({ ...request, url }));
  return {
    ...keys,
    first: String(request.url),
    read: async (at, context) => {
      const { headers, body } = await ask(at, context);
      return { items: items(body), next: nextLink(headers['link'], at) };
    },
  };
}

/** The address that the header calls `next`. */
function nextLink(header: string | string[] | undefined, base: string): string | undefined {
  const links = linksOf(String(header ?? ''));
  // Not the end: the next page may be in there.
  if (!links) throw new PageError('linkPages: the header Link of an answer cannot be read');
  const next = links.find(({ relations }) => relations.includes('next'));
  if (!next) return undefined;
  const url = URL.parse(next.reference, base);
  const { origin } = new URL(base);
  if (url?.origin !== origin) {
    throw new PageError(`linkPages: the next page of ${origin} is on another origin; ask that one directly`);
  }
  return url.href;
}

export interface CursorPagesOptions<T, B> extends KeyOptions<T> {
  /** What to ask for; `undefined` is for the first page. */
  readonly target: (cursor: string | undefined) => HttpTarget;
  /** The items of an answer. */
  readonly items: (body: B) => readonly T[];
  /** The cursor of the next page in an answer; none, or an empty one, in that of the last page. */
  readonly next: (body: B) => string | number | null | undefined;
}

/**
 * Pages of which each has the cursor of the next one in its body. A place is a cursor; `''` is the first page. A cursor must
 * mean the same whatever the size of pages is: where it is the number of a page, use `numberedPages`.
 */
export function cursorPages<T, B>(
  http: HttpConnections,
  { target, items, next, keyOf }: CursorPagesOptions<T, B>,
): PagePlan<T, string> {
  callable('cursorPages: target', target);
  callable('cursorPages: items', items);
  callable('cursorPages: next', next);
  const keys = keysBy('cursorPages', keyOf);
  const ask = http.json<B, string>((cursor) => target(cursor === '' ? undefined : cursor));
  return {
    ...keys,
    first: '',
    read: async (at, context) => {
      const body = await ask(at, context);
      const cursor = String(atOnce('cursorPages', 'next', next(body)) ?? '');
      return { items: items(body), next: cursor === '' ? undefined : cursor };
    },
  };
}

export interface NumberedPagesOptions<T, B> extends KeyOptions<T> {
  /** What to ask for. */
  readonly target: (page: number, size: number) => HttpTarget;
  /** Items of a page: what is asked for, and what comes, but for the last page. Whole number, 1 or more. */
  readonly size: number;
  /** The number of the first page. Whole number, 0 or more. @defaultValue 1 */
  readonly firstPage?: number;
  /** The items of an answer. @defaultValue the answer itself, which is an array */
  readonly items?: (body: B) => readonly T[];
}

/**
 * Pages by number. A place is how many items are before it: so it stays true where `size` is another one after a restart.
 *
 * The end is the page after which there is an empty one; a server that gives smaller pages than it is asked for is a
 * `PageError`, and no end. Where items before a place are removed or inserted while pages are read, page numbers cannot
 * tell: use cursors.
 */
export function numberedPages<T, B = readonly T[]>(
  http: HttpConnections,
  { target, size, firstPage = 1, items = (body) => body as readonly T[], keyOf }: NumberedPagesOptions<T, B>,
): PagePlan<T, number> {
  callable('numberedPages: target', target);
  wholeNumber('numberedPages: size', size, 1);
  wholeNumber('numberedPages: firstPage', firstPage, 0);
  callable('numberedPages: items', items);
  const keys = keysBy('numberedPages', keyOf);
  const ask = http.json<B, number>((page) => target(firstPage + page, size));
  return {
    ...keys,
    first: 0,
    read: async (at, context) => {
      const page = Math.floor(at / size);
      const pageOf = async (number: number): Promise<readonly T[]> => items(await ask(number, context));
      let all = await pageOf(page);
      // A page that is not full is the last one, unless the next one has items: then it has filled up meanwhile.
      const isLast = all.length < size && (all.length === 0 || (await pageOf(page + 1)).length === 0);
      if (all.length < size && !isLast) all = await pageOf(page);
      if (all.length > size || (all.length < size && !isLast)) {
        throw new PageError(
          `numberedPages: pages of ${size} items were asked for, and one of ${all.length} came`,
        );
      }
      return { items: all.slice(at % size), next: isLast ? undefined : (page + 1) * size };
    },
    after: (at, count) => at + count,
  };
}
