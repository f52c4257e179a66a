import type { Demand } from '../demand/Demand.ts';
import type { Origins } from '../tickets/Origins.ts';
import type { WorkContext } from './Work.ts';

/** Told of an item while it is worked on. */
export interface ItemWatcher {
  /** An attempt beyond the first starts; `error`: what the one before failed with. */
  started?(attempt: number, error: unknown): void;
  /** An attempt has failed, be it tried again or not. */
  failed?(error: unknown): void;
  /** Results of the item begin to wait for room below, or for their turn; or no longer wait. */
  blocked?(blocked: boolean): void;
}

/** Where an item is worked on. It learns of the item's context only once that holds something: most never do. */
export interface ItemSlot {
  readonly demand: Demand;
  /** Of the item that is in it now. */
  readonly index: number;
  /** Why its item was given up. */
  readonly abandoned: { readonly reason: unknown } | undefined;
  context: ItemContext | undefined;
  /** When its first attempt began. Noted only where a dead letter may have to tell it. */
  startedAt: number;
}

/** What a context holds only once somebody asks for it: most items never do. */
interface Live {
  controller: AbortController | undefined;
  aborted: { readonly reason: unknown } | undefined;
  child: ItemContext | undefined;
  readonly stops: Set<() => void>;
  // Of the item as a whole, so of the root only.
  /** Attempts made so far. */
  attempts: number;
  /** What an attempt has failed with, the last that did. */
  failure: unknown;
  /** Results of the item wait for room below. */
  blocked: boolean;
  watchers: Set<ItemWatcher> | undefined;
}

/**
 * What work is told of its item. Wrappers fork it: one context an attempt, each with a signal of its own. Aborting goes
 * down from parent to child by a field, so that no listener hangs on a signal that lives longer.
 */
export class ItemContext implements WorkContext {
  // One is made for every item: fields that are declared only, and set in the constructor, cost it no second step.
  declare readonly index: number;
  declare readonly worker: number;
  declare readonly attempt: number;
  /** Only of a batch from an acknowledged source. */
  declare origins?: Origins;
  declare private readonly slot: ItemSlot | undefined;
  /** The one that the item began with, from which all others were forked. */
  declare private readonly root: ItemContext;
  declare private live: Live | undefined;

  constructor(index: number, worker: number, slot?: ItemSlot, attempt = 1, root?: ItemContext) {
    this.index = index;
    this.worker = worker;
    this.attempt = attempt;
    this.slot = slot;
    this.root = root ?? this;
    this.live = undefined;
  }

  /** Attempts at the item made so far, whichever wrapper made them. */
  get attempts(): number {
    return this.root.live?.attempts ?? 1;
  }

  /** The first attempt begins. */
  begin(at: number): void {
    if (this.slot !== undefined) this.slot.startedAt = at;
  }

  /** Tells `watcher` of the item, also at once where its results wait already; the result ends it. */
  watch(watcher: ItemWatcher): () => void {
    const live = this.root.#state();
    const watchers = (live.watchers ??= new Set());
    watchers.add(watcher);
    if (live.blocked) watcher.blocked?.(true);
    return () => {
      watchers.delete(watcher);
    };
  }

  /** The attempt at work has failed. */
  attemptFailed(error: unknown): void {
    const live = this.root.#state();
    live.failure = error;
    for (const watcher of live.watchers ?? []) watcher.failed?.(error);
  }

  get signal(): AbortSignal {
    const live = this.#state();
    if (!live.controller) {
      live.controller = new AbortController();
      if (live.aborted) live.controller.abort(live.aborted.reason);
    }
    return live.controller.signal;
  }

  /** A context for the same item with a signal of its own, aborted with this one. */
  fork(attempt = this.attempt): ItemContext {
    const live = this.#state();
    const child = new ItemContext(this.index, this.worker, this.slot, attempt, this.root);
    live.child = child;
    if (live.aborted) child.abort(live.aborted.reason);
    this.root.#count(attempt);
    return child;
  }

  /** The same for a further attempt, with the next number: of all attempts at the item, whichever wrapper makes them. */
  again(): ItemContext {
    return this.fork(this.attempts + 1);
  }

  abort(reason: unknown): void {
    const live = this.#state();
    if (live.aborted) return;
    live.aborted = { reason };
    live.controller?.abort(reason);
    live.child?.abort(reason);
    for (const stop of [...live.stops]) stop();
  }

  /** Results of the item wait for room below, or for their turn; or no longer. */
  block(blocked: boolean): void {
    const { live } = this;
    if (!live || live.blocked === blocked) return;
    live.blocked = blocked;
    for (const watcher of live.watchers ?? []) watcher.blocked?.(blocked);
  }

  /** Calls `stop` when the item is aborted, or at once, but not for draining; the result cancels it. */
  whenAborted(stop: () => void): () => void {
    const { aborted, stops } = this.#state();
    if (aborted) {
      stop();
      return () => undefined;
    }
    stops.add(stop);
    return () => {
      stops.delete(stop);
    };
  }

  /** Calls `stop` when draining begins or the item is aborted, or at once; the result cancels it. */
  whenStopping(stop: () => void): () => void {
    const forget = this.whenAborted(stop);
    if (this.live?.aborted) return forget;
    const forgetDraining = this.slot?.demand.whenDraining(stop);
    return () => {
      forget();
      forgetDraining?.();
    };
  }

  /**
   * Runs `wrapper` with the context that a wrapper of work was called with. Where that is not one of ours (work called
   * without a pool), one is made and linked to its signal for as long as the wrapper takes.
   */
  static with<R>(context: WorkContext | undefined, wrapper: (item: ItemContext, done: () => void) => R): R {
    if (context instanceof ItemContext) return wrapper(context, () => undefined);
    const item = new ItemContext(context?.index ?? 0, context?.worker ?? 0);
    const signal = context?.signal;
    const abort = (): void => {
      item.abort(signal?.reason);
    };
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    const unlink = (): void => {
      signal?.removeEventListener('abort', abort);
    };
    try {
      return wrapper(item, unlink);
    } catch (error) {
      unlink();
      throw error;
    }
  }

  #state(): Live {
    return (this.live ??= this.#come());
  }

  /** It comes to hold something: the slot learns of it, if the item is still there. */
  #come(): Live {
    const slot = this.root === this && this.slot?.index === this.index ? this.slot : undefined;
    if (slot) slot.context = this;
    return {
      controller: undefined,
      aborted: slot?.abandoned,
      child: undefined,
      stops: new Set(),
      attempts: this.attempt,
      failure: undefined,
      blocked: false,
      watchers: undefined,
    };
  }

  /** An attempt starts: a further one, or one that stands for the same, of a wrapper inside another. */
  #count(attempt: number): void {
    const live = this.#state();
    if (attempt <= live.attempts) return;
    live.attempts = attempt;
    for (const watcher of live.watchers ?? []) watcher.started?.(attempt, live.failure);
  }
}
