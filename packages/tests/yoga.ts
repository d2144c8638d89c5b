/** examples/yoga as a process, as it is or with a mistake in it, and what its operator does. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { freePort } from '../../tests/clients/herald.ts';
import type { Change } from './mistakes.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/yoga');

/** In memory where that can be: thousands of commits, each of which waits for the disk, are not what is tested. */
const PLACE = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

const running = new Set<ChildProcess>();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export class Yoga {
  #process: ChildProcess | undefined;
  readonly #directory: string;
  readonly #environment: NodeJS.ProcessEnv;

  private constructor(directory: string, environment: NodeJS.ProcessEnv) {
    this.#directory = directory;
    this.#environment = environment;
  }

  /** A copy of the example with some of its text changed, started. */
  static async create(keeps: number, changes: Change[] = []): Promise<Yoga> {
    const directory = await mkdtemp(join(PLACE, 'yoga-'));
    await symlink(join(EXAMPLE, 'node_modules'), join(directory, 'node_modules'));
    for (const name of (await readdir(EXAMPLE)).filter((name) => name.endsWith('.js') || name === 'package.json')) {
      let text = await readFile(join(EXAMPLE, name), 'utf8');
      for (const [file, says, instead] of changes) {
        if (file !== name) continue;
        if (text.split(says).length !== 2) throw new Error(`${file} does not say once: ${says}`);
        text = text.replace(says, () => instead);
      }
      await writeFile(join(directory, name), text);
    }
    const settings = { PORT: String(await freePort()), DATABASE: 'yoga.db', KEEPS: String(keeps), CHECKPOINT: '1', HEARTBEAT: '1' };
    const yoga = new Yoga(directory, { ...process.env, ...settings });
    await yoga.start();
    return yoga;
  }

  get http(): string {
    return `http://127.0.0.1:${this.#environment['PORT']}/graphql`;
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, ['server.js'], {
      cwd: this.#directory, env: this.#environment, stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#process = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the example ended at its start with ${code}`);
    });
    await Promise.race([once(child.stdout, 'data'), ended]);
    child.stdout.resume();
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const exit = once(this.#process!, 'exit');
    this.#process!.kill(signal);
    await exit;
  }

  async restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.end(signal);
    await this.start();
  }

  /** Takes a backup. Returns what puts it back, as the example's README says. */
  async backUp(): Promise<() => Promise<void>> {
    const file = join(this.#directory, 'yoga.db');
    const files = (suffix: string) => Promise.all(['', '-wal', '-shm'].map(async (end) => {
      const [from, to] = suffix ? [file + end, file + end + suffix] : [`${file}${end}.backup`, file + end];
      await rm(to, { force: true });
      if (existsSync(from)) await copyFile(from, to);
    }));
    await this.end('SIGTERM');
    await files('.backup');
    await this.start();
    return async () => {
      await this.end('SIGTERM');
      await files('');
      await promisify(execFile)(process.execPath, ['server.js', 'restored'], { cwd: this.#directory, env: this.#environment });
      await this.start();
    };
  }

  async remove(): Promise<void> {
    if (this.#process?.exitCode === null && this.#process.signalCode === null) await this.end('SIGKILL');
    await rm(this.#directory, { recursive: true, force: true });
  }
}
