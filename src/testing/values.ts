/** Whether two values are the same to a reader: equal, or equal in all their parts. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime();
  if (a instanceof Error && b instanceof Error && a.message !== b.message) return false;
  if (a instanceof Set && b instanceof Set) return sameValue([...a], [...b]);
  if (a instanceof Map && b instanceof Map) return sameValue([...a], [...b]);
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameValue(Reflect.get(a, key), Reflect.get(b, key)))
  );
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
    const text = JSON.stringify(value, (_key, part: unknown) =>
      typeof part === 'bigint' ? `${part}n` : part,
    );
    return text.length > 200 ? `${text.slice(0, 200)}…` : text;
  } catch {
    return Object.prototype.toString.call(value);
  }
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
