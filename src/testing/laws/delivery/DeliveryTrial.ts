import { counted } from '../../../counted.ts';
import { fromPull } from '../../../demand/fromPull.ts';
import type { Sink, SinkContext } from '../../../work/Sink.ts';
import { unlike } from '../contents.ts';
import { must, shown } from '../Law.ts';
import { numbers } from '../numbers.ts';

/** A sink, and what is known of the place where it stores. */
export interface ObservedSink<T> {
  readonly sink: Sink<T>;
  /** The key of each item that is stored, as often as it is stored. */
  readonly stored: () => readonly unknown[] | Promise<readonly unknown[]>;
}

/** The sink that is checked, and what was said of it. */
export interface DeliveryTrial {
  readonly make: () => Promise<ObservedSink<unknown>>;
  readonly input: (number: number) => unknown;
  readonly key: (item: unknown) => unknown;
  readonly keyed: boolean;
  readonly cut: (() => unknown) | undefined;
}

/** Items of a law. */
export const MANY = 60;

/** A store that is down for a moment: try again. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

/** Changes how a sink stores; what it says of errors, and its end, stay. */
export function over(
  sink: Sink<unknown>,
  store: (items: readonly unknown[], context: SinkContext) => Promise<void>,
): Sink<unknown> {
  return {
    store,
    classify: (error) => (error instanceof Refused ? 'retry' : (sink.classify?.(error) ?? 'retry')),
    close: async () => {
      await sink.close?.();
    },
  };
}

/** A source that acknowledges numbers, and notes what becomes of each. */
export class AcknowledgedNumbers {
  pulled = 0;
  readonly acknowledged: number[] = [];
  readonly handedBack: number[] = [];
  /** Called with each that is acknowledged. */
  onAcknowledged: (number: number) => void = () => undefined;
  readonly source;

  constructor(count = MANY) {
    const next = (): IteratorResult<number, undefined> =>
      this.pulled < count ? { done: false, value: ++this.pulled } : { done: true, value: undefined };
    this.source = fromPull<number>(
      { [Symbol.iterator]: () => ({ next }) },
      {
        onSettled: ({ value, failure }) => {
          if (failure === undefined) {
            this.acknowledged.push(value);
            this.onAcknowledged(value);
          } else this.handedBack.push(value);
        },
      },
    );
  }

  /** Every one is acknowledged, once, and none was handed back. */
  mustAllBeAcknowledged(count = MANY): void {
    must(
      shown(ascending(this.acknowledged)) === shown(numbers(count)) && this.handedBack.length === 0,
      `${counted(count, 'item')} to be acknowledged, each once`,
      `${shown(ascending(this.acknowledged))}, and ${shown(this.handedBack)} handed back`,
    );
  }
}

/** The items of these numbers are stored, and no others; once, where the sink has keys. */
export async function mustBeStored(
  { input, key, keyed }: DeliveryTrial,
  { stored }: ObservedSink<unknown>,
  expected: readonly number[],
): Promise<void> {
  const found = await stored();
  const wanted = expected.map((number) => shown(key(input(number))));
  const seen = found.map((one) => shown(one));
  const other = unlike([...new Set(wanted)], [...new Set(seen)]);
  must(other === undefined, `${counted(expected.length, 'item')} to be stored, and no others`, String(other));
  must(!keyed || seen.length === wanted.length, 'no item to be stored twice', `${seen.length} stored`);
}

function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}
