import { map, Observable } from 'rxjs';
import { Numbered } from '../../checkpoint/Numbered.ts';
import type { Progress } from '../../checkpoint/Progress.ts';
import { fromPull } from '../../demand/fromPull.ts';
import type { Settlement } from '../../demand/PullSource.ts';
import { whenClosed, type Run } from '../../flow/Run.ts';
import { runBelow } from '../../rx/chain.ts';
import type { FileCheckpoint } from './FileCheckpoint.ts';
import type { FilePosition } from './LineReader.ts';
import type { Gives, Placed } from './records.ts';

/** How the records of one subscription are numbered. */
export interface Passage<R, T> extends Gives<R, T, Numbered<T>> {
  /** Goes on after this. */
  readonly after: FilePosition | undefined;
}

/** Opens the file at a point, in a run if there is one. */
export type ReadPassage<R, T> = (
  passage: Passage<R, T>,
  run: Run | undefined,
) => AsyncIterator<Numbered<T>, undefined>;

/** A source that goes on where its checkpoint says, and tells it of outcomes. */
export function resumed<R extends Placed, T>(
  file: string,
  checkpoint: FileCheckpoint,
  read: ReadPassage<R, T>,
  settings: { readonly name: string; readonly maxPending: number },
): Observable<T> {
  return new Observable<T>((subscriber) => {
    const run = runBelow(subscriber);
    const session = new Session<R, T>(file, checkpoint, (passage) => read(passage, run));
    void whenClosed(run, () => session.saved, settings.name);
    subscriber.add(() => session.ended());
    const records = fromPull<Numbered<T>>(() => session, {
      ...settings,
      onSettled: (settlement) => session.settled(settlement),
    });
    records.pipe(map(({ value }) => value)).subscribe(subscriber);
  });
}

/** One subscription. */
class Session<R extends Placed, T> implements AsyncIterable<Numbered<T>> {
  /** Resolves when the source has ended, every item has its outcome, and that is saved. */
  readonly saved: Promise<void>;
  readonly #file: string;
  readonly #checkpoint: FileCheckpoint;
  readonly #read: (passage: Passage<R, T>) => AsyncIterator<Numbered<T>, undefined>;
  #progress: Progress<FilePosition> | undefined;
  #open = 0;
  #over = false;
  #save: () => void = () => undefined;

  constructor(
    file: string,
    checkpoint: FileCheckpoint,
    read: (passage: Passage<R, T>) => AsyncIterator<Numbered<T>, undefined>,
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

  [Symbol.asyncIterator](): AsyncIterator<Numbered<T>, undefined> {
    let opening: Promise<AsyncIterator<Numbered<T>, undefined>> | undefined;
    let closed = false;
    return {
      next: async () => {
        const records = await (opening ??= this.#begin());
        if (closed) await records.return?.();
        return records.next();
      },
      return: async () => {
        closed = true;
        await (await opening?.catch(() => undefined))?.return?.();
        return { done: true, value: undefined };
      },
    };
  }

  settled({ value: { position }, failure }: Settlement<Numbered<T>>): void {
    this.#open--;
    if (failure === undefined) {
      this.#progress?.settle(position);
      this.#checkpoint.moved();
    } else this.#progress?.handBack(position);
    this.#finish();
  }

  ended(): void {
    this.#over = true;
    this.#finish();
  }

  async #begin(): Promise<AsyncIterator<Numbered<T>, undefined>> {
    const progress = await this.#checkpoint.begin(this.#file);
    this.#progress = progress;
    const { position, cursor } = progress.point;
    let current = position - 1;
    return this.#read({
      after: cursor,
      skips: () => progress.isTaken(++current),
      give: (value, record) => {
        progress.begin(current, endOf(record));
        this.#open++;
        return new Numbered(progress, current, value);
      },
      passed: (record) => {
        progress.begin(current, endOf(record));
        progress.settle(current);
        this.#checkpoint.moved();
      },
    });
  }

  #finish(): void {
    if (this.#over && this.#open === 0) this.#save();
  }
}

function endOf({ number, end }: Placed): FilePosition {
  return end === undefined ? { line: number } : { line: number, bytes: end };
}
