import { counted } from '../counted.ts';
import type { FlowReport } from '../flow/report.ts';
import type { CollectSettings } from './arguments.ts';
import type { BadRecords } from './badRecords.ts';
import { account, UsageError } from './failures.ts';
import type { Input } from './input.ts';
import { lineOf } from './pipeline.ts';
import { say } from './say.ts';

export interface Ending {
  readonly bad: BadRecords;
  readonly input: Input;
  readonly settings: CollectSettings;
  readonly interrupted: boolean;
}

/** Says on standard error how it ended, if not well; gives the exit code. */
export function verdict(
  report: FlowReport,
  failure: { readonly error: unknown } | undefined,
  { bad, input, settings, interrupted }: Ending,
): number {
  const stoppedAt = settings.onBadRecord === 'fail' ? bad.first : undefined;
  if (failure) say(account(failure.error, settings.verbose));
  if (stoppedAt) {
    say(stoppedAt.what);
    const more = bad.count - 1;
    const others = more === 0 ? '' : `; of those read ${more} more ${more === 1 ? 'was' : 'were'} bad`;
    say(`stopped at this record${others}`);
  }
  if (report.leftOver > 0)
    say(`left over: ${counted(report.leftOver, 'record')} read and not stored${linesOf(report)}`);
  if (interrupted || stoppedAt || failure) {
    const stored = counted(report.stored, 'record');
    say(`${input.lastFile} was read up to line ${input.lastLine}; ${stored} stored`);
    say(`with --key ${settings.key.join(',')} it is safe to run the same again`);
  }
  if (interrupted) return 130;
  if (failure) return failure.error instanceof UsageError ? 2 : 1;
  if (stoppedAt) return 2;
  return report.end === 'aborted' ? 1 : 0;
}

/** The lines of what was handed back, from the first to the last. */
function linesOf({ left }: FlowReport): string {
  const numbers = left.flatMap(({ value }) => lineOf(value)?.number ?? []).sort((a, b) => a - b);
  return numbers.length === 0 ? '' : `, between lines ${numbers[0]} and ${numbers.at(-1)}`;
}
