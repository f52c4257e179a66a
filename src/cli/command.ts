import { readFileSync } from 'node:fs';
import { collectSettings, runSettings, usage } from './arguments.ts';
import { account, Interrupted, UsageError, withoutPackage } from './failures.ts';
import { Interrupts } from './interrupts.ts';
import { say } from './say.ts';

/** Runs the command, and gives its exit code. */
export async function command(args: readonly string[]): Promise<number> {
  // What stands behind `--` is for the module that is run.
  const own = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  if (own.includes('--help') || own.includes('-h')) {
    process.stdout.write(usage);
    return 0;
  }
  if (own.includes('--version')) {
    process.stdout.write(`${version()}\n`);
    return 0;
  }
  using interrupts = new Interrupts();
  try {
    if (args[0] === 'run') {
      const settings = runSettings(args.slice(1));
      const { run } = await import('./run.ts');
      return await run(settings, interrupts);
    }
    const settings = collectSettings(argumentsOfCollect(args), process.env);
    const { collect } = await import('./collect.ts');
    return await collect(settings, interrupts);
  } catch (thrown) {
    const error = withoutPackage(thrown) ?? thrown; // drivers are optional for who uses the library
    if (error instanceof Interrupted) {
      say(args[0] === 'run' ? 'stopped before it began' : 'stopped before anything was written');
      return 130;
    }
    say(account(error, own.includes('--verbose')));
    const nothing = args[0] === 'run' ? 'nothing was run' : 'nothing was written';
    say(error instanceof UsageError ? `${nothing}; sluice --help says what there is` : nothing);
    return error instanceof UsageError ? 2 : 1;
  }
}

/** The command is built into `dist`, one folder below the package. */
function version(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/** `collect` may be left out. */
function argumentsOfCollect(args: readonly string[]): readonly string[] {
  const [first, ...rest] = args;
  if (first === 'collect') return rest;
  if (first === undefined)
    throw new UsageError(
      'say what to do: sluice collect --input FILE --database URL --table NAME --key FIELD, or sluice run MODULE',
    );
  if (first.startsWith('-')) return args;
  throw new UsageError(`there is no command '${first}', only collect and run`);
}
