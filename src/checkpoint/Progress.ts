import { Ranges } from './Ranges.ts';

/** Where a source goes on. */
export interface ResumePoint<C = unknown> {
  /** Items from the start that are done, without a gap. */
  readonly position: number;
  /** What `cursor` said of the last of these; undefined at the start, and without `cursor`. */
  readonly cursor: C | undefined;
}

/** What is written down: the items that are done, up to the first gap, and in ranges beyond it. */
export interface ProgressState<C = unknown> extends ResumePoint<C> {
  /**
   * Positions beyond the first gap: the first and the last of each range, and, with `cursor`, what that said of them. As
   * many as there are items that were begun before and are not done: the window of the source bounds them.
   */
  readonly done: readonly DoneRange<C>[];
}

export type DoneRange<C = unknown> = readonly [from: number, to: number, first?: C, last?: C];

/**
 * How far a source has got: which of its items, numbered from 0, are done, and which are on their way. Items are done in
 * any order; the resume point is before the first that is not.
 */
export class Progress<C = unknown> {
  readonly #done = new Ranges();
  /** With what to do if one is handed back. */
  readonly #onTheirWay = new Map<number, (() => void) | undefined>();
  /** Of items that were begun and are not done, and of both ends of each range. */
  readonly #cursors = new Map<number, C>();

  constructor(state: ProgressState<C>) {
    this.load(state);
  }

  get point(): ResumePoint<C> {
    const position = positionOf(this.#done);
    return { position, cursor: this.#cursors.get(position - 1) };
  }

  isDone(position: number): boolean {
    return this.#done.has(position);
  }

  /** Done, or given and not yet done: not to be given again. */
  isTaken(position: number): boolean {
    return this.#done.has(position) || this.#onTheirWay.has(position);
  }

  /** What `cursor` said of a position that ends a range of those that are done; undefined where nobody remembers. */
  cursorOf(position: number): C | undefined {
    return this.#cursors.get(position);
  }

  /** Whether anything that was given is not done. */
  get isUnderWay(): boolean {
    return this.#onTheirWay.size > 0;
  }

  /** Of one that is on its way: `give` is called should it be handed back. */
  ifHandedBack(position: number, give: () => void): void {
    if (this.#onTheirWay.has(position)) this.#onTheirWay.set(position, give);
  }

  begin(position: number, cursor: C | undefined): void {
    this.#onTheirWay.set(position, undefined);
    if (cursor !== undefined) this.#cursors.set(position, cursor);
  }

  settle(position: number): void {
    this.#onTheirWay.delete(position);
    if (this.#done.has(position)) return;
    this.#done.add(position);
    this.#forgetWithin(position);
  }

  /** It may be given again, unless it is done. Its cursor stays: it may still be done, by what was begun before. */
  handBack(position: number): void {
    const give = this.#onTheirWay.get(position);
    this.#onTheirWay.delete(position);
    give?.();
  }

  /** What is to be written down once these are done too. */
  stateWith(positions: Iterable<number> = []): ProgressState<C> {
    const done = new Ranges(this.#done);
    for (const position of positions) done.add(position);
    const position = positionOf(done);
    const beyond = [...done].filter(({ from }) => from > 0);
    return {
      position,
      cursor: this.#cursors.get(position - 1),
      done: beyond.map(({ from, to }): DoneRange<C> => {
        const [first, last] = [this.#cursors.get(from), this.#cursors.get(to)];
        return first === undefined || last === undefined ? [from, to] : [from, to, first, last];
      }),
    };
  }

  /** Adds what was written down. */
  load({ position, cursor, done }: ProgressState<C>): void {
    if (position > 0) this.#done.add(0, position - 1);
    if (cursor !== undefined) this.#cursors.set(position - 1, cursor);
    for (const [from, to, first, last] of done) {
      this.#done.add(from, to);
      if (first !== undefined) this.#cursors.set(from, first);
      if (last !== undefined) this.#cursors.set(to, last);
    }
  }

  /** A position was added to a range: what has come to lie inside needs no cursor any more. */
  #forgetWithin(position: number): void {
    for (const at of [position - 1, position, position + 1]) {
      const inside = this.#done.has(at) && this.#done.has(at - 1) && this.#done.has(at + 1);
      if (inside || (at === 0 && this.#done.has(1))) this.#cursors.delete(at);
    }
  }
}

const positionOf = (done: Ranges): number => {
  const first = done[Symbol.iterator]().next();
  return first.done !== true && first.value.from === 0 ? first.value.to + 1 : 0;
};
