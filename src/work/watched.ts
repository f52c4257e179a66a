import { from, tap, type ObservableInput } from 'rxjs';
import { isPromiseLike } from './isPromiseLike.ts';
import type { ItemContext } from './ItemContext.ts';

/** Told what becomes of work. */
export interface OutcomeWatcher {
  succeeded(): void;
  failed(error: unknown): void;
  /** It is over. Where it has neither succeeded nor failed, it was stopped. */
  left(): void;
}

/** Starts work, and tells what becomes of it, before whoever asked for it hears. `done` is called at the end. */
export function watched<O extends ObservableInput<unknown>>(
  start: () => O,
  item: ItemContext,
  watcher: OutcomeWatcher,
  done: () => void,
): O {
  let over = false;
  const end = (tell?: () => void): void => {
    if (over) return;
    over = true;
    forget();
    tell?.();
    watcher.left();
    done();
  };
  const forget = item.whenAborted(() => {
    end();
  });
  const failed = (error: unknown): void => {
    end(() => {
      watcher.failed(error);
    });
  };
  const succeeded = (): void => {
    end(() => {
      watcher.succeeded();
    });
  };
  let result: O;
  try {
    result = start();
  } catch (error) {
    failed(error);
    throw error;
  }
  if (isPromiseLike(result)) {
    const answer = Promise.resolve(result).then(
      (value) => {
        succeeded();
        return value;
      },
      (error: unknown) => {
        failed(error);
        throw error;
      },
    );
    return answer as unknown as O;
  }
  const stream = from(result).pipe(tap({ complete: succeeded, error: failed, finalize: () => end() }));
  return stream as unknown as O;
}
