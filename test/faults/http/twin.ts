import { expect } from 'vitest';
import type * as doors from 'sluice/http';
import { mutant, type Sabotage } from '../../support/mutant.ts';

/** The door under test, or a twin of it with one protection switched off. */
export type Http = typeof doors;

/** The same door, broken. */
export const twin = (sabotage: Sabotage): Promise<Http> => mutant<Http>('src/connectors/http.ts', sabotage);

/** That a check finds the fault: it must fail, and as a check does. */
export async function mustFail(check: Promise<unknown>): Promise<void> {
  await expect(check).rejects.toMatchObject({ name: 'AssertionError' });
}

/** Bodies that break off count as whole. */
export const forgivesTruncation: Sabotage = {
  file: 'src/connectors/http/body.ts',
  find: 'for await (const chunk of body as AsyncIterable<Buffer>) {\n    bytes += chunk.length;\n    if (bytes > maxBytes)',
  replace: `const forgiving = (async function* () { try { yield* body; } catch {} })();
  for await (const chunk of forgiving) {\n    bytes += chunk.length;\n    if (bytes > maxBytes)`,
};

export const head = (status: string, ...headers: string[]): string =>
  [`HTTP/1.1 ${status}`, ...headers, '', ''].join('\r\n');

export const ok = (body: string): string =>
  head('200 OK', `content-length: ${Buffer.byteLength(body)}`) + body;

/** The path of a request. */
export const pathOf = (request: string): string => request.split(' ')[1] ?? '';

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What a promise comes to, or `'nothing'` if it has come to nothing in that time. */
export async function outcome(promise: Promise<unknown>, withinMs: number): Promise<unknown> {
  const settled = promise.then(
    () => 'success',
    (error: unknown) => error,
  );
  return Promise.race([settled, sleep(withinMs).then(() => 'nothing')]);
}
