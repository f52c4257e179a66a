// What runs in a thread: calls one function of the user's module at a time.
import { parentPort } from 'node:worker_threads';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { partsOf, type Thrown } from './thrown.ts';
import { movedOf } from './transfer.ts';

/** One call, as it is sent to a thread. */
export interface Call {
  readonly module: string;
  readonly task: string;
  readonly value: unknown;
  /** Who is told when the module is loaded and the function is called. */
  readonly began?: number | undefined;
}

/** The function of the call with this number is being called. */
export interface Began {
  readonly sluiceBegan: number;
}

/** What comes back. */
export type Answer =
  | { readonly result: unknown }
  | { readonly thrown: Thrown }
  | { readonly unusable: string; readonly why: Thrown | undefined };

export async function run({ module, task, value, began }: Call): Promise<Answer> {
  let exported: Record<string, unknown>;
  try {
    exported = (await import(module)) as Record<string, unknown>;
  } catch (error) {
    const why = error instanceof Error ? error.message : typeof error;
    return { unusable: `the module ${module} cannot be loaded: ${why}`, why: partsOf(error) };
  }
  const call = exported[task];
  if (typeof call !== 'function') {
    const names = Object.keys(exported).join(', ');
    return { unusable: `the module ${module} exports no function '${task}', but ${names}`, why: undefined };
  }
  if (began !== undefined) parentPort?.postMessage({ sluiceBegan: began } satisfies Began);
  let result: unknown;
  try {
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
