import type { Demand } from '../demand/Demand.ts';
import type { Origins } from '../tickets/Origins.ts';
import type { WorkContext } from './Work.ts';

/** Told of the attempts at an item. */
export interface AttemptWatcher {
  /** The next attempt starts. */
  started(): void;
  /** An attempt has failed, be it tried again or not. */
  failed(error: unknown): void;
  /** Results of the item begin to wait for room below, or no longer wait. */
  blocked(blocked: boolean): void;
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
  /** Attempts made so far, those of forks included. */
  attempts: number;
  /** Debug mode: told of each attempt beyond the first, with the failure of the one before. */
  onRetry: ((attempt: number, error: unknown) => void) | undefined;
  watcher: AttemptWatcher | undefined;
  controller: AbortController | undefined;
  aborted: { readonly reason: unknown } | undefined;
  child: ItemContext | undefined;
  /** What an attempt has failed with, the last that did. */
  failure: unknown;
  /** Results of the item wait for room below. */
  blocked: boolean;
  /** Told when that changes. */
  onBlocked: Set<(blocked: boolean) => void> | undefined;
  readonly stops: Set<() => void>;
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
  declare private readonly parent: ItemContext | undefined;
  declare private live: Live | undefined;

  constructor(index: number, worker: number, slot?: ItemSlot, attempt = 1, parent?: ItemContext) {
    this.index = index;
    this.worker = worker;
    this.attempt = attempt;
    this.slot = slot;
    this.parent = parent;
    this.live = undefined;
  }

  /** Attempts made so far, those of forks included. */
  get attempts(): number {
    return this.live?.attempts ?? this.attempt;
  }

  /** The first attempt begins. */
  begin(at: number): void {
    if (this.slot !== undefined) this.slot.startedAt = at;
  }

  /** Debug mode: `told` hears of each attempt beyond the first, and what the one before failed with. */
  watchRetries(told: (attempt: number, error: unknown) => void): void {
    this.#state().onRetry = told;
  }

  /** `watcher` hears of each attempt beyond the first that starts, and of each that fails. */
  watchAttempts(watcher: AttemptWatcher): void {
    this.#state().watcher = watcher;
  }

  /** The attempt at work has failed. */
  attemptFailed(error: unknown): void {
    const { live } = this;
    if (live) live.failure = error;
    live?.watcher?.failed(error);
    this.parent?.attemptFailed(error);
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
    const child = new ItemContext(this.index, this.worker, this.slot, attempt, this);
    live.child = child;
    if (live.aborted) child.abort(live.aborted.reason);
    child.#count(attempt);
    return child;
  }

  /** The same for a further attempt, with the next number: of all attempts at the item, whichever wrapper makes them. */
  again(): ItemContext {
    return this.fork(this.#root().attempts + 1);
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
    live.watcher?.blocked(blocked);
    for (const tell of live.onBlocked ?? []) tell(blocked);
  }

  /** Calls `tell` when results of the item begin to wait, or at once, and when they no longer do; the result ends it. */
  whenBlocked(tell: (blocked: boolean) => void): () => void {
    const live = this.#root().#state();
    const told = (live.onBlocked ??= new Set());
    told.add(tell);
    if (live.blocked) tell(true);
    return () => {
      told.delete(tell);
    };
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

  #root(): ItemContext {
    return this.parent ? this.parent.#root() : this;
  }

  #state(): Live {
    return (this.live ??= this.#come());
  }

  /** It comes to hold something: the slot learns of it, if the item is still there. */
  #come(): Live {
    const slot = this.parent === undefined && this.slot?.index === this.index ? this.slot : undefined;
    if (slot) slot.context = this;
    return {
      attempts: this.attempt,
      onRetry: undefined,
      watcher: undefined,
      controller: undefined,
      aborted: slot?.abandoned,
      child: undefined,
      failure: undefined,
      blocked: false,
      onBlocked: undefined,
      stops: new Set(),
    };
  }

  #count(attempt: number): void {
    const live = this.#state();
    if (attempt > live.attempts) {
      live.attempts = attempt;
      live.onRetry?.(attempt, live.failure);
      live.watcher?.started();
    }
    if (this.parent) this.parent.#count(attempt);
  }
}
