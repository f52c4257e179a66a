import { Subscriber } from 'rxjs';

/** What an operator written by hand does with each notification; one without a handler passes on. */
export interface LinkObserver<T> {
  readonly next?: (value: T) => void;
  readonly error?: (error: unknown) => void;
  readonly complete?: () => void;
}

/**
 * A subscriber for an operator written by hand that keeps the chain to `destination`, so that demand and tickets pass
 * through it. A plain observer would cut it: `source.subscribe(link(destination, { next: … }))`. A handler that throws
 * errors the stream.
 */
export function link<T, R>(destination: Subscriber<R>, observer: LinkObserver<T> = {}): Subscriber<T> {
  return new Link(destination, observer);
}

class Link<T, R> extends Subscriber<T> {
  readonly #below: Subscriber<R>;
  readonly #observer: LinkObserver<T>;

  constructor(destination: Subscriber<R>, observer: LinkObserver<T>) {
    super(destination as Subscriber<never>);
    this.#below = destination;
    this.#observer = observer;
  }

  protected override _next(value: T): void {
    const { next } = this.#observer;
    if (!next) {
      super._next(value);
      return;
    }
    try {
      next(value);
    } catch (error) {
      this.#below.error(error);
    }
  }

  protected override _error(error: unknown): void {
    this.#last(this.#observer.error, error);
  }

  protected override _complete(): void {
    const { complete } = this.#observer;
    if (!complete) super._complete();
    else this.#last(complete, undefined);
  }

  #last(handler: ((error: unknown) => void) | undefined, error: unknown): void {
    if (!handler) {
      super._error(error);
      return;
    }
    try {
      handler(error);
    } catch (thrown) {
      this.#below.error(thrown);
    } finally {
      this.unsubscribe();
    }
  }
}
