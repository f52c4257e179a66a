// What the tests of threads share: the module that they run, pools with and without sluice, and what became of items.
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { tap } from 'rxjs';
import { fromPull, poolMap, runFlow, type Work } from 'sluice';
import type * as TaskModule from './tasks.ts';

export type Tasks = typeof TaskModule;
export type Trouble = Parameters<Tasks['trouble']>[0];

export const tasks = new URL('./tasks.ts', import.meta.url);
export const worker = { resourceLimits: { maxOldGenerationSizeMb: 32 } };

/** piscina without sluice: calls the module's functions itself. */
export function bare(threads: number, callsEach = 1): Piscina {
  return new Piscina({
    filename: fileURLToPath(tasks),
    minThreads: threads,
    maxThreads: threads,
    concurrentTasksPerWorker: callsEach,
    resourceLimits: worker.resourceLimits,
  });
}

export interface Outcome {
  readonly results: readonly number[];
  readonly dead: readonly { readonly value: Trouble; readonly error: unknown }[];
}

export async function outcomeOf(
  items: readonly Trouble[],
  concurrency: number,
  work: Work<Trouble, Promise<number>>,
): Promise<Outcome> {
  const results: number[] = [];
  const dead: { value: Trouble; error: unknown }[] = [];
  const pool = poolMap(work, {
    concurrency,
    onFailure: ({ value, error }) => {
      dead.push({ value, error });
    },
  });
  await runFlow(
    fromPull(items).pipe(
      pool,
      tap((result) => results.push(result)),
    ),
  );
  return { results, dead };
}

export const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
export const doubled = (items: readonly Trouble[]): number[] =>
  items.filter((item) => typeof item === 'number').map((n) => n * 2);
export const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

/** Counts the threads that are started with what it gives, by a file to which each adds. */
export class Starts {
  readonly #file = join(mkdtempSync(join(tmpdir(), 'sluice-starts-')), 'starts');

  counted(then = ''): string[] {
    const add = `(await import('node:fs')).appendFileSync(${JSON.stringify(this.#file)}, '.');`;
    return ['--import', `data:text/javascript,${encodeURIComponent(add + then)}`];
  }

  /** When there have been so many, and no more for a while. */
  async count(atLeast = 1): Promise<number> {
    const now = (): number => (existsSync(this.#file) ? readFileSync(this.#file, 'utf8').length : 0);
    for (let ms = 0; ms < 20_000 && now() < atLeast; ms += 20) await sleep(20);
    await sleep(400);
    return now();
  }
}
