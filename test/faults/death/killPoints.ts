import pg from 'pg';

/** Where the program under test can be made to kill itself, in the order in which an item comes by. */
export const killPoints = [
  'before-pull',
  'after-pull',
  'in-work',
  'in-backoff',
  'after-work',
  'before-begin',
  'after-begin',
  'statement-sent',
  'after-statement',
  'checkpoint-sent',
  'before-commit',
  'commit-sent',
  'after-commit',
  'after-confirmation',
  'in-drain',
  'after-drain',
] as const;

export type KillPoint = (typeof killPoints)[number];

/** Where, and when the process comes by there for how many times: `before-commit:37`. */
export type KillAt = `${KillPoint}:${number}`;

/** `KILL_AT` names the place; `KILL_BY` the signal, SIGKILL if it is not set. */
const [wanted, pass] = (process.env['KILL_AT'] ?? '').split(':');
let passes = 0;

export function comesBy(point: KillPoint): void {
  if (point === wanted && ++passes === Number(pass))
    process.kill(process.pid, process.env['KILL_BY'] ?? 'SIGKILL');
}

const statements: readonly (readonly [RegExp, Partial<Record<'before' | 'sent' | 'after', KillPoint>>])[] = [
  [/^BEGIN/, { before: 'before-begin', after: 'after-begin' }],
  [/^INSERT INTO "items/, { sent: 'statement-sent', after: 'after-statement' }],
  [/^UPDATE \S*checkpoints\S* SET position/, { sent: 'checkpoint-sent' }],
  [/^COMMIT/, { before: 'before-commit', sent: 'commit-sent', after: 'after-commit' }],
];

/** Has every client of pg come by the points of its statements. */
export function watchStatements(): void {
  const client = pg.Client.prototype as unknown as { query(...given: unknown[]): unknown };
  const query = client.query;
  client.query = function (...given) {
    const text = textOf(given[0]);
    const points = statements.find(([pattern]) => pattern.test(text))?.[1];
    if (points?.before) comesBy(points.before);
    const answer = query.apply(this, given);
    if (points === undefined || !(answer instanceof Promise)) return answer;
    // The next turn: the statement has gone to the server then, and is not answered yet.
    if (points.sent) setImmediate(comesBy, points.sent);
    return answer.then((result: unknown) => {
      if (points.after) comesBy(points.after);
      return result;
    });
  };
}

function textOf(statement: unknown): string {
  return typeof statement === 'string' ? statement : ((statement as { text?: string } | null)?.text ?? '');
}
