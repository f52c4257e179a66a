import { isObservable, type Observable } from 'rxjs';
import { MarblesError } from '../errors.ts';
import { shown } from './values.ts';

/** What a wiring gave, which in JavaScript may be anything. */
export function observableOf(flow: unknown): Observable<unknown> {
  if (isObservable(flow)) return flow;
  let what = shown(flow);
  if (flow instanceof Promise) {
    what = 'a promise';
    flow.catch(() => undefined); // what it fails with is no news
  }
  throw new MarblesError(`the wiring gave ${what}, not an Observable`);
}
