import type { Subscriber } from 'rxjs';
import type { Demand } from '../demand/Demand.ts';
import type { ParentItem } from '../demand/ParentItem.ts';
import type { Run } from '../flow/Run.ts';

/** Where a subscriber carries its Demand. An incompatible protocol changes the number. */
export const DEMAND = Symbol.for('sluice.demand/1');

/** Where the end of a chain carries a run that does not count it: inside an item that of the item, of a loop its own. */
export const RUN = Symbol.for('sluice.run/1');

/** Where the last subscriber of an inner stream carries the item of the outer one. */
const PARENT = Symbol.for('sluice.parent/1');

interface ChainLink {
  readonly [PARENT]?: ParentItem;
  readonly [DEMAND]?: Demand;
  readonly [RUN]?: Run | undefined;
  readonly next?: unknown;
  readonly destination?: ChainLink | null;
}

/** By shape and not `instanceof`: two copies of RxJS in one tree have two classes. */
function isLink(candidate: ChainLink | null | undefined): candidate is ChainLink {
  return candidate != null && typeof candidate.next === 'function' && 'destination' in candidate;
}

/** The subscribers from this one down to the last. */
function* chainOf(subscriber: Subscriber<never>): Generator<ChainLink> {
  let link = subscriber as unknown as ChainLink | null | undefined;
  for (; isLink(link); link = link.destination) yield link;
}

/**
 * The nearest Demand below: every RxJS subscriber knows its `destination`. Undefined: nobody below says how much.
 * Walked once, at subscription.
 */
export function demandBelow(subscriber: Subscriber<never>): Demand | undefined {
  for (const { [DEMAND]: demand } of chainOf(subscriber)) if (demand) return demand;
  return undefined;
}

/** The nearest Demand below towards which something is being emitted, by who is still subscribed. */
export function emittingBelow(subscriber: Subscriber<never>): Demand | undefined {
  for (const { [DEMAND]: demand } of chainOf(subscriber)) {
    if (demand && demand.emitting > 0 && demand.emitter?.closed === false) return demand;
  }
  return undefined;
}

/** Notes what an inner stream works on that ends with this subscriber. */
export function setParent(end: Subscriber<never>, parent: ParentItem): void {
  (end as Subscriber<never> & { [PARENT]?: ParentItem })[PARENT] = parent;
}

/** What a subscriber is part of. */
interface Branch {
  /** What the innermost stream works on, of those that somebody works in. */
  readonly parent: ParentItem | undefined;
  /** The subscriber before the one that this stream ends with. */
  readonly above: Subscriber<never> | undefined;
  /** The last one before the chain joins the trunk. Undefined: it does not, or begins on it. */
  readonly end: Subscriber<never> | undefined;
  /** The first one of the trunk. */
  readonly joint: Subscriber<never> | undefined;
}

/** The branch that a chain is, up to that of `trunk`. */
export function branchOf(subscriber: Subscriber<never>, trunk: Subscriber<never> | undefined): Branch {
  let parent: ParentItem | undefined;
  let above: Subscriber<never> | undefined;
  let last: Subscriber<never> | undefined;
  for (const link of chainOf(subscriber)) {
    if (trunk && leadsTo(trunk, link)) return { parent, above, end: last, joint: asSubscriber(link) };
    if (!parent && link[PARENT]?.isOpen) {
      parent = link[PARENT];
      above = last;
    }
    last = asSubscriber(link);
  }
  return { parent, above, end: undefined, joint: undefined };
}

/** Whether a subscriber is being left: it, or one that it leads to, is closed. */
export function isLeft(subscriber: Subscriber<never>): boolean {
  for (const link of chainOf(subscriber)) if (asSubscriber(link).closed) return true;
  return false;
}

function asSubscriber(link: ChainLink): Subscriber<never> {
  return link as unknown as Subscriber<never>;
}

function leadsTo(subscriber: Subscriber<never>, sought: ChainLink): boolean {
  for (const link of chainOf(subscriber)) if (link === sought) return true;
  return false;
}

/** Notes the run that waits for what is closing above the end of a chain, and counts nothing of it. */
export function setRun(end: Subscriber<never>, run: Run): void {
  (end as Subscriber<never> & { [RUN]?: Run })[RUN] = run;
}

/** The run that a subscriber belongs to, be it inside the work of an item, where no Demand leads to it. */
export function runBelow(subscriber: Subscriber<never>): Run | undefined {
  for (const link of chainOf(subscriber)) {
    const run = link[RUN] ?? link[DEMAND]?.owner?.run;
    if (run) return run;
  }
  return undefined;
}

/** What ends the chain below a subscriber that found no Demand, in words for a message. */
export function endOfChain(subscriber: Subscriber<never>): string {
  let link = subscriber as unknown as ChainLink;
  for (link of chainOf(subscriber));
  if (RUN in link) {
    return 'the work of a stage, or at fromPush, where an acknowledged source cannot be; use concatMap or mergeMap, or put storeTo inside the work';
  }
  const last = link.destination as { readonly partialObserver?: object } | null | undefined;
  const observer = last?.partialObserver;
  return observer && 'observers' in observer ? 'a Subject' : 'a plain observer';
}

const OPERATOR_FILE = /internal[\\/](?:operators|observable)[\\/](\w+)\.js/g;
/** Files of RxJS on every stack that say nothing. */
const NO_NAMES = new Set(['OperatorSubscriber', 'mergeInternals', 'innerFrom', 'from']);

/** Names the native operators of a chain, from the stack of its subscription: for messages only, empty in a bundle. */
export const operatorsOnStack = {
  capture(): Error | undefined {
    const limits = Error as { stackTraceLimit?: number };
    const before = limits.stackTraceLimit;
    if (before === undefined) return undefined;
    limits.stackTraceLimit = 100;
    const at = new Error('subscribed here');
    limits.stackTraceLimit = before;
    return at;
  },

  names(at: Error): string[] {
    const found = [...(at.stack ?? '').matchAll(OPERATOR_FILE)].map((match) => match[1] ?? '');
    return [...new Set(found)].filter((name) => !NO_NAMES.has(name)).reverse();
  },
};
