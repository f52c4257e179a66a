import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Traffic } from '../src/api/shop-api.ts';

export type Build = 'development' | 'production';

/** The built server, in a process of its own, on a free port. Ends with `await using`. */
export class ShopServer implements AsyncDisposable {
  readonly origin: string;
  readonly #stop: () => Promise<void>;

  private constructor(origin: string, stop: () => Promise<void>) {
    this.origin = origin;
    this.#stop = stop;
  }

  static async start(build: Build): Promise<ShopServer> {
    const program = fileURLToPath(new URL(`../dist/${build}/server/server.mjs`, import.meta.url));
    const child = spawn(process.execPath, [program], {
      env: { ...process.env, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    const [line] = (await Promise.race([
      once(createInterface(child.stdout), 'line'),
      exited.then(() => {
        throw new Error(`${program} has ended before it listened`);
      }),
    ])) as [string];
    return new ShopServer(line, async () => {
      child.kill();
      await exited;
    });
  }

  /** Forgets what the API has seen, and sets how long an answer takes. */
  async reset(delayMs: number): Promise<void> {
    await fetch(`${this.origin}/api/reset?delayMs=${delayMs}`, { method: 'POST' });
  }

  /** Answers what waits for its answer, now. */
  async release(): Promise<void> {
    await fetch(`${this.origin}/api/release`, { method: 'POST' });
  }

  async traffic(): Promise<Traffic> {
    return (await (await fetch(`${this.origin}/api/traffic`)).json()) as Traffic;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stop();
  }
}
