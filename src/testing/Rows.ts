import { Observable } from 'rxjs';
import { fromPull } from '../demand/fromPull.ts';
import type { Mark } from './picture.ts';
import type { Role } from './Played.ts';
import type { Script, Turn } from './Script.ts';

/** A function, and an Observer, that writes what it is given into a row. */
export interface Note {
  (value: unknown): void;
  next(value: unknown): void;
}

/** What a wiring builds its flow from: the rows of the picture, and their values. */
export interface Rows {
  /** A stream that pushes its row, whether there is demand or not: the n-th subscription plays the n-th row of the name. */
  source<T = string>(this: void, name?: string): Observable<T>;
  /** A source that waits for demand: a letter is the earliest column in which the item is ready. */
  pulled<T = string>(this: void, name?: string): Observable<T>;
  /** Work that gives the row named like the value's letter, as an Observable. The row of an array has all its letters. */
  work<R = string>(this: void, value: unknown): Observable<R>;
  /** The same as a promise: it settles where the row ends. With a context, its signal ends the row with `!`. */
  promise<R = string>(this: void, value: unknown, context?: { readonly signal: AbortSignal }): Promise<R>;
  /** Writes what it is called with into a row, to be compared with what is drawn: for `rejected`, dead letters, `onDrop`. */
  note(this: void, name: string): Note;
  /** A signal that is aborted in the column of the row's `!`. */
  signal(this: void, name: string): AbortSignal;
  /** What a letter stands for. */
  value<T = string>(this: void, letter: string): T;
}

/** `pulled`: how many items were taken from each source that waits. */
export function rowsOf(script: Script, pulled: Map<string, number>): Rows {
  return {
    source: (name = 'source') => push(script, name, 'pushed'),
    pulled: (name = 'source') => {
      script.ask(name);
      pulled.set(name, 0);
      return pull(script, name, pulled);
    },
    work: (value) => push(script, rowOf(script, value), 'inner'),
    promise: (value, context) => settle(script, rowOf(script, value), context),
    note: (name) => noteInto(script, name),
    signal: (name) => signalOf(script, name),
    value: (letter) => script.values.valueOf(letter) as never,
  };
}

/** The row of an item: named like its letter. */
function rowOf(script: Script, value: unknown): string {
  const label = script.values.labelOf(value);
  if (label === undefined)
    throw script.miss('work is called with a value that has no letter; give it one in `values`');
  return label;
}

function push<T>(script: Script, name: string, role: Role): Observable<T> {
  if (role === 'pushed') script.ask(name);
  return new Observable<T>((subscriber) => {
    const turn = script.begin(name, role); // if there is no row, the subscription errors
    const stop = turn.play({
      next: (value) => subscriber.next(value as T),
      error: (error) => subscriber.error(error),
      complete: () => subscriber.complete(),
    });
    return () => {
      turn.left();
      stop();
    };
  });
}

async function settle<R>(
  script: Script,
  name: string,
  context: { readonly signal: AbortSignal } | undefined,
): Promise<R> {
  const turn = script.begin(name, 'inner');
  const signal = context?.signal;
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    let last: unknown;
    const stop = turn.play({
      next: (value) => {
        last = value;
      },
      error: reject,
      complete: () => {
        resolve(last as R);
      },
    });
    const abort = (): void => {
      turn.left();
      stop();
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
  });
}

/** A row that is read: an item is given when it is asked for, and not before its column. */
function pull<T>(script: Script, name: string, pulled: Map<string, number>): Observable<T> {
  const taken = (): void => {
    pulled.set(name, (pulled.get(name) ?? 0) + 1);
  };
  const open = (): AsyncIterator<T> => new PulledRow(script, script.begin(name, 'pulled'), taken);
  return fromPull<T>(() => ({ [Symbol.asyncIterator]: open }), { name });
}

class PulledRow<T> implements AsyncIterator<T> {
  readonly #script: Script;
  readonly #turn: Turn;
  readonly #marks: Mark[];
  readonly #taken: () => void;
  /** Ends a pull that is pending. */
  #stop = (): void => undefined;

  constructor(script: Script, turn: Turn, taken: () => void) {
    this.#script = script;
    this.#turn = turn;
    this.#marks = [...turn.row.marks];
    this.#taken = taken;
  }

  next(): Promise<IteratorResult<T>> {
    return new Promise((resolve, reject) => {
      const mark = this.#marks.shift();
      const none = (): void => {
        resolve({ done: true, value: undefined });
      };
      this.#stop = none;
      if (!mark || mark.kind === 'unsubscribe') return; // nothing is ready any more
      const give = (): void => {
        this.#turn.perform(mark, {
          next: (value) => {
            this.#taken();
            resolve({ done: false, value: value as T });
          },
          error: reject,
          complete: none,
        });
      };
      const at = this.#turn.msOf(mark.at);
      const { clock } = this.#script;
      if (at <= clock.now) give();
      else {
        const cancel = clock.at(at, `${this.#turn.row.name} is ready`, give);
        this.#stop = () => {
          cancel();
          none();
        };
      }
    });
  }

  return(): Promise<IteratorResult<T>> {
    this.#turn.left();
    this.#stop();
    return Promise.resolve({ done: true, value: undefined });
  }
}

function noteInto(script: Script, name: string): Note {
  const turn = script.begin(name, 'noted');
  const note = (value: unknown): void => {
    turn.note({ at: turn.at, kind: 'next', value });
  };
  return Object.assign(note, { next: note });
}

function signalOf(script: Script, name: string): AbortSignal {
  const turn = script.begin(name, 'noted');
  const controller = new AbortController();
  for (const { at, kind } of turn.row.marks) {
    if (kind !== 'unsubscribe') continue;
    script.clock.at(at, `${name}: !`, () => {
      turn.left();
      controller.abort();
    });
  }
  return controller.signal;
}
