import { warnOf, type Run } from '../flow/Run.ts';
import { under } from '../tickets/current.ts';
import { toldOf } from './toldOf.ts';

/** What a hook belongs to: a stage, or what stands for one. */
export interface HookOwner {
  readonly name: string;
  readonly runBelow: Run | undefined;
  /** It can fail no more. */
  readonly over: boolean;
  fail(error: unknown): void;
}

/** A function of the user's that is told of items, and not waited for but by the end of the run. */
export interface ItemHook<T> {
  /** What it throws is for the caller; with what a promise rejects, it has `failed`. */
  tell(value: T): void;
  /** The first failure ends the stream, or, where that is over, is a warning. What follows is not heard. */
  failed(error: unknown): void;
}

export function itemHook<T>(told: (value: T) => unknown, name: string, owner: HookOwner): ItemHook<T> {
  let hasFailed = false;
  const failed = (error: unknown): void => {
    if (hasFailed) return;
    hasFailed = true;
    if (owner.over) warnOf(owner.runBelow, owner.name, name, error);
    else owner.fail(error);
  };
  const tell = (value: T): void => {
    const heard = under(null, () => toldOf(told, value, failed));
    if (heard) void owner.runBelow?.waitFor(heard, `${owner.name}: a promise of ${name} is still pending`);
  };
  return { tell, failed };
}
