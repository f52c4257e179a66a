import { map, type Observable } from 'rxjs';
import { pulled } from '../demand/PullSource.ts';
import { CheckpointMismatchError, InvalidOptionError } from '../errors.ts';
import { callable, nonEmpty, wholeNumber } from '../options.ts';
import { pullOf, type Pullable } from '../demand/pullInput.ts';
import { atOnce } from '../work/isPromiseLike.ts';
import { Numbered } from './Numbered.ts';
import type { Progress, ResumePoint } from './Progress.ts';

export interface CheckpointedSourceOptions<T, C> {
  /**
   * What is written down of an item, so that the input can be opened after it: a key, an offset, the token of its page.
   * Any value that JSON can hold. @defaultValue nothing: `position` alone says where to go on
   */
  readonly cursor?: (item: T) => C;
  /**
   * Whether an item that is done is the one that comes in its place now, by what `cursor` said of it then and says now. To
   * skip another one would lose it. @defaultValue equal as JSON
   */
  readonly isSame?: (known: C, found: C) => boolean;
  /** Items without an outcome at any time. Whole number, 1 or more. @defaultValue 10_000 */
  readonly maxPending?: number;
  /** Name in messages. @defaultValue 'checkpoint' */
  readonly name?: string;
}

/**
 * Opens the input at a point: it gives the items that came after that point the last time, the same ones in the same
 * order. The signal is aborted when the source is closed.
 */
export type OpenAt<T, C> = (point: ResumePoint<C>, signal: AbortSignal) => Pullable<T>;

/** A checkpoint, for sources that know themselves how they go on after an item. */
export interface SourceCheckpoint {
  source<T, C = never>(open: OpenAt<T, C>, options?: CheckpointedSourceOptions<T, C>): Observable<T>;
}

const equalAsJson = (known: unknown, found: unknown): boolean =>
  JSON.stringify(known) === JSON.stringify(found);

/** What a source needs of the checkpoint that keeps its progress. */
export interface ProgressKeeper {
  readonly progress: Progress;
  /** Resolves when `progress` is known to be what is written down; undefined where it is. Rejects if it is not ours. */
  confirmed(): Promise<void> | undefined;
  /** @throws If the checkpoint is not ours any more. */
  mustHold(): void;
}

/** A source whose items are numbered, and of which those that are done, or on their way, are not given again. */
export function checkpointedSource<T, C>(
  keeper: ProgressKeeper,
  open: OpenAt<T, C>,
  { cursor, isSame = equalAsJson, maxPending = 10_000, name = 'checkpoint' }: CheckpointedSourceOptions<T, C>,
): Observable<T> {
  callable('checkpoint.source: open', open);
  if (cursor !== undefined) callable('checkpoint.source: cursor', cursor);
  callable('checkpoint.source: isSame', isSame);
  wholeNumber('checkpoint.source: maxPending', maxPending, 1);
  nonEmpty('checkpoint.source: name', name);
  const progress = keeper.progress as Progress<C>;
  const cursorAt = cursor && ((value: T): C => atOnce(name, 'cursor', cursor(value)));

  /** To skip another item than the one that is done would lose it. */
  const mustBeTheSame = (position: number, value: T): void => {
    const known = progress.cursorOf(position);
    if (cursorAt === undefined || known === undefined) return;
    if (atOnce(name, 'isSame', isSame(known, cursorAt(value)))) return;
    throw new CheckpointMismatchError(name, position);
  };
  /** The item, unless it is taken. If it was on its way then, and is handed back, it goes to `again`. */
  const number = (position: number, value: T, again: [number, T][]): Numbered<T> | undefined => {
    keeper.mustHold();
    if (progress.isTaken(position)) {
      mustBeTheSame(position, value);
      progress.ifHandedBack(position, () => again.push([position, value]));
      return undefined;
    }
    progress.begin(position, cursorAt?.(value));
    return new Numbered(progress, position, value);
  };
  const handedBack = (again: [number, T][]): Numbered<T> | undefined => {
    for (let next = again.shift(); next; next = again.shift()) {
      const item = number(...next, again);
      if (item) return item;
    }
    return undefined;
  };
  function* numbered(input: Iterable<T>, position: number): Generator<Numbered<T>> {
    const again: [number, T][] = [];
    let item: Numbered<T> | undefined;
    for (const value of input) {
      while ((item = handedBack(again))) yield item;
      item = number(position++, value, again);
      if (item) yield item;
    }
    while ((item = handedBack(again))) yield item;
  }
  /** No generator, which could be closed only between two pulls: an input may be silent for long. */
  const numberedLater = (input: AsyncIterable<T>, position: number): AsyncIterable<Numbered<T>> => {
    const pull = pullOf(input, name);
    const again: [number, T][] = [];
    const read = async (): Promise<IteratorResult<Numbered<T>, undefined>> => {
      for (;;) {
        const back = handedBack(again);
        if (back) return { done: false, value: back };
        const result = await pull.next();
        const item = result.done ? handedBack(again) : number(position++, result.value, again);
        if (item) return { done: false, value: item };
        if (result.done) return { done: true, value: undefined };
      }
    };
    const next = (): Promise<IteratorResult<Numbered<T>, undefined>> =>
      read().catch(async (error: unknown) => {
        await leave().catch(() => undefined); // nobody else closes an input whose items are not the same, say
        throw error;
      });
    const leave = async (): Promise<IteratorResult<Numbered<T>, undefined>> => {
      await pull.close();
      return { done: true, value: undefined };
    };
    return { [Symbol.asyncIterator]: () => ({ next, return: leave }) };
  };
  const openNow = (signal: AbortSignal): Iterable<Numbered<T>> | AsyncIterable<Numbered<T>> => {
    const { point } = progress;
    const input = open(point, signal);
    if (typeof input === 'object' && Symbol.asyncIterator in input) {
      return numberedLater(input as AsyncIterable<T>, point.position);
    }
    if (typeof input === 'string' || Symbol.iterator in input) {
      return numbered(input as Iterable<T>, point.position);
    }
    throw new InvalidOptionError(`${name}: open must give an iterable or an async iterable`);
  };
  /** Subscribed to again from inside the failure of an item (`retry`), it would find that item on its way: not so a turn later. */
  const openSoon = async (signal: AbortSignal, confirmed: Promise<void> | undefined) => {
    await confirmed;
    return openNow(signal);
  };

  const source = pulled<Numbered<T>>(
    (signal) => {
      const confirmed = keeper.confirmed();
      return confirmed || progress.isUnderWay ? openSoon(signal, confirmed) : openNow(signal);
    },
    {
      name,
      window: maxPending,
      onFailing: (item) => item.handBack(progress),
      onSettled({ value: item, failure }) {
        if (failure === undefined) progress.settle(item.position);
        else item.handBack(progress);
      },
    },
  );
  return source.pipe(map(({ value }) => value));
}
