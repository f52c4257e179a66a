import type { ItemEvent } from './Run.ts';

/** Characters of a value that a line of the log shows. */
const SHOWN = 80;

/** The log of the debug mode, where the environment asks for it: `SLUICE_DEBUG=1`. */
export function debugTracer(): ((event: ItemEvent) => void) | undefined {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  const wanted = process?.env?.['SLUICE_DEBUG'];
  if (wanted === undefined || wanted === '' || wanted === '0') return undefined;
  return (event) => {
    console.error(debugLine(event));
  };
}

/** One line of the debug log. It shows values: it is switched on on purpose. */
export function debugLine({ stage, event, value, worker, attempt, error }: ItemEvent): string {
  const by = worker === undefined ? '' : ` worker ${worker}`;
  const tries = attempt === undefined ? '' : ` attempt ${attempt}`;
  const why = error === undefined ? '' : ` error ${shown(error instanceof Error ? error.message : error)}`;
  return `[sluice] ${stage} ${event}${by}${tries} value ${shown(value)}${why}`;
}

function shown(value: unknown): string {
  let text: string | undefined;
  try {
    text =
      typeof value === 'string'
        ? value
        : JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v));
  } catch {
    text = undefined;
  }
  text ??= String(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN - 1)}…` : text;
}
