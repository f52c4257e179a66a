import { createHash, randomUUID } from 'node:crypto';
import { HttpItemError, InvalidOptionError } from '../../errors.ts';
import { connectionsOf, counting } from '../../metrics/connections.ts';
import { oneOf } from '../../options.ts';
import type { Sink, SinkContext } from '../../work/Sink.ts';
import { classifyHttpError } from './classify.ts';
import type { HttpConnections } from './connections.ts';
import { requestOf, type HttpRequest, type HttpTarget } from './target.ts';

export interface ToHttpOptions<T> {
  /** How a batch is written: one JSON text a line, or one array. @defaultValue 'ndjson' */
  readonly format?: 'ndjson' | 'json';
  /**
   * What the header `Idempotency-Key` is made of. `'batch'`: one for each batch, the same at each attempt, and another one
   * for an equal batch. `'content'`: a digest of the request, the same after a restart; but of two batches that are equal
   * byte by byte, a server that heeds it keeps one. A function: what you make of the items. @defaultValue 'batch'
   */
  readonly idempotencyKey?: 'batch' | 'content' | ((items: readonly T[]) => string);
}

/**
 * A sink for `storeTo` that sends each batch in one request, `POST` unless the target says otherwise. An answer of 2xx
 * means that all of its items are stored.
 *
 *     storeTo(toHttp<Reading>(http, 'https://api.example/readings'), { retry: delays([500, 2_000]) })
 *
 * Each request has an `Idempotency-Key`, so that it may be repeated where the answer was lost: whether a repeated one is
 * stored once is up to the server. A batch that is cut in halves has new keys. What becomes of which failure is in the
 * table of `classifyHttpError`.
 *
 * @param target Where to; a function may choose by the items. Its body is left out.
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function toHttp<T>(
  http: HttpConnections,
  target: HttpTarget | ((items: readonly T[]) => HttpTarget),
  { format = 'ndjson', idempotencyKey = 'batch' }: ToHttpOptions<T> = {},
): Required<Pick<Sink<T>, 'store' | 'classify'>> {
  oneOf('toHttp: format', format, ['ndjson', 'json']);
  if (typeof idempotencyKey !== 'function') {
    oneOf('toHttp: idempotencyKey', idempotencyKey, ['batch', 'content']);
  }
  /** By batch: `storeTo` gives the same array at each attempt. */
  const keys = new WeakMap<readonly T[], string>();
  const keyOf = (items: readonly T[], request: HttpRequest): string => {
    let key = keys.get(items);
    if (key === undefined) {
      if (idempotencyKey === 'batch') key = randomUUID();
      else if (idempotencyKey === 'content') key = digest(request);
      else key = idempotencyKey(items);
      if (typeof key !== 'string' || key === '') {
        throw new InvalidOptionError('toHttp: idempotencyKey must give a string that is not empty');
      }
      keys.set(items, key);
    }
    return key;
  };
  const send = http.send((items: readonly T[]): HttpTarget => {
    const given = requestOf(typeof target === 'function' ? target(items) : target);
    const request = { method: 'POST', ...given, body: textOf(items, format) };
    const type = format === 'json' ? 'application/json' : 'application/x-ndjson';
    const headers = { 'content-type': type, 'idempotency-key': keyOf(items, request), ...given.headers };
    return { ...request, headers };
  });
  const sink = {
    store: async (items: readonly T[], context: SinkContext) => {
      await send(items, context);
    },
    classify: classifyHttpError,
  };
  return counting(sink, connectionsOf(http));
}

function textOf(items: readonly unknown[], format: 'ndjson' | 'json'): string {
  const texts = items.map(jsonOf);
  return format === 'json' ? `[${texts.join(',')}]` : `${texts.join('\n')}\n`;
}

/** The cause is left out: V8 names properties in it. */
function jsonOf(item: unknown): string {
  let text: unknown;
  try {
    text = JSON.stringify(item);
  } catch {
    throw new HttpItemError();
  }
  if (typeof text !== 'string') throw new HttpItemError(); // a function or `undefined`
  return text;
}

function digest({ method = 'POST', url, body }: HttpRequest): string {
  const hash = createHash('sha256').update(`${method} ${String(url)}\n`);
  return hash.update(body ?? '').digest('base64url');
}
