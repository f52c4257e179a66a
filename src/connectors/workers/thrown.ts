/** What was thrown in a thread, in parts that can be copied to another: an error loses its class, code and fields there. */
export type Thrown = { readonly value: unknown } | ErrorParts;

interface ErrorParts {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Its own fields that can be copied: `code`, `errno`, `retryable`, … */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly cause: Thrown | undefined;
  /** Of an `AggregateError`. */
  readonly errors: readonly Thrown[] | undefined;
}

/** Causes of causes that are kept; a chain may be a ring. */
const DEEPEST = 16;
/** What policies and users look at, be it a getter of the class. */
const INHERITED = ['code', 'status', 'retryable', 'retryAfterMs'];
const NOT_FIELDS = new Set(['name', 'message', 'stack', 'cause', 'errors']);
const KNOWN = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

export function partsOf(thrown: unknown, depth = 0): Thrown {
  try {
    return readParts(thrown, depth);
  } catch {
    return { value: `${typeof thrown} that cannot be read` }; // a getter or a Proxy that throws
  }
}

function readParts(thrown: unknown, depth: number): Thrown {
  if (!isError(thrown))
    return { value: copyable(thrown) ? thrown : `${typeof thrown} that cannot be copied` };
  const deeper = (inner: unknown): Thrown | undefined =>
    inner === undefined || depth === DEEPEST ? undefined : partsOf(inner, depth + 1);
  const errors: unknown = (thrown as Partial<AggregateError>).errors;
  return {
    name: nameOf(thrown),
    message: thrown.message,
    stack: thrown.stack,
    fields: fieldsOf(thrown),
    cause: deeper(thrown.cause),
    errors: Array.isArray(errors) ? errors.flatMap((error) => deeper(error) ?? []) : undefined,
  };
}

/** The error again: of its class where JavaScript has that class, else an `Error` with its name. */
export function thrownOf(parts: Thrown): unknown {
  if ('value' in parts) return parts.value;
  const { name, message, stack, fields, cause, errors } = parts;
  const options = cause === undefined ? undefined : { cause: thrownOf(cause) };
  const Known = KNOWN[name as keyof typeof KNOWN] ?? Error;
  const error = errors
    ? new AggregateError(errors.map(thrownOf), message, options)
    : new Known(message, options);
  const set = (key: string, value: unknown, enumerable: boolean): void => {
    Object.defineProperty(error, key, { value, enumerable, writable: true, configurable: true });
  };
  if (error.name !== name) set('name', name, false);
  set('stack', stack, false);
  for (const [key, value] of Object.entries(fields)) set(key, value, true);
  return error;
}

/** Its fields that can be read and copied. */
function fieldsOf(error: Error): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const key of [...INHERITED, ...Object.keys(error)]) {
    if (NOT_FIELDS.has(key)) continue;
    try {
      const value = (error as unknown as Record<string, unknown>)[key];
      if ((value !== undefined || Object.hasOwn(error, key)) && copyable(value)) fields[key] = value;
    } catch {
      // A getter that throws: the rest is worth having.
    }
  }
  return fields;
}

/** By shape: an error may come from another realm. */
function isError(thrown: unknown): thrown is Error {
  return thrown instanceof Error || Object.prototype.toString.call(thrown) === '[object Error]';
}

/** The name that it was given, else that of its class. */
function nameOf(error: Error): string {
  if (error.name !== 'Error') return error.name;
  const { constructor } = error as { constructor?: { name?: unknown } };
  return typeof constructor?.name === 'string' && constructor.name !== '' ? constructor.name : 'Error';
}

function copyable(value: unknown): boolean {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function'))
    return typeof value !== 'symbol';
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}
