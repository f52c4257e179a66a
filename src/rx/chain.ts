import type { Subscriber } from 'rxjs';
import type { Demand } from '../demand/Demand.ts';
import type { InnerStream } from '../demand/Place.ts';
import type { Run } from '../flow/Run.ts';

/** Where a subscriber carries its Demand. An incompatible protocol changes the number. */
export const DEMAND = Symbol.for('sluice.demand/1');

/** Where the end of a chain carries a run that does not count it: inside an item that of the item, of a loop its own. */
export const RUN = Symbol.for('sluice.run/1');

/** Where the last subscriber of an inner stream carries what is known of that. */
const STREAM = Symbol.for('sluice.stream/1');

/** Where a subscriber remembers how it ended. */
const ENDING = Symbol('sluice.ending');

interface ChainLink {
  readonly [STREAM]?: InnerStream;
  readonly [DEMAND]?: Demand;
  readonly [RUN]?: Run | undefined;
  readonly [ENDING]?: 'complete' | 'error' | undefined;
  readonly next?: unknown;
  readonly destination?: ChainLink | null;
}

/** By shape and not `instanceof`: two copies of RxJS in one tree have two classes. */
function isLink(candidate: ChainLink | null | undefined): candidate is ChainLink {
  return candidate != null && typeof candidate.next === 'function' && 'destination' in candidate;
}

function asLink(subscriber: Subscriber<never>): ChainLink {
  return subscriber as unknown as ChainLink;
}

/** The next one down. No generator: every subscription walks down its chain. */
function below({ destination }: ChainLink): ChainLink | undefined {
  return isLink(destination) ? destination : undefined;
}

/**
 * The nearest Demand below: every RxJS subscriber knows its `destination`. Undefined: nobody below says how much.
 * Walked once, at subscription.
 */
export function demandBelow(subscriber: Subscriber<never>): Demand | undefined {
  for (let link: ChainLink | undefined = asLink(subscriber); link; link = below(link)) {
    if (link[DEMAND]) return link[DEMAND];
  }
  return undefined;
}

/** The nearest Demand below towards which something is being emitted. */
export function emittingBelow(subscriber: Subscriber<never>): Demand | undefined {
  for (let link: ChainLink | undefined = asLink(subscriber); link; link = below(link)) {
    const demand = link[DEMAND];
    if (demand && demand.emitting > 0) return demand;
  }
  return undefined;
}

/** Notes what inner stream ends with a subscriber, for what is subscribed in it later. */
export function setStream(end: Subscriber<never>, stream: InnerStream): void {
  (end as Subscriber<never> & { [STREAM]?: InnerStream })[STREAM] = stream;
}

/** The inner stream that ends with a subscriber, if that is known. */
export function streamOf(end: Subscriber<never>): InnerStream | undefined {
  return asLink(end)[STREAM];
}

/** The innermost stream that is known, of those that a subscriber is in. */
export function streamBelow(subscriber: Subscriber<never>): InnerStream | undefined {
  for (let link: ChainLink | undefined = asLink(subscriber); link; link = below(link)) {
    if (link[STREAM]) return link[STREAM];
  }
  return undefined;
}

/** Where a chain joins another, which goes on there. */
export interface Junction {
  /** Its own last subscriber. Undefined: it begins on the other. */
  readonly end: Subscriber<never> | undefined;
  /** The first one that both have. */
  readonly joint: Subscriber<never>;
}

/** Undefined: they have nothing in common; or the other was left, and is no chain any more. */
export function junctionOf(subscriber: Subscriber<never>, other: Subscriber<never>): Junction | undefined {
  return firstOf(subscriber, (link) => {
    for (let trunk: ChainLink | undefined = asLink(other); trunk; trunk = below(trunk)) {
      if (trunk === link) return true;
    }
    return false;
  });
}

/** The first subscriber of a chain that is sought, and the one before it. */
export function firstOf(
  subscriber: Subscriber<never>,
  isSought: (link: unknown) => boolean,
): Junction | undefined {
  let end: ChainLink | undefined;
  for (let link: ChainLink | undefined = asLink(subscriber); link; link = below(link)) {
    if (isSought(link)) return { end, joint: link } as unknown as Junction;
    end = link;
  }
  return undefined;
}

/** How a chain below ended. To be asked while it is left: afterwards all of it is closed alike. */
export interface Endings {
  /** One has completed, and none has failed: `take` has had enough, say. */
  readonly completed: boolean;
  /** One has failed, be it that `retry` or `catchError` goes on below it. */
  readonly failed: boolean;
}

/** Has subscribers remember from now on how they end: all that are below, or those down to the nearest Demand. */
export function endingsBelow(subscriber: Subscriber<never>, reach: 'all' | 'demand'): Endings {
  const links: ChainLink[] = [];
  for (let link: ChainLink | undefined = asLink(subscriber); link; link = below(link)) {
    links.push(noted(link));
    if (link[DEMAND] && reach === 'demand') break;
  }
  const some = (how: 'complete' | 'error'): boolean => links.some((link) => link[ENDING] === how);
  return {
    get completed() {
      return some('complete') && !some('error');
    },
    get failed() {
      return some('error');
    },
  };
}

/** The same link, which remembers from now on how it ended. Once, however many are subscribed above it, one after the other. */
function noted(link: ChainLink): ChainLink {
  if (ENDING in link) return link;
  const subscriber = link as unknown as Subscriber<never> & {
    [ENDING]?: 'complete' | 'error' | undefined;
  };
  subscriber[ENDING] = undefined;
  for (const how of ['complete', 'error'] as const) {
    const ends = (subscriber[how] as (error?: unknown) => void).bind(subscriber);
    subscriber[how] = (error?: unknown) => {
      if (!subscriber.closed) subscriber[ENDING] ??= how;
      ends(error);
    };
  }
  return link;
}

/** Notes the run that waits for what is closing above the end of a chain, and counts nothing of it. */
export function setRun(end: Subscriber<never>, run: Run): void {
  (end as Subscriber<never> & { [RUN]?: Run })[RUN] = run;
}

/** The run that a subscriber belongs to, be it inside the work of an item, where no Demand leads to it. */
export function runBelow(subscriber: Subscriber<never>): Run | undefined {
  for (let link: ChainLink | undefined = asLink(subscriber); link; link = below(link)) {
    const run = link[RUN] ?? link[DEMAND]?.owner?.run;
    if (run) return run;
  }
  return undefined;
}

/** What ends the chain below a subscriber that found no Demand, in words for a message. */
export function endOfChain(subscriber: Subscriber<never>): string {
  let link = asLink(subscriber);
  for (let next = below(link); next; next = below(next)) link = next;
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
