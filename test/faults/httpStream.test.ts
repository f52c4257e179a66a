import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startRawServer } from '../integration/servers/rawServer.ts';
import { head, mustFail, sleep } from './http/twin.ts';

const total = 100_000_000;
const program = fileURLToPath(new URL('http/slowSink.ts', import.meta.url));

interface Figures {
  readonly grownBy: number;
  readonly ahead: number;
}

async function check(mode: 'sound' | 'eager'): Promise<Figures> {
  const block = Buffer.alloc(65_536, 'x');
  let written = 0;
  await using server = await startRawServer((socket) => {
    socket.write(head('200 OK', `content-length: ${total}`));
    const more = (): void => {
      while (written < total && !socket.destroyed) {
        const part = block.subarray(0, Math.min(block.length, total - written));
        written += part.length;
        if (!socket.write(part)) return void socket.once('drain', more);
      }
    };
    more();
  });
  // V8's young generation shrinks while a program waits, and grows again: 16 MB that nobody holds. Here it has one size.
  const execArgv = ['--expose-gc', '--min-semi-space-size=1', '--max-semi-space-size=1'];
  const child = fork(program, [server.origin, String(total), mode], { execArgv });
  try {
    const [{ stored }] = (await once(child, 'message')) as [{ stored: number }];
    // Nobody takes anything now: what the server can still get rid of is what the buffers hold.
    let before = -1;
    while (before !== written) {
      before = written;
      await sleep(500);
    }
    const ahead = written - stored;
    expect(written).toBeLessThan(total);
    child.send('go on');
    const [result] = (await once(child, 'message')) as [{ end: string; stored: number; grownBy: number }];
    expect(result).toMatchObject({ end: 'completed', stored: total });
    expect(result.grownBy).toBeLessThan(10_000_000);
    return { grownBy: result.grownBy, ahead };
  } finally {
    child.kill();
  }
}

test('F38: a slow sink below a body of 100 MB: the server waits, and memory does not grow', async () => {
  const { grownBy, ahead } = await check('sound');
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);
  console.log(`F38: memory grew by ${mb(grownBy)} MB; the server was ${mb(ahead)} MB ahead of the sink`);
});

test('F38, twin: a source that reads ahead', () => mustFail(check('eager')));
