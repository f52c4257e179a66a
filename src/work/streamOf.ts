import { from, type Observable, type ObservableInput } from 'rxjs';
import { InvalidOptionError } from '../errors.ts';

/** What work returned, as a stream. Throws where it is none, and says whose work it was. */
export function streamOf<R>(result: ObservableInput<R>, who: string): Observable<R> {
  try {
    return from(result);
  } catch {
    // Without the error of RxJS, which shows the value.
    const got = result === null ? 'null' : typeof result;
    throw new InvalidOptionError(
      `${who}: work must return a promise, an Observable or an iterable, got ${got}; a plain value comes from an async function`,
    );
  }
}

/** Throws what is wrong with work that gave promises `before`, and now this. */
export function noPromise(result: ObservableInput<unknown>, who: string, before: string): never {
  void streamOf(result, who); // no stream at all is told as such
  throw new InvalidOptionError(`${who}: work gave a promise ${before}; let it give the same each time`);
}
