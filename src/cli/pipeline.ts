import { boundedQueue } from '../../operators/boundedQueue.ts';
import { filterOr } from '../../operators/filterOr.ts';
import { poolMap } from '../../operators/poolMap.ts';
import { storeTo } from '../../operators/storeTo.ts';
import { classifyPostgresError } from '../connectors/postgres.ts';
import { counted } from '../counted.ts';
import { fromPull } from '../demand/fromPull.ts';
import type { ItemEvent } from '../flow/Run.ts';
import { exponential } from '../retry/RetryPolicy.ts';
import type { DeadLetter } from '../work/DeadLetter.ts';
import type { Sink } from '../work/Sink.ts';
import type { CollectSettings } from './arguments.ts';
import type { BadRecords } from './badRecords.ts';
import { BadRecordError, reason } from './failures.ts';
import type { Input } from './input.ts';
import type { Line } from './lines.ts';
import type { Progress } from './progress.ts';
import type { JsonRecord } from './record.ts';
import type { Target } from './target.ts';

/** A record on its way to the table. */
export interface Row {
  readonly line: Line;
  readonly record: JsonRecord;
  readonly kept: boolean;
}

/** Reads one line; throws `BadRecordError`. */
export type ReadRow = (line: Line) => Row;

/** A database that restarts is back within this: about a minute of waits in all. */
const databaseRetry = exponential({ initialMs: 500, maxMs: 10_000, maxRetries: 9, jitter: 'none' });

export interface Parts {
  readonly input: Input;
  readonly read: ReadRow;
  readonly target: Target;
  readonly bad: BadRecords;
  readonly progress: Progress;
  readonly settings: CollectSettings;
}

/** source → raw queue → transform → processed queue → filter → storage queue → store. */
export function pipeline({ input, read, target, bad, progress, settings }: Parts) {
  const { workers, batch } = settings;
  const unreadable = async ({ value, error }: DeadLetter<Line>): Promise<void> => {
    if (!(error instanceof BadRecordError)) throw error;
    await bad.take(value, error);
  };
  const refused = async ({ value, error }: DeadLetter<Row>): Promise<void> => {
    if (classifyPostgresError(error) !== 'data') throw error;
    await bad.take(value.line, await target.refusal(error, value.record));
  };
  return fromPull(input, { name: 'input' }).pipe(
    boundedQueue({ capacity: 100, name: 'raw queue' }),
    // In the order of the input: of two records with one key, the later is stored last.
    poolMap((line: Line) => Promise.resolve(read(line)), {
      concurrency: workers,
      ordered: true,
      onFailure: unreadable,
      name: 'transform',
    }),
    boundedQueue({ capacity: 100, name: 'processed queue' }),
    filterOr(({ kept }) => kept, { name: 'filter' }),
    boundedQueue({ capacity: 100, name: 'storage queue' }),
    storeTo(sinkOf(target, progress), {
      maxItems: batch,
      retry: databaseRetry,
      onFailure: refused,
      name: 'store',
    }),
  );
}

/** The table, which says when it has to try again. */
function sinkOf({ sink }: Target, progress: Progress): Sink<Row> {
  return {
    classify: sink.classify,
    close: () => sink.close(),
    async store(rows, context) {
      try {
        await sink.store(
          rows.map(({ record }) => record),
          context,
        );
      } catch (error) {
        if (sink.classify(error) === 'retry' && !context.signal.aborted) {
          progress.note(
            `storing ${counted(rows.length, 'record')}, attempt ${context.attempt}: ${reason(error)}`,
          );
        }
        throw error;
      }
    },
  };
}

/** The line that an item of the pipeline was made of. */
export function lineOf(value: unknown): Line | undefined {
  const { line, number } = value as Partial<Row & Line>;
  return line ?? (number === undefined ? undefined : (value as Line));
}

/** The event with its record as it stands in the input. */
export function readable(event: ItemEvent): ItemEvent {
  const line = lineOf(event.value);
  return line ? { ...event, value: `line ${line.number} ${line.text}` } : event;
}
