import assert from 'node:assert/strict';
import { map, type MonoTypeOperatorFunction, type Observable, type OperatorFunction } from 'rxjs';
import { sleep, within, type Kernel } from './law.ts';

/** What happened, in order: `store x` when a sink has an item, `ack x` and `nak x` when the source heard of it. */
export type Log = string[];

/** `i1`, `i2`, …: what they become can be traced back by its text. */
export function items(count: number, first = 1): string[] {
  return Array.from({ length: count }, (_, i) => `i${first + i}`);
}

/** An acknowledged source in memory. */
export function acknowledged(
  sluice: Kernel,
  log: Log,
  input: Iterable<string> | AsyncIterable<string> | (() => Iterable<string> | AsyncIterable<string>),
  maxPending?: number,
): Observable<string> {
  return sluice.fromPull<string>(input, {
    onSettled: ({ value, failure }) => log.push(`${failure === undefined ? 'ack' : 'nak'} ${value}`),
    ...(maxPending === undefined ? {} : { maxPending }),
  });
}

/** One item every `ms`. */
export async function* every(ms: number, values: readonly string[]): AsyncGenerator<string, void> {
  for (const value of values) {
    await sleep(ms);
    yield value;
  }
}

/** Throws at the first that contains `at`, once. */
export const once = (at = ''): MonoTypeOperatorFunction<string> => {
  let failed = false;
  return map((value) => {
    if (failed || !value.includes(at)) return value;
    failed = true;
    throw new Error('once');
  });
};

/** A sink that takes `ms` for each item, two at once. */
export function store<T>(sluice: Kernel, log: Log, ms = 3): OperatorFunction<T, T> {
  const put = async (value: T): Promise<T> => {
    await sleep(ms);
    log.push(`store ${JSON.stringify(value)}`);
    return value;
  };
  return sluice.poolMap(put, { concurrency: 2, name: 'store' });
}

export interface Ended {
  /** How the run ended, or the code or message of its error. */
  readonly end: string;
  readonly warnings: readonly string[];
}

/** Runs a flow to its end. */
export async function run(
  sluice: Kernel,
  flow: Observable<unknown>,
  options: { readonly strict?: boolean; readonly abortAfterMs?: number; readonly drainAfterMs?: number } = {},
): Promise<Ended> {
  const { strict = false, abortAfterMs, drainAfterMs } = options;
  const warnings: string[] = [];
  const running = sluice.runFlow(flow, { strict, onWarning: (warning) => warnings.push(warning) });
  if (abortAfterMs !== undefined) setTimeout(() => void running.abort().catch(() => undefined), abortAfterMs);
  if (drainAfterMs !== undefined) setTimeout(() => void running.drain().catch(() => undefined), drainAfterMs);
  try {
    const { end } = await within(running, 5_000);
    return { end, warnings };
  } catch (error) {
    const { code, message } = (error ?? {}) as Partial<Error> & { readonly code?: string };
    return { end: code ?? message ?? 'failed', warnings };
  }
}

/** The items that a line of the log is about. */
function itemsOf(line: string): string[] {
  return line.match(/i\d+/g) ?? [];
}

/** Items that were acknowledged before all that contains them, or the first of it, was stored. */
export function early(log: Log, which: 'all' | 'first' = 'all'): string[] {
  const stores = log.map((line) => (line.startsWith('store') ? itemsOf(line) : []));
  return log.flatMap((line, at) => {
    if (!line.startsWith('ack')) return [];
    return itemsOf(line).filter((item) => {
      const contains = (stored: string[]): boolean => stored.includes(item);
      const last = which === 'all' ? stores.findLastIndex(contains) : stores.findIndex(contains);
      return last > at;
    });
  });
}

/** Items that were acknowledged and are stored nowhere. */
export function lost(log: Log): string[] {
  const stored = new Set(log.filter((line) => line.startsWith('store')).flatMap(itemsOf));
  return settled(log, 'ack').filter((item) => !stored.has(item));
}

export function settled(log: Log, how: 'ack' | 'nak'): string[] {
  return log.filter((line) => line.startsWith(how)).flatMap(itemsOf);
}

/** Each of these items was settled, and none of them twice. */
export function assertSettledOnce(log: Log, expected: readonly string[]): void {
  const all = [...settled(log, 'ack'), ...settled(log, 'nak')];
  assert.deepEqual(all.toSorted(), [...expected].toSorted(), `settled: ${log.join(', ')}`);
}
