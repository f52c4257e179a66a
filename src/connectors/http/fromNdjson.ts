import type { Observable } from 'rxjs';
import { fromPull } from '../../demand/fromPull.ts';
import type { HttpConnections } from './connections.ts';
import type { HttpTarget } from './target.ts';

/**
 * Emits the values of a newline-delimited JSON answer, read no faster than they are taken.
 *
 *     fromNdjson<Reading>(http, 'https://api.example/readings.ndjson')
 *
 * - **Emits when** a line is there and the stage below has room. Blank lines are skipped.
 * - **Waits when** the stage below is full: then the server is made to wait, too.
 * - **Drops** nothing.
 * - **Completes when** the body has ended, or draining begins.
 * - **Errors when** `HttpConnections.ndjson` does: a body that ends early is an error, never an end.
 * - **Unsubscribing** destroys the connection at once. Each subscription asks anew.
 */
export function fromNdjson<R>(http: HttpConnections, target: HttpTarget): Observable<R> {
  return fromPull((signal) => http.ndjson<R>(target, { signal }), { name: 'fromNdjson' });
}
