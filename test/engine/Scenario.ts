import { vi } from 'vitest';
import type * as sluice from 'sluice';
import type { FlowReport, FlowRun } from 'sluice';
import type { Sabotage } from '../support/mutant.ts';

/** The library, or a twin of it with one change. */
export type Sluice = typeof sluice;

/** A change that must make its scenario throw. */
export interface Twin extends Sabotage {
  readonly says: string;
}

/** A fault that the engine has to withstand. */
export interface Scenario {
  /** A fact, in the present tense. */
  readonly says: string;
  /** Throws where the fact does not hold. */
  readonly check: (lib: Sluice) => Promise<void>;
  readonly twins: readonly Twin[];
}

export const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The report of a run that ends within `ms` of virtual time, failed or not. Throws where it does not: nothing may hang. */
export async function endOf(run: FlowRun, ms: number): Promise<FlowReport> {
  let ended = false;
  const over = (): void => {
    ended = true;
  };
  void run.then(over, over);
  await vi.advanceTimersByTimeAsync(ms);
  if (!ended) {
    void run.abort();
    throw new Error(`no end within ${ms} ms: ${JSON.stringify(run.report().stages)}`);
  }
  return run.report();
}
