import { counted } from '../../../counted.ts';
import type { Sink, SinkContext } from '../../../work/Sink.ts';
import { must, reason } from '../Law.ts';
import { forAWhile } from '../time.ts';

/** What became of a call. */
interface Settled {
  how: 'stored' | 'refused' | 'pending';
  error: unknown;
}

/** Real milliseconds that a call may take which is told to stop. */
const STOP_MS = 3_000;

export function store(sink: Sink<unknown>, items: readonly unknown[], signal?: AbortSignal): Promise<void> {
  const context: SinkContext = { attempt: 1, signal: signal ?? new AbortController().signal };
  return Promise.resolve().then(() => sink.store(items, context));
}

/** What becomes of a call; that it never settles too. */
export async function settled(call: Promise<void> | undefined): Promise<Settled> {
  const found: Settled = { how: 'pending', error: undefined };
  const done = Promise.resolve(call).then(
    () => {
      found.how = 'stored';
    },
    (error: unknown) => {
      found.how = 'refused';
      found.error = error;
    },
  );
  await forAWhile(done, STOP_MS);
  return found;
}

/** The same, as messages say it. */
export function told({ how, error }: Settled): string {
  return how === 'refused' ? reason(error) : how === 'stored' ? 'it resolved' : 'it never settles';
}

export async function mustStore(sink: Sink<unknown>, items: readonly unknown[]): Promise<void> {
  const result = await settled(store(sink, items));
  must(
    result.how === 'stored',
    `a batch of ${counted(items.length, 'good item')} to be stored`,
    told(result),
  );
}

export async function closed(sink: Sink<unknown>): Promise<void> {
  await settled(sink.close?.());
}
