/** Attributes in the order they are written; `undefined` leaves one out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

export function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character]!);
}

/** An element with nothing inside, or with text: one line, so that a changed picture shows in a diff. */
export function element(name: string, attributes: Attributes, text?: string): string {
  const opening = `<${name}${written(attributes)}`;
  return text === undefined ? `${opening}/>` : `${opening}>${escape(text)}</${name}>`;
}

/** An element around others. */
export function group(name: string, attributes: Attributes, children: readonly string[]): string[] {
  return [`<${name}${written(attributes)}>`, ...children, `</${name}>`];
}

/** A coordinate, short, and the same on every machine. */
export function rounded(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** Path data: its numbers are rounded. */
export function path(steps: TemplateStringsArray, ...values: readonly (string | number)[]): string {
  return String.raw({ raw: steps }, ...values.map((v) => (typeof v === 'number' ? rounded(v) : v)));
}

function written(attributes: Attributes): string {
  return Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? rounded(value) : escape(String(value))}"`)
    .join('');
}
