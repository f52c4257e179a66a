// What the threads of the tests run: TypeScript as it stands, stripped by Node.
import { setTimeout as sleep } from 'node:timers/promises';
import { transfer } from '../../../src/connectors/workers/transfer.ts';

export class CardDeclinedError extends Error {
  readonly code = 'CARD_DECLINED';
  readonly retryable = false;
  readonly attempts = { made: 2 };
}

export default function double(n: number): number {
  return n * 2;
}

export async function later(n: number): Promise<number> {
  await sleep(20);
  return n;
}

/** As the text says; numbers are doubled. */
export function trouble(
  item: number | 'exit' | 'uncaught' | 'rejection' | 'memory' | 'loop',
): number | Promise<number> {
  if (typeof item === 'number') return item * 2;
  if (item === 'exit') process.exit(7);
  if (item === 'loop') for (;;);
  if (item === 'memory') {
    const hoard: unknown[] = [];
    for (;;) hoard.push(Array.from({ length: 1_000 }, (_, i) => ({ i })));
  }
  if (item === 'rejection') void Promise.reject(new RangeError('awaited by nobody'));
  else {
    setTimeout(() => {
      throw new RangeError('thrown outside the call');
    });
  }
  return new Promise(() => undefined);
}

export class LimitError extends Error {
  get code(): string {
    return 'LIMIT';
  }

  get retryAfterMs(): number {
    return 250;
  }
}

export function throws(
  what:
    | 'custom'
    | 'getters'
    | 'foreign'
    | 'builtin'
    | 'text'
    | 'object'
    | 'nothing'
    | 'many'
    | 'function'
    | 'unreadable'
    | 'closed',
): never {
  const root = new TypeError('not a card');
  switch (what) {
    case 'custom':
      throw new CardDeclinedError('declined', { cause: new RangeError('limit', { cause: root }) });
    case 'getters':
      throw new LimitError('too many');
    case 'foreign':
      throw new DOMException('given up', 'AbortError');
    case 'builtin':
      throw new RangeError('out of range');
    case 'text':
      throw 'just text';
    case 'object':
      throw { status: 503 };
    case 'nothing':
      throw undefined;
    case 'many':
      throw new AggregateError([root, new CardDeclinedError('declined')], 'both');
    case 'function':
      throw () => undefined;
    case 'unreadable':
      throw Object.defineProperty(new Error('unreadable'), 'detail', {
        enumerable: true,
        get: () => {
          throw new Error('no');
        },
      });
    case 'closed':
      throw new Proxy(new Error('closed'), {
        get: () => {
          throw new Error('no');
        },
      });
  }
}

export function uncopyable(): unknown {
  return () => undefined;
}

/** Fills the bytes and moves them back. */
export function fill(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return transfer(bytes.fill(7), [bytes.buffer]);
}

let calls = 0;

/** How many calls this thread has had. */
export function countCalls(): number {
  return ++calls;
}
