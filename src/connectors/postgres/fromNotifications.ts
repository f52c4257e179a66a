import { fromEvent, isObservable, Observable, takeUntil } from 'rxjs';
import { setTimeout as sleep } from 'node:timers/promises';
import { UNLIMITED } from '../../demand/Demand.ts';
import { pulled } from '../../demand/PullSource.ts';
import { toAsyncIterable } from '../../demand/toAsyncIterable.ts';
import { InvalidOptionError, NotificationError } from '../../errors.ts';
import { atLeast, callable, nonEmpty, oneOf, wholeNumber } from '../../options.ts';
import { checkPolicy, exponential, RetryClock, type RetryPolicy } from '../../retry/RetryPolicy.ts';
import type { PostgresConnections } from './connections.ts';
import { keepListening, mayPass, type ListenLoss } from './listen.ts';
import { NotificationInbox, type DroppedNotification } from './NotificationInbox.ts';

export type { ListenLoss } from './listen.ts';
export type { DroppedNotification } from './NotificationInbox.ts';

/** Everything that is to be done, and may have been notified of while nobody listened. */
export type CatchUp<T> = (context: {
  /** Aborted when the source ends. */
  readonly signal: AbortSignal;
}) => Observable<T> | AsyncIterable<T> | Iterable<T> | PromiseLike<Iterable<T>>;

export interface FromNotificationsOptions<T = string> {
  /**
   * Makes an item of a payload. That it throws ends the source with a `NotificationError`: to go on, catch it here, and
   * give what a `filterOr` rejects. @defaultValue the payload itself
   */
  readonly decode?: (payload: string) => T;
  /** Read at the start, after each lost connection, and after an overflow. @defaultValue what is missed is lost */
  readonly catchUp?: CatchUp<T>;
  /** Notifications that wait at most. Each is 8 kB at most. Whole number, 1 or more. @defaultValue 1_000 */
  readonly capacity?: number;
  /**
   * What happens when `capacity` notifications wait and one more comes: all are forgotten and caught up with, or as in
   * `boundedQueue`. @defaultValue `'catchUp'` with a `catchUp`, else `'fail'`
   */
  readonly overflow?: 'catchUp' | 'fail' | 'dropOldest' | 'dropNewest';
  /** Told of every notification that `overflow` drops. */
  readonly onDrop?: (dropped: DroppedNotification) => unknown;
  /**
   * When to connect again, and when to begin a `catchUp` again that failed. It begins anew once a connection has brought
   * something or answered. @defaultValue for ever, after up to 0.1 s at first and up to 10 s at last
   */
  readonly retry?: RetryPolicy;
  /**
   * Milliseconds after which the server is asked whether it still listens, and within which it has to answer; above 0.
   * @defaultValue 15_000
   */
  readonly keepAliveMs?: number;
  /** Told of each lost connection, and of each that could not be made. That it fails is a warning on the console. */
  readonly onLost?: (loss: ListenLoss) => unknown;
  /** Name in messages. @defaultValue 'fromNotifications' */
  readonly name?: string;
}

/** PostgreSQL cuts longer names, in silence. */
const maxChannelBytes = 63;

/**
 * Emits the notifications of a channel (`LISTEN`), over lost connections.
 *
 *     fromNotifications<Job>(db, 'jobs', {
 *       decode: (payload) => JSON.parse(payload) as Job,
 *       catchUp: () => fromTable<Job>(db, 'jobs', { key: ['id'], where: 'done_at IS NULL' }),
 *     })
 *
 * PostgreSQL keeps no notification for who is not connected, and cannot be made to wait: without `catchUp` what comes
 * while there is no connection is lost (at most once). With it, the table is the truth: `catchUp` reads what is not done,
 * always after LISTEN has begun, so that there is no gap, and what is told of meanwhile comes twice (at least once): let
 * the work bear that, or use `dedupe`. A `catchUp` by "later than the last id" has a gap: transactions commit in another
 * order than they take their ids.
 *
 * It has one of the connections of `connections` for itself, for as long as it is subscribed to: count it in `max`. Behind
 * a pooler that shares sessions (pgbouncer in transaction mode) it cannot listen.
 *
 * - **Emits when** a notification has come, or `catchUp` gives an item, and the stage below has room.
 * - **Waits when** it has none: up to `capacity` notifications are kept, and connections are kept alive and made anew.
 * - **Drops** what `overflow` says; PostgreSQL, all but one of equal notifications in one transaction.
 * - **Completes when** draining begins and what came before is delivered; a `catchUp` is not read to its end.
 * - **Errors when** `retry` gives up, or does not help (`classifyPostgresError`); with `NotificationError` where `decode`
 *   throws; or with `QueueOverflowError` under `overflow: 'fail'`; after what came before.
 * - **Unsubscribing** ends the connection, and what `catchUp` reads, at once.
 *
 * @param channel Letter by letter, as if quoted: `NOTIFY Jobs` is for `'jobs'`. 63 bytes at most.
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function fromNotifications(
  connections: PostgresConnections,
  channel: string,
  options?: FromNotificationsOptions,
): Observable<string>;
export function fromNotifications<T>(
  connections: PostgresConnections,
  channel: string,
  options: FromNotificationsOptions<T> & Required<Pick<FromNotificationsOptions<T>, 'decode'>>,
): Observable<T>;
export function fromNotifications<T>(
  connections: PostgresConnections,
  channel: string,
  options: FromNotificationsOptions<T> = {},
): Observable<T> {
  const {
    decode = (payload: string) => payload as T,
    catchUp,
    capacity = 1_000,
    overflow = catchUp ? 'catchUp' : 'fail',
    onDrop,
    retry = exponential({ initialMs: 100, maxMs: 10_000, maxRetries: Number.MAX_SAFE_INTEGER }),
    keepAliveMs = 15_000,
    onLost,
    name = 'fromNotifications',
  } = options;
  checkChannel(channel);
  callable('fromNotifications: decode', decode);
  if (catchUp !== undefined) callable('fromNotifications: catchUp', catchUp);
  wholeNumber('fromNotifications: capacity', capacity, 1);
  oneOf('fromNotifications: overflow', overflow, ['catchUp', 'fail', 'dropOldest', 'dropNewest']);
  if (overflow === 'catchUp' && catchUp === undefined) {
    throw new InvalidOptionError("fromNotifications: overflow 'catchUp' needs a catchUp");
  }
  if (onDrop !== undefined) callable('fromNotifications: onDrop', onDrop);
  checkPolicy('fromNotifications: retry', retry);
  atLeast('fromNotifications: keepAliveMs', keepAliveMs, 1);
  if (onLost !== undefined) callable('fromNotifications: onLost', onLost);
  nonEmpty('fromNotifications: name', name);

  const decoded = (payload: string): T => {
    try {
      return decode(payload);
    } catch (error) {
      throw new NotificationError(name, channel, payload, error);
    }
  };
  async function* read(inbox: NotificationInbox): AsyncGenerator<T> {
    const onListening = (): void => {
      if (catchUp) inbox.fallBehind();
    };
    const settings = { name, channel, retry, keepAliveMs, onLost, onListening };
    keepListening(connections, settings, inbox).catch((error: unknown) => inbox.fail(error));
    try {
      while (await inbox.filled()) {
        if (catchUp && inbox.behind) yield* caughtUp(catchUp, retry, inbox);
        else yield decoded(inbox.take());
      }
    } finally {
      inbox.close();
    }
  }
  const source = new Observable<T>((subscriber) => {
    const inbox = new NotificationInbox({ name, capacity, overflow, onDrop });
    const close = (): void => inbox.close();
    const open = (signal: AbortSignal): AsyncIterable<T> => {
      signal.addEventListener('abort', close, { once: true });
      return read(inbox);
    };
    pulled(open, { name, window: UNLIMITED, onDrain: close }, source).subscribe(subscriber);
  });
  return source;
}

/** What there is to catch up with; from its beginning again, where reading it has failed. */
async function* caughtUp<T>(
  catchUp: CatchUp<T>,
  retry: RetryPolicy,
  inbox: NotificationInbox,
): AsyncGenerator<T, void> {
  const { closed: signal } = inbox;
  let clock: RetryClock | undefined;
  while (!signal.aborted) {
    inbox.beginCatchUp();
    try {
      const input = await catchUp({ signal });
      for await (const item of isObservable(input) ? loopOver(input, signal) : input) {
        yield item;
        if (signal.aborted) return;
      }
      return;
    } catch (error) {
      if (signal.aborted) return;
      clock ??= new RetryClock(retry, performance.now());
      const waitMs = mayPass(error) ? clock.waitMs(error, performance.now()) : undefined;
      if (waitMs === undefined) throw error;
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

function loopOver<T>(flow: Observable<T>, signal: AbortSignal): AsyncIterable<T> {
  return toAsyncIterable(flow.pipe(takeUntil(fromEvent(signal, 'abort'))), { capacity: 1 });
}

function checkChannel(channel: string): void {
  nonEmpty('fromNotifications: channel', channel);
  if (Buffer.byteLength(channel) > maxChannelBytes || channel.includes('\0')) {
    throw new InvalidOptionError(
      `fromNotifications: channel must be a name of ${maxChannelBytes} bytes or less, without NUL`,
    );
  }
}
