import type { Observable, Subscription } from 'rxjs';

/** A promise with its resolvers. */
export interface Gate<T = void> {
  readonly promise: Promise<T>;
  readonly open: (value: T) => void;
  readonly fail: (error: unknown) => void;
}

export function gate<T = void>(): Gate<T> {
  let open!: (value: T) => void;
  let fail!: (error: unknown) => void;
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { promise, open, fail };
}

/** What a stream has given so far. */
export interface Watched<T> {
  readonly values: T[];
  completed: boolean;
  error: unknown;
  /** Settles, never rejects, when it ends. */
  readonly ended: Promise<void>;
  readonly subscription: Subscription;
}

export function watch<T>(stream: Observable<T>, onNext?: (value: T) => void): Watched<T> {
  const { promise, open } = gate();
  const seen = { values: [] as T[], completed: false, error: undefined as unknown, ended: promise };
  const subscription = stream.subscribe({
    next: (value) => {
      seen.values.push(value);
      onNext?.(value);
    },
    error: (error: unknown) => {
      seen.error = error;
      open();
    },
    complete: () => {
      seen.completed = true;
      open();
    },
  });
  return Object.assign(seen, { subscription });
}
