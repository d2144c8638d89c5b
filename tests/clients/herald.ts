/** The real server, on a port and a database of its own, that can be killed and started again. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, copyFile, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

export const BINARY = resolve(process.env['HERALD_BIN'] ?? join(import.meta.dirname, '../../target/debug/herald'));

/** How long the server may take to answer after it was started, in milliseconds. */
const PATIENCE = 30_000;

const running = new Set<ChildProcess>();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export class Herald {
  readonly #port: number;
  readonly #directory: string;
  readonly #command: [string, ...string[]];
  readonly #flags: string[];
  #process: ChildProcess | undefined;

  private constructor(port: number, directory: string, command: [string, ...string[]], flags: string[]) {
    this.#port = port;
    this.#directory = directory;
    this.#command = command;
    this.#flags = flags;
  }

  /** A server with an empty database, ready to answer. */
  static async create(...flags: string[]): Promise<Herald> {
    return Herald.launch([BINARY], ['--rate-limit', 'off', ...flags]);
  }

  /** The same with nothing but these flags, started by a command, to which the server's arguments are added. */
  static async launch(command: [string, ...string[]], flags: string[]): Promise<Herald> {
    await access(BINARY, constants.X_OK).catch(() => {
      throw new Error(`No herald to test at ${BINARY}: run \`cargo build\`, or name one with HERALD_BIN.`);
    });
    const herald = new Herald(await freePort(), await mkdtemp(join(tmpdir(), 'herald-')), command, flags);
    await herald.start();
    return herald;
  }

  get port(): number {
    return this.#port;
  }

  /** The process while it runs. */
  get pid(): number | undefined {
    const child = this.#process;
    return child && child.exitCode === null && child.signalCode === null ? child.pid : undefined;
  }

  /** Everything that the server wrote to its log. */
  async log(): Promise<string> {
    return readFile(this.#log, 'utf8');
  }

  get http(): string {
    return `http://127.0.0.1:${this.#port}/graphql`;
  }

  get socket(): string {
    return `ws://127.0.0.1:${this.#port}/graphql`;
  }

  /** Starts, on the port and the database of the time before. */
  async start(): Promise<void> {
    const log = await open(this.#log, 'a');
    const [program, ...args] = this.#command;
    const child = spawn(
      program,
      [
        ...args,
        ...['serve', '--listen', `127.0.0.1:${this.#port}`],
        ...['--database', this.#url],
        ...this.#flags,
      ],
      { env: environment(), stdio: ['ignore', log.fd, log.fd] },
    );
    this.#process = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    await log.close();
    const ended = once(child, 'exit').then(async ([code, signal]) => {
      throw new Error(`herald ended at its start (${code ?? signal}):\n${await readFile(this.#log, 'utf8')}`);
    });
    await Promise.race([this.ready(), ended]);
  }

  /** Waits until the server answers. */
  async ready(): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline) {
      // Unreachable is no different from not ready: both mean to ask again.
      const answer = await fetch(`http://127.0.0.1:${this.#port}/readyz`).catch(() => undefined);
      await answer?.body?.cancel();
      if (answer?.status === 200) return;
      await pause(20);
    }
    throw new Error(`herald did not get ready in ${PATIENCE} ms:\n${await readFile(this.#log, 'utf8')}`);
  }

  /** Ends the server without a warning, as a power cut would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Asks the server to end, and waits until it has: its exit code. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  /** Keeps a copy of the database, with the server stopped meanwhile. Returns what goes back to it, as operators do. */
  async backUp(): Promise<() => Promise<void>> {
    const copy = `${this.#database}.backup`;
    await this.stop();
    await copyFile(this.#database, copy);
    await this.start();
    return async () => {
      await this.kill();
      await Promise.all(['-wal', '-shm'].map((suffix) => rm(this.#database + suffix, { force: true })));
      await copyFile(copy, this.#database);
      const [program, ...args] = this.#command;
      const migrate = [...args, 'migrate', '--restored', '--database', this.#url];
      await promisify(execFile)(program, migrate, { env: environment() });
      await this.start();
    };
  }

  /** Makes a key for a service, as operators do. */
  async key(name: string, ...scopes: string[]): Promise<string> {
    return (await this.command('key', 'add', name, ...scopes.flatMap((scope) => ['--scope', scope]))).trimEnd();
  }

  /** Runs another command on the same database: what it prints. */
  async command(...args: string[]): Promise<string> {
    return this.print(...args, '--database', this.#url);
  }

  /** Runs a command that needs no database: what it prints. */
  async print(...args: string[]): Promise<string> {
    const [program, ...before] = this.#command;
    return (await promisify(execFile)(program, [...before, ...args], { env: environment() })).stdout;
  }

  /** Ends the server and deletes its data. */
  async remove(): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }

  get #log(): string {
    return join(this.#directory, 'herald.log');
  }

  get #database(): string {
    return join(this.#directory, 'herald.db');
  }

  get #url(): string {
    return `sqlite://${this.#database}?mode=rwc`;
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#process;
    if (!child) return null;
    if (child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    }
    return child.exitCode;
  }
}

/** Settings of whoever runs the tests are not what is tested. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HERALD_')));
}

/**
 * A free port below those that systems give to outgoing connections: one of these could take the place of a
 * server that is down for a moment.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const probe = createServer();
    try {
      probe.listen(port, '127.0.0.1');
      await once(probe, 'listening');
      return port;
    } catch {
      // Taken: try another.
    } finally {
      probe.close();
    }
  }
}
