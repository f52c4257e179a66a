import type * as doors from 'sluice/http';

/** How many numbers the server has, from 0 on. */
export const total = 400;

interface Answer {
  readonly items: number[];
  readonly after: number | null;
}

export type Kind = 'numbered' | 'cursor' | 'link';

interface NumberPages {
  readonly kind: Kind;
  readonly size: number;
  /** Whether items have keys. */
  readonly keyed: boolean;
}

/** Pages of numbers, of a server that answers as `answerTo` says. */
export function numberPages(
  { numberedPages, cursorPages, linkPages }: typeof doors,
  http: doors.HttpConnections,
  origin: string,
  { kind, size, keyed }: NumberPages,
): doors.PagePlan<number, never> {
  const items = ({ items: numbers }: Answer): number[] => numbers;
  const keys = keyed ? { keyOf: (n: number) => n } : {};
  const plans: Record<Kind, () => unknown> = {
    numbered: () =>
      numberedPages<number, Answer>(http, {
        target: (page, asked) => `${origin}/?from=${(page - 1) * asked}&size=${asked}`,
        ...{ items, size, ...keys },
      }),
    cursor: () =>
      cursorPages<number, Answer>(http, {
        target: (cursor = '0') => `${origin}/?from=${cursor}&size=${size}`,
        next: ({ after }) => after,
        ...{ items, ...keys },
      }),
    link: () => linkPages<number, Answer>(http, `${origin}/?from=0&size=${size}`, { items, ...keys }),
  };
  return plans[kind]() as doors.PagePlan<number, never>;
}

/** What a path asks for. */
export function askedOf(path: string): { readonly from: number; readonly to: number; readonly size: number } {
  const [, from = '', size = ''] = /from=(\d+)&size=(\d+)/.exec(path) ?? [];
  return { from: Number(from), to: Number(from) + Number(size), size: Number(size) };
}

/** The whole answer. */
export function answerTo(path: string): string {
  const { from, to, size } = askedOf(path);
  const numbers = Array.from({ length: Math.max(0, Math.min(to, total) - from) }, (_, n) => from + n);
  const body = JSON.stringify({ items: numbers, after: to < total ? to : null });
  const next = to < total ? [`link: </?from=${to}&size=${size}>; rel=next`] : [];
  return ['HTTP/1.1 200 OK', `content-length: ${body.length}`, ...next, '', body].join('\r\n');
}
