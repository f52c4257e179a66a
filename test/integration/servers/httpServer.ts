import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** What the server has seen; arrays are by port. */
export interface HttpServerCounts {
  requests: number;
  /** Connections that were ever made. */
  connections: number;
  open: number[];
  /** The most that were open at once. */
  maxOpen: number[];
  maxOpenInAll: number;
  /** Requests to /never that the client gave up. */
  cutOff: number;
}

export interface HttpServer {
  /** `http://127.0.0.1:port`, one for each port. */
  readonly origins: readonly string[];
  counts(): Promise<HttpServerCounts>;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts a real HTTP server in another process, on `ports` free ports. Its routes are in `httpServerProcess.ts`. */
export async function startHttpServer(ports = 1): Promise<HttpServer> {
  const program = fileURLToPath(new URL('httpServerProcess.ts', import.meta.url));
  const child = fork(program, [String(ports)], { execArgv: [] });
  const [listening] = (await once(child, 'message')) as [number[]];
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null) return;
    const exited = once(child, 'exit');
    child.kill();
    await exited;
  };
  return {
    origins: listening.map((port) => `http://127.0.0.1:${port}`),
    counts: async () => {
      const answer = once(child, 'message');
      child.send('counts');
      const [counts] = (await answer) as [HttpServerCounts];
      return counts;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
