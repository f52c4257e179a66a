import type { IncomingHttpHeaders } from 'node:http';

/** So many requests more in a time, and then the count begins anew. */
export interface Quota {
  /** The same in every answer. */
  readonly name: string;
  readonly remaining: number;
  /** Milliseconds until the count begins anew. */
  readonly resetMs: number;
}

/** What a server says of how fast it may be asked. */
export interface Advice {
  /** How long to wait, by `Retry-After`. Absent if it did not say, or said nonsense. */
  readonly retryAfterMs: number | undefined;
  readonly quotas: readonly Quota[];
}

/** Header names in small letters, as undici gives them. */
type Headers = Readonly<IncomingHttpHeaders>;

/** Seconds above this are no time to wait but a moment since 1970, and above the second one it is in milliseconds. */
const leastEpochS = 1e9;
const leastEpochMs = 1e12;

/** One header or, of several, all in one list; `undefined` if there is none. */
function textOf(header: string | string[] | undefined): string | undefined {
  return (Array.isArray(header) ? header.join(', ') : header)?.trim();
}

/**
 * Reads `Retry-After` and the rate limit headers. A moment is compared with the server's own `Date`, where there is one:
 * the clocks need not agree.
 */
export function adviceOf(headers: Headers, localMs: number): Advice {
  const date = Date.parse(textOf(headers.date) ?? '');
  const nowMs = Number.isNaN(date) ? localMs : date;
  return { retryAfterMs: retryAfterMs(headers['retry-after'], nowMs), quotas: quotasOf(headers, nowMs) };
}

/**
 * What a `Retry-After` asks for, in milliseconds from `nowMs`: seconds, or an HTTP date; 0 for a date that has passed.
 * Anything else is as if it were not there.
 */
function retryAfterMs(header: string | string[] | undefined, nowMs: number): number | undefined {
  const value = Array.isArray(header) ? header[0]?.trim() : header?.trim();
  if (value === undefined) return undefined;
  if (/^\d{1,10}$/.test(value)) return Number(value) * 1_000;
  // The three forms of RFC 9110 begin with a weekday; `Date.parse` alone would take '-1' or '2' for a date.
  const dated = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /.test(value);
  const at = dated ? Date.parse(/GMT$/.test(value) ? value : `${value} GMT`) : NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

/**
 * The forms in use: `RateLimit: "name";r=0;t=30` of the IETF draft (with `RateLimit-Policy` for the window where `t` is
 * not said), `RateLimit: limit=10, remaining=0, reset=30` and `RateLimit-Remaining` with `RateLimit-Reset` of its older
 * versions, and `X-RateLimit-Remaining` with `X-RateLimit-Reset` (a time or a moment) or `X-RateLimit-Reset-After`.
 */
function quotasOf(headers: Headers, nowMs: number): Quota[] {
  const list = textOf(headers['ratelimit']);
  if (list !== undefined) {
    const [, remaining] = /\bremaining=(\d+)/.exec(list) ?? [];
    const [, reset] = /\breset=(\d+)/.exec(list) ?? [];
    const inWords = quota('ratelimit', remaining, reset, nowMs);
    return inWords ? [inWords] : listedQuotas(list, textOf(headers['ratelimit-policy']));
  }
  for (const prefix of ['ratelimit', 'x-ratelimit', 'x-rate-limit']) {
    const said = (name: string): string | undefined => textOf(headers[`${prefix}-${name}`]);
    const found = quota(prefix, said('remaining'), said('reset-after') ?? said('reset'), nowMs);
    if (found) return [found];
  }
  return [];
}

/** The items of a structured list, each with its parameters `r` and `t`. */
function listedQuotas(list: string, policies = ''): Quota[] {
  const windows = new Map<string, number>();
  for (const [name, parameters] of items(policies)) {
    const seconds = parameter(parameters, 'w');
    if (seconds !== undefined) windows.set(name, seconds);
  }
  return items(list).flatMap(([name, parameters]) => {
    const remaining = parameter(parameters, 'r');
    const seconds = parameter(parameters, 't') ?? windows.get(name);
    if (remaining === undefined || seconds === undefined) return [];
    return [{ name: `ratelimit ${name}`, remaining, resetMs: seconds * 1_000 }];
  });
}

function items(list: string): [name: string, parameters: string][] {
  const found = list.matchAll(
    /("(?:[^"\\]|\\.)*"|[^\s",;]+)((?:\s*;\s*[a-z*][\w.*-]*(?:=(?:"[^"]*"|[^",;\s]*))?)*)/gi,
  );
  return [...found].map(([, name = '', parameters = '']) => [name, parameters]);
}

function parameter(parameters: string, name: string): number | undefined {
  const value = new RegExp(`;\\s*${name}=(\\d{1,15})(?=\\s*(;|$))`).exec(parameters)?.[1];
  return value === undefined ? undefined : Number(value);
}

/** A quota, if both are numbers. */
function quota(
  name: string,
  remaining: string | undefined,
  reset: string | undefined,
  nowMs: number,
): Quota | undefined {
  const left = numberIn(remaining);
  const when = numberIn(reset);
  if (Number.isNaN(left + when)) return undefined;
  let resetMs = when * 1_000;
  if (when >= leastEpochS) resetMs = Math.max(0, (when >= leastEpochMs ? when : resetMs) - nowMs);
  return { name, remaining: left, resetMs };
}

function numberIn(text = ''): number {
  return /^\d{1,15}(\.\d+)?$/.test(text) ? Number(text) : NaN;
}
