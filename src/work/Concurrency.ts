import type { ObservableInput } from 'rxjs';
import { callable, wholeNumber } from '../options.ts';
import { eachInThisContext } from './asyncContext.ts';
import type { Work } from './Work.ts';

/** What can be given another size while it works. */
export interface Resizable {
  resize(concurrency: number): void;
}

/**
 * How many items a pool works on at once, to be changed while it runs: `workers.set(10)`. Each pool that it is given to
 * has that many workers for itself. A raised limit starts what waits, in a microtask, in the async context of its
 * flow (`AsyncLocalStorage`), whoever raises it; a lowered one lets running work finish, and nothing new starts until there are
 * fewer. Nothing is lost, aborted or reordered by either.
 *
 *     source   abc|
 *     a        -----A|
 *     b            --B|
 *     c            ---C|
 *     output   -----ABC|
 *     active   1---3-210
 *     waiting  012-0
 *     poolMap(work, { concurrency: workers, maxWaiting: 2 })    and at 4: workers.set(3)
 */
export class Concurrency {
  #limit: number;
  readonly #pools = new Set<Resizable>();

  /** @throws `InvalidOptionError` where `limit` is not a whole number of 1 or more. */
  constructor(limit: number) {
    wholeNumber('Concurrency: limit', limit, 1);
    this.#limit = limit;
  }

  /** Items worked on at once. */
  get limit(): number {
    return this.#limit;
  }

  /**
   * Sets the limit, for every pool that runs now and later; what a higher one starts begins in a microtask.
   * @throws `InvalidOptionError` as the constructor does.
   */
  set(limit: number): void {
    wholeNumber('Concurrency: limit', limit, 1);
    if (limit === this.#limit) return;
    this.#limit = limit;
    // The work that this starts may set it once more.
    for (const pool of [...this.#pools]) pool.resize(this.#limit);
  }

  /** Has `pool` told of each new limit; the result ends it. */
  follow(pool: Resizable): () => void {
    this.#pools.add(pool);
    return () => {
      this.#pools.delete(pool);
    };
  }

  /** The work of one pool, as it is to be called under this limit: for those that learn from it. */
  measured<T, O extends ObservableInput<unknown>>(work: Work<T, O>): Work<T, O> {
    return work;
  }
}

/** A number, which nobody can set. */
class Fixed extends Concurrency {}

/**
 * Has a pool told of each new limit; the result ends it. Whoever raises it may belong to another flow, as does work under
 * one `adaptive`: what that starts is started in the async context of now.
 */
export function following(workers: Concurrency, pool: Resizable): () => void {
  if (workers instanceof Fixed) return () => undefined;
  let has = workers.limit;
  let asked = has;
  let left = false;
  const resize = (): void => {
    has = asked;
    if (!left) pool.resize(asked);
  };
  const raise = eachInThisContext(resize);
  const leave = workers.follow({
    resize(limit) {
      asked = limit;
      if (limit > has) raise();
      else resize(); // starts nothing
    },
  });
  return () => {
    left = true;
    leave();
  };
}

/** Checks a `concurrency` option. A number is a limit that nobody changes. */
export function concurrencyOf(key: string, concurrency: number | Concurrency): Concurrency {
  if (typeof concurrency !== 'object') {
    wholeNumber(key, concurrency, 1);
    return new Fixed(concurrency);
  }
  // By shape: it may come from another copy of this library.
  callable(`${key}.follow`, (concurrency as Partial<Concurrency> | null)?.follow);
  return concurrency;
}
