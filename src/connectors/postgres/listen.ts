import { setTimeout as sleep } from 'node:timers/promises';
import type { Notification, PoolClient } from 'pg';
import { Subscription } from 'rxjs';
import { after } from '../../clock.ts';
import { warnOf } from '../../flow/Run.ts';
import { LONGEST_TIMER_MS } from '../../options.ts';
import { RetryClock, type RetryPolicy } from '../../retry/RetryPolicy.ts';
import { toldOnly } from '../../work/toldOf.ts';
import { quote } from './catalogue.ts';
import { classifyPostgresError } from './classify.ts';
import { translateTimeout } from './clients.ts';
import type { PostgresConnections } from './connections.ts';
import type { NotificationInbox } from './NotificationInbox.ts';

/** A connection that listened is lost, or could not be made. */
export interface ListenLoss {
  readonly error: unknown;
  /** Milliseconds until the next one is made. */
  readonly waitMs: number;
}

export interface ListenSettings {
  readonly name: string;
  readonly channel: string;
  readonly retry: RetryPolicy;
  readonly keepAliveMs: number;
  readonly onLost: ((loss: ListenLoss) => unknown) | undefined;
  /** A connection listens from now on. */
  readonly onListening: () => void;
}

/** As pg begins what it says of lost connections. */
const gone = 'Connection terminated';

const ignore = (): void => undefined;

/** Puts what comes from a channel into the inbox until that is closed, by one connection after the other. */
export async function keepListening(
  connections: PostgresConnections,
  settings: ListenSettings,
  inbox: NotificationInbox,
): Promise<void> {
  const { closed: signal } = inbox;
  let clock: RetryClock | undefined;
  const onSign = (): void => {
    clock = undefined;
  };
  while (!signal.aborted) {
    try {
      await connections.withClient((client) => listen(client, settings, inbox, onSign), { signal });
    } catch (error) {
      if (signal.aborted) return;
      clock ??= new RetryClock(settings.retry, performance.now());
      const waitMs = mayPass(error) ? clock.waitMs(error, performance.now()) : undefined;
      if (waitMs === undefined) {
        inbox.fail(error);
        return;
      }
      tell(settings, { error, waitMs });
      await sleep(waitMs, undefined, { signal }).catch(ignore);
    }
  }
}

/** Whether another attempt may help. */
export function mayPass(error: unknown): boolean {
  return (
    classifyPostgresError(error) === 'retry' || (error as { retryable?: unknown } | null)?.retryable === true
  );
}

/**
 * Listens on a connection until it is lost, which is how the promise rejects. One that is gone without a word does not
 * answer when it is asked whether it still listens; one that a pooler has given another session says no.
 *
 * @param onSign Called when the connection has shown that it works.
 */
async function listen(
  client: PoolClient,
  { name, channel, keepAliveMs, onListening }: ListenSettings,
  inbox: NotificationInbox,
  onSign: () => void,
): Promise<never> {
  const ask = (text: string, values: unknown[]): Promise<{ rows: unknown[] }> => {
    const deadline = { query_timeout: Math.min(keepAliveMs, LONGEST_TIMER_MS) };
    return client.query<object>({ text, values, ...deadline }).catch((error: unknown) => {
      throw translateTimeout(error, `${name}: the connection`, keepAliveMs);
    });
  };
  const onNotification = ({ channel: from, payload = '' }: Notification): void => {
    if (from !== channel) return;
    onSign();
    inbox.put(payload);
  };
  let onLost: (error: unknown) => void = ignore;
  const lost = new Promise<never>((_resolve, reject) => {
    onLost = reject;
  });
  lost.catch(ignore);
  const onEnd = (): void => onLost(new Error(gone));
  client.on('notification', onNotification).on('error', onLost).on('end', onEnd);
  const asking = new Subscription();
  const askLater = (): void => {
    asking.add(
      after(keepAliveMs, () => {
        ask('SELECT $1 IN (SELECT pg_listening_channels()) AS listens', [channel]).then(({ rows }) => {
          if (!(rows[0] as { listens: boolean }).listens)
            onLost(new Error(`${gone}: this session does not listen`));
          onSign();
          askLater();
        }, onLost);
      }),
    );
  };
  try {
    await ask(`LISTEN ${quote(channel)}`, []);
    onListening();
    askLater();
    return await lost;
  } finally {
    asking.unsubscribe();
    client.off('notification', onNotification).off('error', onLost).off('end', onEnd);
  }
}

/** What the user makes of it changes nothing: that it fails is a warning. */
function tell({ name, onLost }: ListenSettings, loss: ListenLoss): void {
  if (!onLost) return;
  toldOnly(onLost, loss, (error) => {
    warnOf(undefined, name, 'onLost', error);
  });
}
