import { InvalidOptionError, type HttpRequestFacts } from '../../errors.ts';

/** A request, where more than the address matters. */
export interface HttpRequest {
  readonly url: string | URL;
  /** @defaultValue `'GET'` */
  readonly method?: string;
  /** Names in any case. They win over the headers of the connections. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | null;
}

/** What to ask for: an address, or a request. Credentials in the address become an `authorization` header. */
export type HttpTarget = string | URL | HttpRequest;

/** A target made ready to be sent, and what errors may say of it. */
export interface PreparedRequest extends HttpRequestFacts {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | null;
  /** To send it a second time does no harm. */
  readonly repeatable: boolean;
}

/** A target as a request. */
export function requestOf(target: HttpTarget): HttpRequest {
  return typeof target === 'string' || target instanceof URL ? { url: target } : target;
}

const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'QUERY']);

/**
 * Splits the target into what undici wants, with `headers` beneath its own.
 *
 * @throws `InvalidOptionError` for an address that is not an absolute http(s) URL, or whose credentials cannot be read.
 */
export function prepare(
  target: HttpTarget,
  ...defaults: Readonly<Record<string, string>>[]
): PreparedRequest {
  const request = requestOf(target);
  // What a function of the user's has returned may be anything.
  const url = URL.parse(String((request as Partial<HttpRequest> | null | undefined)?.url));
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new InvalidOptionError('HttpConnections: the url must be an absolute http or https address');
  }

  const headers: Record<string, string> = {};
  if (url.username !== '' || url.password !== '') {
    headers['authorization'] = `Basic ${Buffer.from(credentialsOf(url)).toString('base64')}`;
  }
  for (const [name, value] of [...defaults, request.headers ?? {}].flatMap(Object.entries<string>)) {
    headers[name.toLowerCase()] = value;
  }

  const method = (request.method ?? 'GET').toUpperCase();
  return {
    method,
    origin: url.origin,
    url: url.origin + url.pathname,
    path: url.pathname + url.search,
    headers,
    body: request.body ?? null,
    repeatable: idempotent.has(method) || 'idempotency-key' in headers,
  };
}

/** The message does not show them. */
function credentialsOf({ username, password }: URL): string {
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    throw new InvalidOptionError(
      'HttpConnections: the url has a user or password that cannot be read: a % is written %25',
    );
  }
}
