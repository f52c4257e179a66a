import { stat } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Observable } from 'rxjs';
import { counted } from '../counted.ts';
import { codeOf } from '../errors.ts';
import type { FlowReport } from '../flow/report.ts';
import type { RunSettings } from './arguments.ts';
import { account, reason, RunError, UsageError, withoutPackage } from './failures.ts';
import type { Interrupts } from './interrupts.ts';
import { runSummary, startProgress } from './progress.ts';
import { say } from './say.ts';
import { supervise } from './supervise.ts';

/** What a module that is run may ask for. */
export interface RunContext {
  /** Aborted when everything is to stop at once. */
  readonly signal: AbortSignal;
  /** What stands behind `--` on the command line. */
  readonly args: readonly string[];
}

/** Runs `sluice run`, and gives its exit code. Throws for what is found wrong before the flow is started. */
export async function run(settings: RunSettings, interrupts: Interrupts): Promise<number> {
  const context = { signal: interrupts.abort, args: settings.args };
  const flow = await interrupts.orInterrupted(flowOf(settings.module, context));

  const progress = await startProgress(settings.verbose);
  // What the module writes there is data. That nobody reads on is no failure of its.
  const broken = new AbortController();
  const onError = (error: unknown): void => {
    if (codeOf(error) !== 'EPIPE') broken.abort(new RunError(`standard output: ${reason(error)}`));
  };
  process.stdout.on('error', onError);
  const { report, failure } = await supervise(flow, {
    progress,
    interrupts,
    stop: broken.signal,
    drainTimeoutMs: settings.drainTimeoutMs,
    verbose: settings.verbose,
  });
  process.stdout.off('error', onError);
  process.stdout.write(runSummary(report));
  const unwritten = broken.signal.aborted ? { error: broken.signal.reason as unknown } : undefined;
  return verdict(report, failure ?? unwritten, {
    interrupted: interrupts.drain.aborted,
    verbose: settings.verbose,
  });
}

async function flowOf(path: string, context: RunContext): Promise<Observable<unknown>> {
  const file = resolve(path);
  const kind = await stat(file).catch((error: unknown) => {
    throw new UsageError(`${path}: ${codeOf(error) === 'ENOENT' ? 'there is no such file' : reason(error)}`);
  });
  if (!kind.isFile()) throw new UsageError(`${path}: it is not a file`);
  const exported = await load(path, file);
  const made: unknown = typeof exported === 'function' ? await call(path, exported, context) : exported;
  if (isFlow(made)) return made;
  throw new UsageError(
    `${path}: its default export, or 'flow', must be an Observable or a function that gives one`,
  );
}

async function load(path: string, file: string): Promise<unknown> {
  try {
    const module = (await import(pathToFileURL(file).href)) as { default?: unknown; flow?: unknown };
    return module.default ?? module.flow;
  } catch (error) {
    const what = withoutPackage(error)?.message ?? account(error, false);
    // What `npm init` writes into package.json makes CommonJS of `.ts` and `.js`.
    const asModule = /import statement outside a module|Unexpected token 'export'/.test(what)
      ? `; call it ….m${extname(path).slice(1)}, or say "type": "module" in package.json`
      : '';
    const at = /(?:^|file:\/\/)(\/.+?:\d+)/.exec((error as Partial<Error> | null)?.stack ?? '')?.[1];
    const where = at === undefined ? '' : ` (${at})`;
    throw new UsageError(`${path} cannot be loaded: ${what}${where}${asModule}`, { cause: error });
  }
}

async function call(path: string, make: object, context: RunContext): Promise<unknown> {
  try {
    return await (make as (context: RunContext) => unknown)(context);
  } catch (error) {
    throw new UsageError(`${path}: its function failed: ${account(error, false)}`, { cause: error });
  }
}

function isFlow(made: unknown): made is Observable<unknown> {
  return typeof (made as { subscribe?: unknown } | null | undefined)?.subscribe === 'function';
}

function verdict(
  report: FlowReport,
  failure: { readonly error: unknown } | undefined,
  { interrupted, verbose }: { readonly interrupted: boolean; readonly verbose: boolean },
): number {
  if (failure) say(account(failure.error, verbose));
  if (report.leftOver > 0) {
    const stages = [...new Set(report.left.map(({ stage }) => stage))].join(', ');
    say(`left over: ${counted(report.leftOver, 'item')} without an outcome, in ${stages}`);
  }
  if (interrupted) return 130;
  return failure || report.end === 'aborted' ? 1 : 0;
}
