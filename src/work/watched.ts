import { tap, type ObservableInput } from 'rxjs';
import { isPromiseLike } from './isPromiseLike.ts';
import type { ItemContext } from './ItemContext.ts';
import { streamOf } from './streamOf.ts';

/** Told what becomes of work. */
export interface OutcomeWatcher {
  succeeded(): void;
  failed(error: unknown): void;
  /** It is over. Where it has neither succeeded nor failed, it was stopped. */
  left(): void;
}

/** Starts work, and tells what becomes of it, before whoever asked for it hears. `done` is called at the end. `who`: for messages. */
export function watched<O extends ObservableInput<unknown>>(
  who: string,
  start: () => O,
  item: ItemContext,
  watcher: OutcomeWatcher,
  done: () => void,
): O {
  let over = false;
  let forget = (): void => undefined;
  const end = (tell?: () => void): void => {
    if (over) return;
    over = true;
    forget();
    try {
      tell?.();
    } finally {
      watcher.left(); // also where a hook has thrown
      done();
    }
  };
  forget = item.whenAborted(() => {
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
    if (Array.isArray(result)) {
      succeeded(); // all that there is: how long it waits for room below says nothing of the work
      return result;
    }
    if (!isPromiseLike(result)) {
      const stream = streamOf(result, who);
      return stream.pipe(tap({ complete: succeeded, error: failed, finalize: () => end() })) as unknown as O;
    }
  } catch (error) {
    failed(error);
    throw error;
  }
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
