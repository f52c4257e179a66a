/**
 * The same error, its message begun with who tells it; all else (`code`, `column`, `detail`) stays as the server or the
 * driver has said it. Errors of connections may come without a message, but with a code.
 */
export function toldBy(who: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const frames = /\n {4}at .*/s.exec(error.stack ?? '')?.[0] ?? '';
  const what = error.message === '' ? String((error as NodeJS.ErrnoException).code) : error.message;
  error.message = `${who}: ${what}`;
  error.stack = `${error.name}: ${error.message}${frames}`;
  return error;
}
