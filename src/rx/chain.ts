import type { Subscriber } from 'rxjs';
import type { Demand } from '../demand/Demand.ts';
import type { Run } from '../flow/Run.ts';

/** Where a subscriber carries its Demand. An incompatible protocol changes the number. */
export const DEMAND = Symbol.for('sluice.demand/1');

/** Where the end of a chain inside an item carries the run that the item belongs to. */
export const RUN = Symbol.for('sluice.run/1');

interface ChainLink {
  readonly [DEMAND]?: Demand;
  readonly [RUN]?: Run | undefined;
  readonly next?: unknown;
  readonly destination?: ChainLink | null;
}

/** By shape and not `instanceof`: two copies of RxJS in one tree have two classes. */
function isLink(candidate: ChainLink | null | undefined): candidate is ChainLink {
  return candidate != null && typeof candidate.next === 'function' && 'destination' in candidate;
}

/**
 * The nearest Demand below: every RxJS subscriber knows its `destination`. Undefined: nobody below says how much.
 * Walked once, at subscription.
 */
export function demandBelow(subscriber: Subscriber<never>): Demand | undefined {
  let link = subscriber as unknown as ChainLink | null | undefined;
  while (isLink(link)) {
    const demand = link[DEMAND];
    if (demand) return demand;
    link = link.destination;
  }
  return undefined;
}

/** The run that a subscriber belongs to, be it inside the work of an item, where no Demand leads to it. */
export function runBelow(subscriber: Subscriber<never>): Run | undefined {
  let link = subscriber as unknown as ChainLink | null | undefined;
  for (; isLink(link); link = link.destination) {
    const run = link[RUN] ?? link[DEMAND]?.owner?.run;
    if (run) return run;
  }
  return undefined;
}

/** What ends the chain below a subscriber that found no Demand, in words for a message. */
export function endOfChain(subscriber: Subscriber<never>): string {
  let link = subscriber as unknown as ChainLink;
  while (isLink(link.destination)) link = link.destination;
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
