import type { Observable } from 'rxjs';
import { debugLine } from '../flow/debug.ts';
import type { FlowReport } from '../flow/report.ts';
import type { ItemEvent } from '../flow/Run.ts';
import { runFlow } from '../flow/runFlow.ts';
import type { Interrupts } from './interrupts.ts';
import type { Progress } from './progress.ts';

export interface Supervision {
  readonly progress: Progress;
  readonly interrupts: Interrupts;
  /** Drains as well; absent: only the interrupts do. */
  readonly stop?: AbortSignal;
  readonly drainTimeoutMs: number;
  readonly verbose: boolean;
  /** What is told of an item under `--verbose`. */
  readonly readable?: (event: ItemEvent) => ItemEvent;
}

/** How a flow ended: its report, and the error with which it failed, if it did. */
export interface Ending {
  readonly report: FlowReport;
  readonly failure: { readonly error: unknown } | undefined;
}

/** Runs a flow to its end, whatever that is, with its progress shown and stopped by the user's signals. */
export async function supervise(
  flow: Observable<unknown>,
  { progress, interrupts, stop, drainTimeoutMs, verbose, readable = (event) => event }: Supervision,
): Promise<Ending> {
  const run = runFlow(flow, {
    drainSignal: stop ? AbortSignal.any([interrupts.drain, stop]) : interrupts.drain,
    signal: interrupts.abort,
    drainTimeoutMs,
    onWarning: (message) => progress.note(message),
    ...(verbose && {
      debug: (event) => progress.note(debugLine(readable(event)).replace('[sluice] ', '')),
    }),
  });
  const watching = run.stats$.subscribe({
    next: (stats) => progress.show(stats),
    error: () => undefined, // it never does: `run` itself tells
  });
  const drained = () => progress.note('stopping: finishing what was read; once more stops at once');
  interrupts.drain.addEventListener('abort', drained);

  let failure: Ending['failure'];
  await run.then(
    () => undefined,
    (error: unknown) => {
      failure = { error };
    },
  );
  // Not by a signal, of which the first one drains.
  if (interrupts.abort.aborted && !interrupts.drain.aborted) failure ??= { error: interrupts.abort.reason };
  interrupts.drain.removeEventListener('abort', drained);
  watching.unsubscribe();
  progress.stop();
  return { report: run.report(), failure };
}
