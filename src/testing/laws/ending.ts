import { config, type Observable } from 'rxjs';
import { forAWhile, quiet } from './time.ts';
import { watch, type Watched } from './watch.ts';

/** What a stream gives until it ends, or nothing more can come. */
export async function ending<T>(stream: Observable<T>): Promise<Watched<T>> {
  const seen = watch(stream);
  await forAWhile(seen.ended);
  return seen;
}

/** What a stream sent after its end. */
interface SentAfterEnd {
  readonly items: number;
  /** Completions and errors. */
  readonly ends: number;
}

/** Runs a stream to its end, if it has one. RxJS keeps what comes after it from the subscriber, and tells `onStoppedNotification`. */
export async function sentAfterEnd(stream: Observable<unknown>): Promise<SentAfterEnd> {
  const { onStoppedNotification: outer } = config;
  const sent: { readonly kind: string; readonly to: unknown }[] = [];
  config.onStoppedNotification = ({ kind }, subscriber) => sent.push({ kind, to: subscriber });
  try {
    const seen = await ending(stream);
    await quiet();
    const late = sent.filter(({ to }) => to === seen.subscription);
    const items = late.filter(({ kind }) => kind === 'N').length;
    return { items, ends: late.length - items };
  } finally {
    config.onStoppedNotification = outer;
  }
}
