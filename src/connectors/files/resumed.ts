import { map, Observable } from 'rxjs';
import type { LowWaterMark } from '../../checkpoint/LowWaterMark.ts';
import { fromPull } from '../../demand/fromPull.ts';
import type { Settlement } from '../../demand/PullSource.ts';
import { waitForClosing } from '../../flow/Run.ts';
import { demandBelow } from '../../rx/chain.ts';
import type { FileCheckpoint } from './FileCheckpoint.ts';
import type { FilePosition } from './LineReader.ts';
import type { Placed } from './records.ts';

/** A value, and where its record ends. */
export interface Entry<T> {
  readonly value: T;
  readonly position: FilePosition;
}

/** How the records of one subscription are told apart. */
export interface Passage<R, T> {
  /** Goes on after this. */
  readonly after: FilePosition | undefined;
  /** Has its outcome already. */
  skips(record: R): boolean;
  give(value: T, record: R): Entry<T>;
  /** A record that gives no value. */
  passed(record: R): void;
}

/** A source that goes on where its checkpoint says, and tells it of outcomes. */
export function resumed<R extends Placed, T>(
  file: string,
  checkpoint: FileCheckpoint,
  read: (passage: Passage<R, T>) => AsyncIterator<Entry<T>, undefined>,
  settings: { readonly name: string; readonly maxPending: number },
): Observable<T> {
  return new Observable<T>((subscriber) => {
    const session = new Session<R, T>(file, checkpoint, read);
    const { run } = demandBelow(subscriber)?.owner ?? {};
    waitForClosing(run, () => session.saved, settings.name);
    subscriber.add(() => session.ended());
    const entries = fromPull<Entry<T>>(() => session, {
      ...settings,
      onSettled: (settlement) => session.settled(settlement),
    });
    entries.pipe(map(({ value }) => value)).subscribe(subscriber);
  });
}

/** One subscription. */
class Session<R extends Placed, T> implements AsyncIterable<Entry<T>> {
  /** Resolves when the source has ended, every item has its outcome, and that is saved. */
  readonly saved: Promise<void>;
  readonly #file: string;
  readonly #checkpoint: FileCheckpoint;
  readonly #read: (passage: Passage<R, T>) => AsyncIterator<Entry<T>, undefined>;
  #low: LowWaterMark<FilePosition> | undefined;
  #open = 0;
  #over = false;
  #save: () => void = () => undefined;

  constructor(
    file: string,
    checkpoint: FileCheckpoint,
    read: (passage: Passage<R, T>) => AsyncIterator<Entry<T>, undefined>,
  ) {
    this.#file = file;
    this.#checkpoint = checkpoint;
    this.#read = read;
    this.saved = new Promise((resolve, reject) => {
      this.#save = () => {
        checkpoint.flush().then(resolve, reject);
      };
    });
    this.saved.catch(() => undefined); // the run, if there is one, tells
  }

  [Symbol.asyncIterator](): AsyncIterator<Entry<T>, undefined> {
    let opening: Promise<AsyncIterator<Entry<T>, undefined>> | undefined;
    let closed = false;
    return {
      next: async () => {
        const entries = await (opening ??= this.#begin());
        if (closed) await entries.return?.();
        return entries.next();
      },
      return: async () => {
        closed = true;
        await (await opening?.catch(() => undefined))?.return?.();
        return { done: true, value: undefined };
      },
    };
  }

  settled({ value: { position }, failure }: Settlement<Entry<T>>): void {
    this.#open--;
    if (failure === undefined) {
      this.#low?.settle(position);
      this.#checkpoint.moved();
    }
    this.#finish();
  }

  ended(): void {
    this.#over = true;
    this.#finish();
  }

  async #begin(): Promise<AsyncIterator<Entry<T>, undefined>> {
    const { low, ahead } = await this.#checkpoint.begin(this.#file);
    this.#low = low;
    return this.#read({
      after: low.mark,
      skips: ({ number }) => ahead.has(number),
      give: (value, record) => {
        const position = positionOf(record);
        low.add(position);
        this.#open++;
        return { value, position };
      },
      passed: (record) => {
        const position = positionOf(record);
        low.add(position);
        low.settle(position);
        this.#checkpoint.moved();
      },
    });
  }

  #finish(): void {
    if (this.#over && this.#open === 0) this.#save();
  }
}

function positionOf({ number, end }: Placed): FilePosition {
  return end === undefined ? { line: number } : { line: number, bytes: end };
}
