import { Observable, type OperatorFunction, type Subscriber } from 'rxjs';
import { Branch, FanStage } from '../src/demand/FanStage.ts';
import { HandedBackError, InvalidOptionError } from '../src/errors.ts';
import type { StageIdentity } from '../src/metrics/StageMeter.ts';
import { callable, given, nonEmpty, wholeNumber } from '../src/options.ts';
import { under } from '../src/tickets/current.ts';
import type { Ticket } from '../src/tickets/Ticket.ts';
import { itemHook, type ItemHook } from '../src/work/itemHook.ts';
import { atOnce } from '../src/work/isPromiseLike.ts';

export interface RouteOptions<T, R> {
  /** What the items of each name go through. One or more. */
  readonly branches: { readonly [K in keyof R]: OperatorFunction<T, R[K]> };
  /** Told of every item that no branch is for: a function or an Observer. @defaultValue nobody */
  readonly rejected?: ((value: T) => unknown) | { readonly next: (value: T) => void };
  /** Items that may wait for their branches, all together. Whole number, 1 or more. @defaultValue operators.size */
  readonly maxWaiting?: number;
  /** Name in reports and messages. @defaultValue 'route' */
  readonly name?: string;
}

/**
 * Gives each item to the branch that `by` names, each an operator, and merges their results.
 *
 *     source         abCd|
 *     a              ---(a|)
 *     b                 --(b|)
 *     C                --(C|)
 *     d                   --(d|)
 *     output         ---aCb-(d|)
 *     route.waiting  01---0
 *     route((item) => (isSmall(item) ? 'small' : 'large'), { branches: { small, large } })
 *
 * - **Emits when** a branch gives a result. An item goes to its branch as soon as that has room, those of one branch in
 *   order; items of other branches overtake it.
 * - **Waits when** `maxWaiting` items wait for their branches: its demand is closed then.
 * - **Drops** what no branch is for: where `by` gives no name of a branch, or the branch has completed. It goes to
 *   `rejected`, counts as such, and is settled in an acknowledged flow.
 * - **Completes when** every branch has completed; after the last of them the source is left.
 * - **Errors when** the source errors, or a branch, `by` or `rejected`; the branches finish what they hold first. A promise
 *   of `rejected` is waited for only by the end of the run; one that rejects when all else is over is a warning.
 * - **Unsubscribing** leaves all branches, and hands back what waits for them.
 *
 * One function names the branch, where a predicate for each would do: so an item has one branch or none, in whatever order
 * they are listed, and TypeScript knows the names.
 *
 * A branch that subscribes again, after an error, goes on where it was.
 *
 * @param by The name of the branch that an item is for, or undefined: for none.
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 * @see `groupBy` of RxJS, whose groups see no demand.
 */
export function route<T, R>(
  by: (value: T) => keyof R | undefined,
  options: RouteOptions<T, R>,
): OperatorFunction<T, R[keyof R]> {
  callable('route: by', by);
  const operators = operatorsOf(given(options));
  const { rejected, maxWaiting = operators.size, name = 'route' } = options;
  const reject = typeof rejected === 'object' ? (value: T): void => rejected.next(value) : rejected;
  if (reject !== undefined) callable('route: rejected', reject);
  wholeNumber('route: maxWaiting', maxWaiting, 1);
  nonEmpty('route: name', name);
  const identity = { operator: 'route', name, slots: 0 };
  return (source) =>
    new Observable((subscriber) => {
      const branches = new Map([...operators].map(([key, operator]) => [key, new Branch(operator)]));
      new RouteStage(identity, subscriber, maxWaiting, branches, by, reject).open(source);
    });
}

/** The branches by name, checked. */
function operatorsOf<T, R>({ branches }: RouteOptions<T, R>): Map<unknown, OperatorFunction<T, R[keyof R]>> {
  const all = (branches ?? {}) as Record<PropertyKey, OperatorFunction<T, R[keyof R]>>;
  const entries = Reflect.ownKeys(all).map((name) => [name, all[name]] as const);
  if (entries.length === 0) throw new InvalidOptionError('route: branches must have one operator or more');
  for (const [name, operator] of entries) callable(`route: branches.${String(name)}`, operator);
  return new Map(entries as [PropertyKey, OperatorFunction<T, R[keyof R]>][]);
}

class RouteStage<T, R> extends FanStage<T, R> {
  readonly #named: ReadonlyMap<unknown, Branch<T, R>>;
  readonly #by: (value: T) => unknown;
  readonly #rejected: ItemHook<T> | undefined;

  constructor(
    identity: StageIdentity,
    subscriber: Subscriber<R>,
    maxWaiting: number,
    named: ReadonlyMap<unknown, Branch<T, R>>,
    by: (value: T) => unknown,
    reject: ((value: T) => unknown) | undefined,
  ) {
    super(identity, subscriber, maxWaiting, [...named.values()]);
    this.#named = named;
    this.#by = by;
    this.#rejected = reject && itemHook(reject, 'rejected', this);
  }

  protected override accept(value: T, ticket: Ticket | null): void {
    let branch: Branch<T, R> | undefined;
    try {
      const name = under(null, () => this.#by(value));
      atOnce(this.name, 'by', name);
      branch = this.#named.get(typeof name === 'number' ? String(name) : name); // as property names are
      if (this.over)
        throw new HandedBackError(this.name, 'the flow was stopped while its name was asked for');
    } catch (error) {
      this.#failWith(value, ticket, error);
      return;
    }
    if (branch === undefined || branch.done) this.unwanted(value, ticket);
    else this.send(value, ticket, [branch]);
  }

  /** No branch is for it, or its branch has completed meanwhile. */
  protected override unwanted(value: T, ticket: Ticket | null): void {
    if (this.run?.trace) this.tell('rejected', value);
    try {
      this.#rejected?.tell(value);
    } catch (error) {
      this.#failWith(value, ticket, error);
      return;
    }
    this.meter.rejected++;
    if (ticket !== null) ticket.release();
    if (!this.dead) this.demand.release();
  }

  #failWith(value: T, ticket: Ticket | null, error: unknown): void {
    this.demand.held--;
    this.fail(error);
    this.leave(value, ticket, error);
  }
}
