import type { FlowStats } from '../flow/report.ts';

/** What the user sees while it runs, on standard error: standard output is for the result. */
export interface Progress {
  show(stats: FlowStats): void;
  /** Says something, on a line of its own. */
  note(text: string): void;
  stop(): void;
}

/** Milliseconds between two lines where there is no terminal. */
const lineEveryMs = 5_000;

/** A line that lives, on a terminal; a line now and then elsewhere. */
export async function startProgress(verbose: boolean): Promise<Progress> {
  // A terminal that does not know its width cannot be drawn on.
  const live = process.stderr.isTTY && process.stderr.columns > 0 && !verbose;
  return live ? onTerminal() : inLines();
}

async function onTerminal(): Promise<Progress> {
  const { default: ora } = await import('ora');
  const spinner = ora({ text: 'starting', discardStdin: false }).start();
  return {
    show(stats) {
      spinner.text = figures(stats);
    },
    note(text) {
      spinner.stop();
      process.stderr.write(`sluice: ${text}\n`);
      spinner.start();
    },
    stop() {
      spinner.stop();
    },
  };
}

function inLines(): Progress {
  let nextMs = lineEveryMs;
  const note = (text: string): void => void process.stderr.write(`sluice: ${text}\n`);
  return {
    show(stats) {
      if (stats.elapsedMs < nextMs) return;
      nextMs = stats.elapsedMs + lineEveryMs;
      note(figures(stats));
    },
    note,
    stop: () => undefined,
  };
}

const count = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 0 });

function figures({ itemsIn, stored, rejected, dead, retried, itemsPerSecond }: FlowStats): string {
  const parts = [`read ${count(itemsIn)}`, `stored ${count(stored)}`, `rejected ${count(rejected)}`];
  if (dead > 0) parts.push(`bad ${count(dead)}`);
  if (retried > 0) parts.push(`retried ${count(retried)}`);
  return `${parts.join(' · ')} · ${count(itemsPerSecond)}/s`;
}

/** The figures of a run that has ended; `delivered`: what came out at its end, where that is of interest. */
export function summary(stats: FlowStats, explanation: string, delivered?: number): string {
  const seconds = stats.elapsedMs / 1_000;
  const rows: [string, string][] = [
    ['processed', count(stats.itemsIn)],
    ...(delivered === undefined ? [] : [['delivered', count(delivered)] as [string, string]]),
    ['stored', count(stats.stored)],
    ['rejected', count(stats.rejected)],
    ['bad', count(stats.dead)],
    ['retried', count(stats.retried)],
    ...(stats.leftOver > 0 ? [['left over', count(stats.leftOver)] as [string, string]] : []),
    ['elapsed', `${seconds.toFixed(seconds < 10 ? 2 : 0)} s`],
    ['items/s', count(stats.itemsPerSecond)],
  ];
  const lines = rows.map(([name, value]) => `${name.padEnd(10)} ${value.padStart(12)}`);
  return `${[...lines, explanation].join('\n')}\n`;
}
