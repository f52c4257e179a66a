import { from, Observable, type ObservableInput, type Subscriber, type Subscription } from 'rxjs';
import { after } from '../clock.ts';
import { Outlet, type Emitter } from '../demand/Outlet.ts';
import { HandedBackError, InvalidOptionError, reasonOf, ScopeEndedError } from '../errors.ts';
import { atLeast, callable } from '../options.ts';
import { Place } from '../demand/Place.ts';
import { demandBelow, runBelow } from '../rx/chain.ts';
import { under } from '../tickets/current.ts';
import type { Ticket } from '../tickets/Ticket.ts';
import { isPromiseLike } from '../work/isPromiseLike.ts';
import { warnOnConsole } from '../warnOnConsole.ts';
import { whenClosed, type Run } from './Run.ts';

/** Something that is closed when it is no longer needed. The first of the three that it has is called. */
export type Resource = AsyncDisposable | Disposable | { close(): unknown };

/** What `open` is given. */
export interface ResourceScope {
  /**
   * Has `resource` closed at the end, after those that are used later: by `close` where it is given, else by what the
   * resource has: `Symbol.asyncDispose`, `Symbol.dispose` or `close()`. Gives it back. Once all has been closed, it closes
   * `resource` at once, and throws `ScopeEndedError`.
   */
  readonly use: {
    <R extends Resource>(resource: R): R;
    <R>(resource: R, close: (resource: R) => unknown): R;
  };
  /** Aborted when the subscription ends: what is only being opened is no longer needed. */
  readonly signal: AbortSignal;
}

export interface WithResourcesOptions {
  /** Milliseconds that closing may take before nobody waits for it any more, in all; 0 or more. @defaultValue 900 */
  readonly closeTimeoutMs?: number;
}

/**
 * Opens resources for each subscription of a flow, and closes them once when it ends, however it ends: RxJS's `using` for
 * what takes time to open and to close.
 *
 *     d       --(D|)
 *     source    ab-c|
 *     output  --ab-c|
 *     closed  ------d
 *     withResources(async ({ use }) => use(await openDatabase()), (db) => source.pipe(storeTo(tableOf(db))))
 *
 * - **Emits when** the flow emits.
 * - **Waits when** the resources are being opened: then it is subscribed to.
 * - **Drops** nothing.
 * - **Completes when** the flow completes. Then the resources are closed, one after another, the last one first, and after
 *   the sources and sinks inside; `runFlow` waits for that.
 * - **Errors when** opening fails, in whole or in part (what was opened is closed), or the flow errors. That closing fails
 *   or takes longer than `closeTimeoutMs` is a warning.
 * - **Unsubscribing** leaves the flow, then closes. Draining while the resources are being opened ends it without the flow.
 *
 * What uses the resources belongs inside, up to the last `storeTo`: what stands below may still work when they are closed.
 * Inside the work of a `poolMap` they are closed when the item's work ends. The run waits for that, and the slot does not.
 *
 * @param open Opens them, and says of each with `use` that it is to be closed. A value or a promise.
 * @param flow Makes the flow of what `open` gave.
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function withResources<R, T>(
  open: (scope: ResourceScope) => R | PromiseLike<R>,
  flow: (resources: R) => ObservableInput<T>,
  options: WithResourcesOptions = {},
): Observable<T> {
  const { closeTimeoutMs = 900 } = options;
  callable('withResources: open', open);
  callable('withResources: flow', flow);
  atLeast('withResources: closeTimeoutMs', closeTimeoutMs, 0);

  const scoped = new Observable<T>((subscriber) => {
    const below = demandBelow(subscriber);
    if (below?.draining && !Place.of(subscriber, below).inner) {
      new Opening(subscriber).endUnderDrain(scoped);
      return;
    }
    const ofItem = below !== undefined && below.owner === undefined;
    const scope = new OpenResources(runBelow(subscriber), ofItem, closeTimeoutMs);
    const start = (resources: R): void => {
      from(flow(resources)).subscribe(subscriber);
    };
    try {
      const opened = under(null, () => open(scope));
      if (isPromiseLike(opened)) {
        const opening = new Opening(subscriber);
        scope.opening = opening.follow(opened, start);
      } else start(opened);
    } catch (error) {
      subscriber.error(error);
    }
    // Last, so that what is inside has been left before.
    subscriber.add(() => {
      scope.end();
    });
  });
  return scoped;
}

/**
 * Stands in the place of the flow while its resources are being opened: completes on drain, and keeps the ticket of the
 * item that it works on, if it stands inside work.
 */
class Opening implements Emitter {
  readonly #subscriber: Subscriber<never>;
  readonly #out: Outlet<never>;
  #ticket: Ticket | undefined;

  constructor(subscriber: Subscriber<never>) {
    this.#subscriber = subscriber;
    this.#out = new Outlet(subscriber, this);
    this.#ticket = this.#out.place.begin(true);
    if (this.#ticket) this.#out.place.end();
    subscriber.add(() => {
      this.#out.detach();
      this.#release(new HandedBackError('withResources', 'the flow was stopped'));
    });
  }

  /** Subscribed while draining: completes, and nothing is opened; the same flow again parks. */
  endUnderDrain(flow: object): void {
    if (this.#out.demand.completesUnderDrain(flow, this.#out)) this.#out.complete();
  }

  /** Calls `start` with what was opened, unless the subscription has ended. Never rejects. */
  async follow<R>(opened: PromiseLike<R>, start: (resources: R) => void): Promise<void> {
    try {
      const resources = await opened;
      if (this.#subscriber.closed) return;
      this.#out.detach();
      const ticket = this.#ticket;
      this.#ticket = undefined; // the flow has it from now on
      under(ticket ?? null, () => {
        start(resources);
      });
      ticket?.release();
    } catch (error) {
      this.fail(error);
    }
  }

  resume(): void {
    // It has nothing to emit.
  }

  urged(): void {
    // It gathers nothing.
  }

  stop(): void {
    this.#out.complete();
  }

  fail(error: unknown): void {
    this.#release(reasonOf(error));
    this.#subscriber.error(error);
  }

  #release(failure?: unknown): void {
    const ticket = this.#ticket;
    this.#ticket = undefined;
    ticket?.release(failure);
  }
}

/** The resources of one subscription. */
class OpenResources implements ResourceScope {
  /** Resolves, and never rejects, when no more of them are to come. */
  opening: Promise<void> | undefined;
  readonly #run: Run | undefined;
  /** Inside the work of an item: others beside it open and close theirs, and none waits for another. */
  readonly #ofItem: boolean;
  readonly #closeTimeoutMs: number;
  readonly #controller = new AbortController();
  readonly #closers: (() => unknown)[] = [];
  /** Nobody looks at `#closers` any more. */
  #over = false;

  constructor(run: Run | undefined, ofItem: boolean, closeTimeoutMs: number) {
    this.#run = run;
    this.#ofItem = ofItem;
    this.#closeTimeoutMs = closeTimeoutMs;
    run?.allowForClosing(closeTimeoutMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly use = <R>(resource: R, close: (resource: R) => unknown = closerOf(resource)): R => {
    callable('withResources: use: close', close);
    if (this.#over) {
      void whenClosed(this.#run, () => close(resource), 'withResources');
      throw new ScopeEndedError();
    }
    this.#closers.push(() => close(resource));
    return resource;
  };

  end(): void {
    this.#controller.abort(new DOMException('The flow has ended', 'AbortError'));
    const run = this.#run;
    const inside = [...(run?.scopes ?? [])];
    const closed = this.#close(inside).finally(() => run?.scopes.delete(closed));
    run?.scopes.add(closed);
  }

  async #close(inside: readonly Promise<unknown>[]): Promise<void> {
    let timer: Subscription | undefined;
    const late = new Promise<void>((resolve) => {
      timer = after(this.#closeTimeoutMs, () => {
        this.#giveUp();
        resolve();
      });
    });
    await Promise.race([this.#closeInOrder(inside), late]);
    timer?.unsubscribe();
  }

  async #closeInOrder(inside: readonly Promise<unknown>[]): Promise<void> {
    const run = this.#run;
    if (run && !this.#ofItem) {
      await new Promise<void>((resolve) => after(0, resolve)); // the end of the run has its sinks closed meanwhile
      await Promise.all([...inside, ...run.closing.keys()]);
    }
    if (this.opening) await this.opening;
    let close: (() => unknown) | undefined;
    while ((close = this.#closers.pop())) await whenClosed(run, close, 'withResources', '');
    this.#over = true;
  }

  /** Has the rest closed at once, and waits for nothing. */
  #giveUp(): void {
    this.#over = true;
    const message = `withResources: closing took longer than ${this.#closeTimeoutMs} ms, and goes on`;
    if (this.#run) this.#run.warn(message);
    else warnOnConsole(message);
    let close: (() => unknown) | undefined;
    while ((close = this.#closers.pop())) void whenClosed(this.#run, close, 'withResources', '');
  }
}

function closerOf(resource: unknown): (resource: unknown) => unknown {
  const { asyncDispose, dispose } = Symbol as Partial<SymbolConstructor>; // absent in some browsers
  const names = [asyncDispose, dispose, 'close'].filter((name) => name !== undefined);
  for (const name of names) {
    const close = (resource as Record<string | symbol, unknown> | null | undefined)?.[name];
    if (typeof close === 'function') return () => close.call(resource) as unknown;
  }
  throw new InvalidOptionError(
    'withResources: use: resource has neither Symbol.asyncDispose nor Symbol.dispose nor close(); say how it is closed',
  );
}
