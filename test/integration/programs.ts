import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export const cli = `${root}dist/cli.js`;
export const example = `${root}examples/orders/main.ts`;

/** Builds the package if a source is newer than what was built: programs are tested as users start them. */
export function freshBuild(): void {
  const script = `${root}scripts/build-if-changed.mjs`;
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the build fails:\n${stdout}${stderr}`);
}

export interface Ended {
  /** The exit code; null after a signal that was not handled. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Program {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

export interface StartOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Arguments of Node itself. */
  readonly node?: readonly string[];
  /** All of standard input; absent: it stays open. */
  readonly input?: string | Uint8Array;
  /** An output that is on a disk without room. */
  readonly full?: 'stdout' | 'stderr';
}

/** Starts a program of ours on this Node. */
export function start(
  program: string,
  args: readonly string[],
  { env, node = [], input, full }: StartOptions = {},
): Program {
  const disk = full && openSync('/dev/full', 'w');
  const output = (name: 'stdout' | 'stderr') => (name === full ? disk : 'pipe');
  const child = spawn(process.execPath, [...node, program, ...args], {
    env: { ...process.env, ...env },
    stdio: ['pipe', output('stdout'), output('stderr')],
  });
  if (disk !== undefined) closeSync(disk);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin?.on('error', () => undefined);
  if (input !== undefined) child.stdin?.end(input);
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return { child, ended };
}

/** Runs it to its end. */
export function run(program: string, args: readonly string[], options: StartOptions = {}): Promise<Ended> {
  return start(program, args, { input: '', ...options }).ended;
}

/** The number in the line of a summary that begins with `name`. */
export function figure({ stdout }: Ended, name: string): number {
  const line = stdout.split('\n').find((text) => text.startsWith(name));
  return Number((/([\d,.]+)/.exec(line?.slice(name.length) ?? '')?.[1] ?? 'NaN').replaceAll(',', ''));
}
