/** Whether two values are the same to a reader: equal, or equal in all their parts. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime();
  if (a instanceof Error && b instanceof Error && a.message !== b.message) return false;
  if (a instanceof Set && b instanceof Set) return sameValue([...a], [...b]);
  if (a instanceof Map && b instanceof Map) return sameValue([...a], [...b]);
  const keys = partsOf(a);
  if (keys.length === 0 && isOpaque(a)) return isNamed(a) && textOf(a) === textOf(b);
  return (
    keys.length === partsOf(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameValue(Reflect.get(a, key), Reflect.get(b, key)))
  );
}

function partsOf(value: object): PropertyKey[] {
  return Reflect.ownKeys(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));
}

/** Whether it shows nothing of what is in it, as a promise or an object whose fields are private. */
function isOpaque(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return !Array.isArray(value) && prototype !== Object.prototype && prototype !== null;
}

/** Whether its text tells it from others, as that of a URL or a regular expression does. */
function isNamed(value: object): boolean {
  return (value as { toString: unknown }).toString !== Object.prototype.toString;
}

function textOf(value: unknown): string {
  return String(value);
}

/** A value as a message shows it. */
export function shown(value: unknown): string {
  if (value instanceof Error) {
    const { code } = value as { code?: unknown };
    return `${value.name}${typeof code === 'string' ? ` (${code})` : ''}: ${value.message}`;
  }
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object' || value === null) return String(value);
  try {
    const text = JSON.stringify(value, (_key, part: unknown) => shownPart(part));
    return text.length > 200 ? `${text.slice(0, 200)}…` : text;
  } catch {
    return Object.prototype.toString.call(value);
  }
}

/** What JSON would leave out, or make another value of, in words. */
function shownPart(part: unknown): unknown {
  if (typeof part === 'bigint') return `${part}n`;
  if (typeof part === 'number') return Number.isFinite(part) ? part : String(part);
  if (typeof part !== 'object')
    return typeof part === 'string' || typeof part === 'boolean' ? part : textOf(part);
  if (part instanceof Error) return shown(part);
  if (part instanceof Set || part instanceof Map) return { [part.constructor.name]: [...part] };
  return part !== null && partsOf(part).length === 0 && isOpaque(part) ? textOf(part) : part;
}

/** What the letters of a picture stand for: those of the table; any other stands for itself. */
export class Values {
  readonly #table: ReadonlyMap<string, unknown>;

  constructor(table: Readonly<Record<string, unknown>>) {
    this.#table = new Map(Object.entries(table));
  }

  valueOf(label: string): unknown {
    return this.#table.has(label) ? this.#table.get(label) : label;
  }

  /** The letter of a value; those of an array stand next to each other. Undefined: it has none. */
  labelOf(value: unknown): string | undefined {
    for (const [label, known] of this.#table) if (sameValue(known, value)) return label;
    if (typeof value === 'string' && value !== '') return value;
    if (!Array.isArray(value) || value.length === 0) return undefined;
    const labels = value.map((part) => this.labelOf(part));
    return labels.includes(undefined) ? undefined : labels.join('');
  }

  /** The one character that stands for a value in a drawn row. */
  signOf(value: unknown): string {
    const label = this.labelOf(value);
    return label?.length === 1 ? label : '?';
  }
}
