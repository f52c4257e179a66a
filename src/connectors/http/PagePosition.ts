import { PageError } from '../../errors.ts';
import type { Page, PagePlan } from './fromPages.ts';

export type PageKey = string | number;

/** A place between two items, to go on from. It may be kept as JSON, where the place of a page may. */
export interface PagePosition<P> {
  /** Where the page is. */
  readonly at: P;
  /** Items from its beginning on that are before the place. */
  readonly skip: number;
  /** Items of that page, which must be as many again; of the last page, that many or more. Absent: not looked at. */
  readonly items?: number;
  /** No page came after that one. */
  readonly isLast?: true;
  /** The key of the item before the place. */
  readonly key?: PageKey;
}

/** The index of the first item behind the place; `undefined`: it is on a page that follows. */
export function startIn<T, P>(
  { keyOf }: PagePlan<T, P>,
  { items }: Page<T, P>,
  place: PagePosition<P>,
): number | undefined {
  if (place.key !== undefined && keyOf !== undefined) {
    const before = items.findIndex((item) => keyOf(item) === place.key);
    return before < 0 ? undefined : before + 1;
  }
  if (place.skip > items.length || !isAsItWas(place, items.length)) throw new PageError(otherPages);
  return place.skip;
}

const otherPages =
  'fromPages: the page to go on in has not as many items as it had, so what is done of it cannot be told; go back to the ' +
  'size of pages that it had; a plan with a keyOf from its first run on can go on with any size';

/** Whether the page of a place may be the same one, now that it has so many items. The last one may have grown. */
function isAsItWas({ items, isLast }: PagePosition<unknown>, itemsNow: number | undefined): boolean {
  return items === itemsNow || items === undefined || (isLast === true && items < (itemsNow ?? 0));
}

/** The place after the item at an index of a page. */
export function placeAfter<T, P>(
  { after, keyOf }: PagePlan<T, P>,
  { at, items, next }: Page<T, P> & { readonly at: P },
  index: number,
): PagePosition<P> {
  const key = keyOf && { key: checkedKey(keyOf(items[index]!)) };
  // With a key it is behind an item, so that this is looked for; without one, before the next, if that is anywhere.
  if (!key && index === items.length - 1 && next !== undefined) return { at: next, skip: 0 };
  if (after) return key ? { at: after(at, index), skip: 1, ...key } : { at: after(at, index + 1), skip: 0 };
  const last = next === undefined ? { isLast: true as const } : {};
  return { at, skip: index + 1, items: items.length, ...last, ...key };
}

/** Whether two places are behind the same item. Without keys only the same pages can say so. */
export function isSamePlace<P>(known: PagePosition<P>, found: PagePosition<P>): boolean {
  if (known.key !== undefined && found.key !== undefined) return known.key === found.key;
  const isSame = known.skip === found.skip && JSON.stringify(known.at) === JSON.stringify(found.at);
  if (isSame && isAsItWas(known, found.items)) return true;
  throw new PageError(otherPages);
}

function checkedKey(key: unknown): PageKey {
  if (typeof key === 'string' || Number.isFinite(key)) return key as PageKey;
  throw new PageError('fromPages: keyOf must give a string or a finite number');
}
