import { map, Observable } from 'rxjs';
import { Numbered } from '../../checkpoint/Numbered.ts';
import type { Progress } from '../../checkpoint/Progress.ts';
import { pulled, type Settlement } from '../../demand/PullSource.ts';
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
  { name, maxPending }: { readonly name: string; readonly maxPending: number },
): Observable<T> {
  const source = new Observable<T>((subscriber) => {
    const run = runBelow(subscriber);
    const session = new Session<R, T>(file, checkpoint, (passage) => read(passage, run));
    void whenClosed(run, () => session.saved, name);
    subscriber.add(() => session.ended());
    const told = {
      name,
      window: maxPending,
      onFailing: (item: Numbered<T>) => session.failing(item),
      onSettled: (settlement: Settlement<Numbered<T>>) => session.settled(settlement),
    };
    const records = pulled<Numbered<T>>(() => session, told, source);
    records.pipe(map(({ value }) => value)).subscribe(subscriber);
  });
  return source;
}

/** One subscription. */
class Session<R extends Placed, T> implements AsyncIterable<Numbered<T>> {
  /** Resolves when the source has ended, every item has its outcome, and that is saved. */
  readonly saved: Promise<void>;
  readonly #file: string;
  readonly #checkpoint: FileCheckpoint;
  readonly #read: (passage: Passage<R, T>) => AsyncIterator<Numbered<T>, undefined>;
  #progress: Progress<FilePosition> | undefined;
  readonly #handedBack: (() => Numbered<T> | undefined)[] = [];
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
        const again = this.#nextHandedBack();
        if (again) return { done: false, value: again };
        const result = await records.next();
        const last = result.done && !closed ? this.#nextHandedBack() : undefined;
        return last ? { done: false, value: last } : result;
      },
      return: async () => {
        closed = true;
        await (await opening?.catch(() => undefined))?.return?.();
        return { done: true, value: undefined };
      },
    };
  }

  failing(item: Numbered<T>): void {
    if (this.#progress) item.handBack(this.#progress);
  }

  settled({ value: item, failure }: Settlement<Numbered<T>>): void {
    this.#open--;
    if (failure !== undefined) this.failing(item);
    else this.#checkpoint.settled(item.position);
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
      skips: () => progress.isDone(++current),
      give: (value, record) => {
        const position = current;
        const give = (): Numbered<T> | undefined => {
          if (progress.isTaken(position)) {
            progress.ifHandedBack(position, () => this.#handedBack.push(give));
            return undefined;
          }
          progress.begin(position, endOf(record));
          this.#open++;
          return new Numbered(progress, position, value);
        };
        return give();
      },
      passed: (record) => {
        progress.begin(current, endOf(record));
        this.#checkpoint.settled(current);
      },
    });
  }

  /** What was on its way when it was read, and has come back: given now, in place of the next. */
  #nextHandedBack(): Numbered<T> | undefined {
    for (let give = this.#handedBack.shift(); give; give = this.#handedBack.shift()) {
      const item = give();
      if (item) return item;
    }
    return undefined;
  }

  #finish(): void {
    if (this.#over && this.#open === 0) this.#save();
  }
}

function endOf({ number, end }: Placed): FilePosition {
  return end === undefined ? { line: number } : { line: number, bytes: end };
}
