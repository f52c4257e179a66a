/** A link of a header `Link`. */
export interface Link {
  readonly reference: string;
  /** What it is to the page, in small letters. */
  readonly relations: readonly string[];
}

const reference = /[\s,]*<([^>]*)>\s*/y;
/** A name, with a value in quotes, in which `\` stands before any character, or without. */
const parameter = /;\s*(?:([^\s=;,"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|(?!")([^;,]*)))?)?\s*/y;
const end = /[\s,]*$/y;

/**
 * The links of a header, as forgiving as RFC 8288 is (appendix B.2).
 *
 * @returns `undefined` for what cannot be read.
 */
export function linksOf(header: string): Link[] | undefined {
  const links: Link[] = [];
  let at = 0;
  const next = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(header);
    if (found) at = pattern.lastIndex;
    return found;
  };
  while (!next(end)) {
    const start = next(reference);
    if (!start) return undefined;
    let relation: string | undefined;
    for (let found = next(parameter); found; found = next(parameter)) {
      const [, name, quoted, plain = ''] = found;
      if (name?.toLowerCase() === 'rel') relation ??= quoted?.replaceAll(/\\(.)/g, '$1') ?? plain; // the first one counts
    }
    if (at < header.length && header[at] !== ',') return undefined;
    links.push({ reference: start[1]!, relations: (relation ?? '').toLowerCase().trim().split(/\s+/) });
  }
  return links;
}
