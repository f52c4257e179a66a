import type { FlowReport, FlowStats } from '../flow/report.ts';
import { say } from './say.ts';

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
      say(text);
      spinner.start();
    },
    stop() {
      spinner.stop();
    },
  };
}

function inLines(): Progress {
  let nextMs = lineEveryMs;
  return {
    show(stats) {
      if (stats.elapsedMs < nextMs) return;
      nextMs = stats.elapsedMs + lineEveryMs;
      say(figures(stats));
    },
    note: say,
    stop: () => undefined,
  };
}

const count = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 0 });

function figures(stats: FlowStats): string {
  const { itemsIn, delivered, stored, rejected, dead, retried, setAside, itemsPerSecond } = stats;
  const done = storesIn(stats) ? `stored ${count(stored)}` : `delivered ${count(delivered)}`;
  const parts = [`read ${count(itemsIn)}`, done, `rejected ${count(rejected)}`];
  if (dead > 0) parts.push(`bad ${count(dead)}`);
  if (setAside > 0) parts.push(`set aside ${count(setAside)}`);
  if (retried > 0) parts.push(`retried ${count(retried)}`);
  return `${parts.join(' · ')} · ${count(itemsPerSecond)}/s`;
}

/** Whether `storeTo` is part of the flow: only it knows what was stored. A sink of the user's own may be any stage. */
function storesIn({ stages }: FlowStats): boolean {
  return stages.some(({ operator }) => operator === 'storeTo');
}

/** A row of a summary; undefined: there is nothing to say. */
type Figure = readonly [name: string, value: string] | undefined;

const figure = (name: string, value: number): Figure => [name, count(value)];
const figureIfAny = (name: string, value: number): Figure => (value > 0 ? figure(name, value) : undefined);

/** The figures of `sluice collect`, at its end. */
export function collectSummary(report: FlowReport): string {
  return summary(report, [
    figure('stored', report.stored),
    figure('rejected', report.rejected),
    figure('bad', report.dead),
    figure('retried', report.retried),
  ]);
}

/** The figures of `sluice run`, at its end: those of the report. */
export function runSummary(report: FlowReport): string {
  return summary(report, [
    figure('delivered', report.delivered),
    storesIn(report) ? figure('stored', report.stored) : undefined,
    figure('rejected', report.rejected),
    figureIfAny('dropped', report.dropped),
    figureIfAny('set aside', report.setAside),
    figure('dead', report.dead),
    figure('retried', report.retried),
  ]);
}

function summary(report: FlowReport, figures: readonly Figure[]): string {
  const seconds = report.elapsedMs / 1_000;
  const rows = [
    figure('processed', report.itemsIn),
    ...figures,
    figureIfAny('left over', report.leftOver),
    ['elapsed', `${seconds.toFixed(seconds < 10 ? 2 : 0)} s`] as const,
    figure('items/s', report.itemsPerSecond),
  ];
  const lines = rows.flatMap((row) => (row ? [`${row[0].padEnd(10)} ${row[1].padStart(12)}`] : []));
  return `${[...lines, report.explain()].join('\n')}\n`;
}
