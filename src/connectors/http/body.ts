import { pipeline, type Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { Dispatcher } from 'undici';
import { HttpBodyError } from '../../errors.ts';
import type { PreparedRequest } from './target.ts';

/** What we can undo, in the words of `accept-encoding`. */
export const acceptedEncodings = 'gzip, deflate, br';

/** The most that is read of an unwanted body in order to keep its connection; a larger one costs the connection. */
const maxDrainBytes = 65_536;
const maxDrainMs = 500;
const maxDetailCharacters = 1_024;

function decompressor(encoding: string): Transform | undefined {
  if (encoding === 'gzip' || encoding === 'x-gzip') return createGunzip();
  if (encoding === 'deflate') return createInflate();
  return encoding === 'br' ? createBrotliDecompress() : undefined;
}

/** The body as it was before it was compressed. Destroying the result destroys the body, and an error comes through. */
function decoded(request: PreparedRequest, body: Readable, contentEncoding: unknown): Readable {
  const encoding = typeof contentEncoding === 'string' ? contentEncoding.trim().toLowerCase() : 'identity';
  if (encoding === 'identity' || encoding === '') return body;
  const decoder = decompressor(encoding);
  if (decoder === undefined) throw new HttpBodyError(request, 'encoding');
  return pipeline(body, decoder, () => undefined);
}

/** Reads the whole body. */
export async function readBytes(
  request: PreparedRequest,
  body: Readable,
  maxBytes: number,
): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new HttpBodyError(request, 'tooLarge');
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes);
}

/** The text of a whole body, in `charset`: what is not in it is an error, and not replaced in silence. */
export function textOf(request: PreparedRequest, bytes: Uint8Array, charset = 'utf-8'): string {
  try {
    return new TextDecoder(charset, { fatal: true }).decode(bytes);
  } catch {
    throw new HttpBodyError(request, 'charset');
  }
}

/** What a `Content-Type` says of the character set. */
export function charsetOf(contentType: string | string[] | undefined): string | undefined {
  return /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(String(contentType))?.[1];
}

/**
 * Reads a body that nobody wants, so that its connection can be used again; gives its beginning. Never fails: what is too
 * large, too slow or broken is left, and costs the connection.
 */
export async function drain(
  request: PreparedRequest,
  body: Readable,
  headers: Readonly<Record<string, unknown>>,
): Promise<string> {
  if (Number(headers['content-length']) > maxDrainBytes) return '';
  const timer = setTimeout(() => body.destroy(), maxDrainMs);
  let beginning = Buffer.alloc(0);
  let bytes = 0;
  try {
    for await (const chunk of decoded(request, body, headers['content-encoding']) as AsyncIterable<Buffer>) {
      if (bytes < maxDetailCharacters) beginning = Buffer.concat([beginning, chunk]);
      bytes += chunk.length;
      if (bytes > maxDrainBytes) break;
    }
  } catch {
    // The status is what counts.
  } finally {
    clearTimeout(timer);
  }
  return new TextDecoder().decode(beginning).slice(0, maxDetailCharacters);
}

/** The body of an answer as it was before it was compressed. Where there is none, its headers may speak of one. */
export function bodyOf(
  request: PreparedRequest,
  { statusCode, headers, body }: Dispatcher.ResponseData,
): Readable {
  const isEmpty = request.method === 'HEAD' || statusCode === 204 || Number(headers['content-length']) === 0;
  return isEmpty ? body : decoded(request, body, headers['content-encoding']);
}

/** The cause is left out: V8 quotes the text in it. */
export function parseJson(request: PreparedRequest, text: string, line?: number): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new HttpBodyError(request, 'json', line === undefined ? {} : { line });
  }
}
