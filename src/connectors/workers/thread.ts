// What runs in a thread: calls one function of the user's module at a time.
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { partsOf, type Thrown } from './thrown.ts';
import { movedOf } from './transfer.ts';

/** One call, as it is sent to a thread. */
export interface Call {
  readonly module: string;
  readonly task: string;
  readonly value: unknown;
}

/** What comes back. */
export type Answer = { readonly result: unknown } | { readonly thrown: Thrown };

export async function run({ module, task, value }: Call): Promise<Answer> {
  let result: unknown;
  try {
    const exported = (await import(module)) as Record<string, unknown>;
    const call = exported[task];
    if (typeof call !== 'function') {
      throw new TypeError(
        `workers: the module exports no function '${task}', but ${Object.keys(exported).join(', ')}`,
      );
    }
    result = await (call as (value: unknown) => unknown)(value);
  } catch (error) {
    return { thrown: partsOf(error) };
  }
  const moved = movedOf(result);
  if (!moved) return { result };
  // The way in which piscina is told what to move.
  const answer = { [transferableSymbol]: moved.parts, [valueSymbol]: { result: moved.value } };
  return move(answer) as never;
}
