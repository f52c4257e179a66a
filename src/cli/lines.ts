import { UsageError } from './failures.ts';

/** One line of the input. */
export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
  /** Why it is of no use whatever it says. */
  readonly fault?: string;
}

/** Bytes that a line may have: what does not end would fill the memory. */
export const maxLineBytes = 16_777_216;

const newline = 10;

/**
 * Cuts bytes into lines of UTF-8, without their `\n` or `\r\n`; blank ones are counted and left out.
 *
 * @throws `UsageError` for a line longer than `maxBytes`.
 */
export async function* cutLines(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes = maxLineBytes,
): AsyncGenerator<Line, undefined> {
  let number = 0;
  let parts: Uint8Array[] = [];
  let length = 0;

  const keep = (part: Uint8Array): void => {
    parts.push(part);
    length += part.length;
    if (length > maxBytes)
      throw new UsageError(`line ${number + 1} is longer than ${maxBytes} bytes: is this NDJSON?`);
  };
  const take = (): Line | undefined => {
    const line = lineOf(++number, parts.length === 1 ? parts[0]! : Buffer.concat(parts));
    parts = [];
    length = 0;
    return line;
  };

  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      keep(chunk.subarray(start, end));
      start = end + 1;
      const line = take();
      if (line) yield line;
    }
    if (start < chunk.length) keep(chunk.subarray(start));
  }
  const line = length > 0 ? take() : undefined;
  if (line) yield line;
  return undefined;
}

const strict = new TextDecoder('utf-8', { fatal: true });

function lineOf(number: number, bytes: Uint8Array): Line | undefined {
  try {
    return nonBlank(number, strict.decode(bytes));
  } catch {
    return { number, text: Buffer.from(bytes).toString('latin1'), fault: 'it is not UTF-8' };
  }
}

/** The line, unless nothing is on it. */
function nonBlank(number: number, text: string): Line | undefined {
  const line = text.endsWith('\r') ? text.slice(0, -1) : text;
  return line.trim() === '' ? undefined : { number, text: line };
}
