import { from, type Observable, type ObservableInput } from 'rxjs';
import { fromPull } from '../demand/fromPull.ts';
import { InvalidOptionError } from '../errors.ts';

/**
 * What work returned, as a stream: iterables are pulled, so that they wait for demand as well; the rest is for RxJS. Throws
 * where it is none, and says whose work it was.
 */
export function streamOf<R>(result: ObservableInput<R>, who: string): Observable<R> {
  try {
    return isPullable(result) ? fromPull(result as Iterable<R>) : from(result);
  } catch {
    // Without the error of RxJS, which shows the value.
    const got = result === null ? 'null' : typeof result;
    throw new InvalidOptionError(
      `${who}: work must return a promise, an Observable or an iterable, got ${got}; a plain value comes from an async function`,
    );
  }
}

function isPullable(result: unknown): boolean {
  const shape = (result ?? {}) as Partial<Record<PropertyKey, unknown>>;
  const has = (key: PropertyKey): boolean => typeof shape[key] === 'function';
  if (has('subscribe') || has(Symbol.observable ?? '@@observable')) return false;
  return has(Symbol.iterator) || has(Symbol.asyncIterator) || has('getReader');
}

/** Throws what is wrong with work that gave promises `before`, and now this. */
export function noPromise(result: ObservableInput<unknown>, who: string, before: string): never {
  void streamOf(result, who); // no stream at all is told as such
  throw new InvalidOptionError(`${who}: work gave a promise ${before}; let it give the same each time`);
}
