import { ignoreElements, lastValueFrom, timer } from 'rxjs';
import { PostgresConnections } from '../connectors/postgres.ts';
import type { CollectSettings } from './arguments.ts';
import { BadRecords } from './badRecords.ts';
import { BadRecordError, reason, UsageError } from './failures.ts';
import { openInput, type Input } from './input.ts';
import type { Interrupts } from './interrupts.ts';
import { pipeline, readable, type ReadRow } from './pipeline.ts';
import { collectSummary, startProgress } from './progress.ts';
import { parseRecord, type JsonRecord } from './record.ts';
import { supervise } from './supervise.ts';
import { Target } from './target.ts';
import { verdict } from './verdict.ts';
import { compileWhere, type Where } from './where.ts';

/** How many bad records in a row, at the start, are taken for a sign that something else is wrong. */
const maxBadAtStart = 100;

/** Runs `sluice collect`, and gives its exit code. Throws for what is found wrong before anything is written. */
export async function collect(settings: CollectSettings, interrupts: Interrupts): Promise<number> {
  const where: Where = settings.where === undefined ? () => true : compileWhere(settings.where);
  await using input = await openInput(settings.input, settings.types, settings.format);
  await using database = connect(settings.database);
  const stopAtBad = new AbortController();
  const prepare = async () => {
    const target = await Target.open(database, settings, () => soonRecord(input));
    const read: ReadRow = (line) => {
      const record = parseRecord(line);
      target.check(record);
      return { line, record, kept: where(record, line.record !== undefined) };
    };
    await checkStart(input, read, target, settings);
    return { target, read };
  };
  const { target, read } = await interrupts.orInterrupted(prepare());
  await using bad = await BadRecords.open(settings.onBadRecord, input.files, () => stopAtBad.abort());

  const progress = await startProgress(settings.verbose);
  const flow = pipeline({ input, read, target, bad, progress, settings });
  const { report, failure } = await supervise(flow, {
    progress,
    interrupts,
    stop: stopAtBad.signal,
    drainTimeoutMs: settings.drainTimeoutMs,
    verbose: settings.verbose,
    readable,
  });
  process.stdout.write(collectSummary(report));
  return verdict(report, failure, { bad, input, settings, interrupted: interrupts.drain.aborted });
}

function connect(connectionString: string): PostgresConnections {
  try {
    const pool = { application_name: 'sluice' };
    return new PostgresConnections({ connectionString, max: 2, closeTimeoutMs: 1_000, pool });
  } catch (error) {
    throw new UsageError(
      `--database: ${reason(error).replace(/^PostgresConnections: connectionString /, 'it ')}`,
    );
  }
}

/** The first record, if there is one within a second: an input may be silent for as long as it likes. */
async function soonRecord(input: Input): Promise<JsonRecord | undefined> {
  try {
    const line = await Promise.race([
      input.peek(),
      lastValueFrom(timer(1_000).pipe(ignoreElements()), { defaultValue: undefined }),
    ]);
    return line && parseRecord(line);
  } catch {
    return undefined; // what is wrong with it is another matter
  }
}

/** Checks the first record, before anything is written. Bad ones before it count only where one bad record is the end. */
async function checkStart(
  input: Input,
  read: ReadRow,
  target: Target,
  settings: CollectSettings,
): Promise<void> {
  let first: string | undefined;
  for (let n = 0; n < maxBadAtStart; n++) {
    const line = await input.peek();
    if (line === undefined) return;
    try {
      const { record, kept } = read(line);
      if (kept) await target.rehearse(record);
      return;
    } catch (error) {
      if (!(error instanceof BadRecordError)) throw error;
      const what = `${line.file}:${line.number}: ${error.message}`;
      if (settings.onBadRecord === 'fail') throw new UsageError(what);
      first ??= what;
    }
  }
  throw new UsageError(`none of the first ${maxBadAtStart} records is of use; the first: ${first ?? ''}`);
}
