import { setTimeout as sleep } from 'node:timers/promises';
import type { Observable } from 'rxjs';
import { fromPull } from '../../demand/fromPull.ts';
import { HttpBodyError } from '../../errors.ts';
import { needed } from '../../needed.ts';
import { LONGEST_TIMER_MS, atLeast, timerMs, wholeNumber } from '../../options.ts';
import { retryableByDefault } from '../../retry/RetryPolicy.ts';
import type { HttpConnections } from './connections.ts';
import { EventCutter, type Reconnection, type ServerSentEvent } from './EventCutter.ts';
import { openStream } from './streamBody.ts';
import type { HttpTarget } from './target.ts';

export type { ServerSentEvent } from './EventCutter.ts';

export interface ServerSentEventsOptions {
  /** The id of the last event that is done: the server is asked for what came after it. @defaultValue none */
  readonly lastEventId?: string;
  /** Milliseconds to wait before a new connection, until the server says otherwise (`retry:`). 0 or more. @defaultValue 3_000 */
  readonly reconnectMs?: number;
  /** Failed connections in a row, without an event, after which it gives up. Whole number, 0 or more. @defaultValue 10 */
  readonly maxReconnects?: number;
  /** Milliseconds without a byte after which a connection is taken to be dead. 1 or more. @defaultValue 60_000 */
  readonly silenceMs?: number;
}

/** The waits between connections in a row that brought no event grow from the first to the second, in milliseconds. */
const leastBackOffMs = 100;
const mostBackOffMs = 30_000;

/**
 * Emits server-sent events, and connects again where the connection ends.
 *
 *     fromServerSentEvents(http, 'https://api.example/changes').pipe(map(({ data }) => JSON.parse(data)))
 *
 * - **Emits when** an event is there and the stage below has room.
 * - **Waits when** the stage below is full: then the server is made to wait, too.
 * - **Drops** nothing; what the server sent while there was no connection, it sends again if it heeds `Last-Event-ID`.
 * - **Completes when** the server answers 204, or draining begins.
 * - **Errors when** the answer is no success or no event stream, or `maxReconnects` connections in a row have failed.
 *   After a failure that is retryable it waits for as long as the server says by `retry:`, and longer after each
 *   further one that brought no event.
 * - **Unsubscribing** destroys the connection at once. Each subscription begins anew.
 *
 * Needs the package `eventsource-parser`; from 4.1 on, an id without data counts for `Last-Event-ID`, as in browsers.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 * @see Server-sent events in the HTML Standard of WHATWG.
 */
export function fromServerSentEvents(
  http: HttpConnections,
  target: HttpTarget,
  options: ServerSentEventsOptions = {},
): Observable<ServerSentEvent> {
  const { lastEventId = '', reconnectMs = 3_000, maxReconnects = 10, silenceMs = 60_000 } = options;
  timerMs('fromServerSentEvents: reconnectMs', reconnectMs, 0);
  wholeNumber('fromServerSentEvents: maxReconnects', maxReconnects, 0);
  atLeast('fromServerSentEvents: silenceMs', silenceMs, 1);
  const settings = { lastEventId, reconnectMs, maxReconnects, silenceMs };
  return fromPull((signal) => events(http, target, settings, signal), { name: 'fromServerSentEvents' });
}

async function* events(
  http: HttpConnections,
  target: HttpTarget,
  { lastEventId, reconnectMs, maxReconnects, silenceMs }: Required<ServerSentEventsOptions>,
  signal: AbortSignal,
): AsyncGenerator<ServerSentEvent, undefined> {
  const { createParser } = await needed(
    'fromServerSentEvents',
    'eventsource-parser',
    import('eventsource-parser'),
  );
  let lastId = lastEventId;
  let retryMs = reconnectMs;
  /** Connections in a row that brought no event, and those of them that failed. */
  let [vain, failed] = [0, 0];
  for (;;) {
    let over = false;
    let askedMs = 0;
    vain += 1;
    const headers = {
      accept: 'text/event-stream',
      'cache-control': 'no-store',
      ...(lastId === '' ? {} : { 'last-event-id': lastId }),
    };
    const connection = http[openStream]<ServerSentEvent | Reconnection>(target, headers, {
      signal,
      timeoutMs: silenceMs,
      cutter: (request, maxBytes) => new EventCutter(request, createParser, { lastId, maxBytes }),
      onAnswer: (request, { statusCode, headers: { 'content-type': type } }) => {
        over = statusCode === 204;
        if (!over && !/^text\/event-stream\s*(;|$)/i.test(String(type)))
          throw new HttpBodyError(request, 'type');
      },
    });
    try {
      for await (const event of connection) {
        if ('retryMs' in event) retryMs = event.retryMs;
        else if ('lastId' in event) lastId = event.lastId;
        else {
          vain = failed = 0;
          lastId = event.id;
          yield event;
        }
      }
      if (over) return undefined;
    } catch (error) {
      if (signal.aborted || !retryableByDefault(error) || ++failed > maxReconnects) throw error;
      askedMs = (error as { retryAfterMs?: number }).retryAfterMs ?? 0;
    }
    const backOffMs = vain === 0 ? 0 : Math.min(leastBackOffMs * 2 ** Math.min(vain, 20), mostBackOffMs);
    const waitMs = Math.min(Math.max(retryMs, backOffMs, askedMs), LONGEST_TIMER_MS); // a server may ask for any time
    await sleep(waitMs, undefined, { signal });
  }
}
