import { Observable, type OperatorFunction } from 'rxjs';
import { Branch, FanStage } from '../src/demand/FanStage.ts';
import { HandedBackError, InvalidOptionError } from '../src/errors.ts';
import { callable, nonEmpty } from '../src/options.ts';
import type { Ticket } from '../src/tickets/Ticket.ts';

export interface BroadcastOptions {
  /** Name in reports and messages. @defaultValue 'broadcast' */
  readonly name?: string;
}

/**
 * Gives every item to every branch, each an operator, and merges their results: a lossless `share`.
 *
 *     source         abc|
 *     a              -(a|)
 *     b               -(b|)
 *     c                 -(c|)
 *     A              ---(A|)
 *     B                 ---(B|)
 *     C                    ---(C|)
 *     output         -abAc-B--(C|)
 *     source.pulled  12-3
 *     broadcast([fast, slow])
 *
 * - **Emits when** a branch gives a result. An item goes to a branch as soon as that has room.
 * - **Waits when** a branch has not taken the last item yet: all go at the pace of the slowest. With `boundedQueue` at
 *   its head, a branch may fall behind by so much.
 * - **Drops** nothing. In an acknowledged flow an item settles when every branch is done with it, with the worst of the
 *   outcomes.
 * - **Completes when** every branch has completed. One that completes early is not waited for; after the last of them
 *   the source is left.
 * - **Errors when** the source errors, or a branch; the other branches finish what they hold first.
 * - **Unsubscribing** leaves all branches, and hands back what one of them has still to take.
 *
 * The branches are given as a list, and not subscribed to one by one as those of `share` are: so one chain leads from the
 * end through each of them to the source, which demand, tickets and draining need, and no branch comes too late for the
 * first items.
 *
 * A branch that subscribes again, after an error, goes on where it was. In the report an item counts once for
 * `broadcast`, once for each stage of each branch, and as delivered once for each result.
 *
 * @param branches One or more; each subscribes to its items once at a time.
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 * @see `connect` of RxJS, whose branches see no demand.
 */
export function broadcast<T, R extends readonly unknown[]>(
  branches: { readonly [K in keyof R]: OperatorFunction<T, R[K]> },
  options: BroadcastOptions = {},
): OperatorFunction<T, R[number]> {
  const { name = 'broadcast' } = options;
  const operators = branches as unknown as readonly OperatorFunction<T, R[number]>[];
  if (!Array.isArray(branches) || operators.length === 0)
    throw new InvalidOptionError(
      'broadcast: branches must be a list of one operator or more: broadcast([a, b])',
    );
  for (const operator of operators) callable('broadcast: a branch', operator);
  nonEmpty('broadcast: name', name);
  const identity = { operator: 'broadcast', name, slots: 0 };
  return (source) =>
    new Observable((subscriber) => {
      const all = operators.map((operator) => new Branch(operator));
      new BroadcastStage(identity, subscriber, 1, all).open(source);
    });
}

class BroadcastStage<T, R> extends FanStage<T, R> {
  protected override accept(value: T, ticket: Ticket | null): void {
    this.send(value, ticket, this.branches);
  }

  /** Every branch has completed meanwhile. */
  protected override unwanted(value: T, ticket: Ticket | null): void {
    this.demand.held--;
    this.leave(value, ticket, new HandedBackError(this.name, 'every branch has completed'));
  }
}
