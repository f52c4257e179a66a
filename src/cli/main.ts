#!/usr/bin/env node
/*
 * The `sluice` command. This file must load on any Node: what needs a new one is imported after the check.
 */

export {};

const needed = [22, 19] as const;

/** Why the command cannot run here; undefined: it can. */
function unfit(): string | undefined {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > needed[0] || (major === needed[0] && minor >= needed[1])) return undefined;
  return `it needs Node ${needed.join('.')} or newer, and this is Node ${process.versions.node}: https://nodejs.org`;
}

async function main(args: readonly string[]): Promise<number> {
  const why = unfit();
  if (why !== undefined) {
    process.stderr.write(`sluice: ${why}\n`);
    return 2;
  }
  const { command } = await import('./command.ts');
  return command(args);
}

// Nobody may be listening any more (`sluice … | head -1`), or a disk be full. The records matter, not the words.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

const code = await main(process.argv.slice(2));
// What is still open, such as a standard input that nobody ends, does not keep the process.
process.stdout.write('', () => process.exit(code));
