/** The programs of examples/ that run by themselves, through a broken network and a killed server. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished } from 'vitest';

import { test } from './fixtures.ts';
import { Reader } from './reader.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');

/** How each is started, and over what it follows. */
const PROGRAMS = [
  ['follow.mjs', process.execPath, 'socket'],
  ['python/follow.py', 'python3', 'http'],
] as const;

/** Starts a program, until the test ends. */
function start(interpreter: string, program: string, env: Record<string, string>): ChildProcess {
  const child = spawn(interpreter, [join(EXAMPLES, program)], {
    env: { PATH: process.env['PATH'], PYTHONDONTWRITEBYTECODE: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** What it prints of messages. */
async function* said(child: ChildProcess): AsyncGenerator<string, void> {
  for await (const line of createInterface(child.stdout!)) {
    const event = JSON.parse(line);
    if (event.__typename === 'MessageSent') yield event.message.body;
  }
}

test.for(PROGRAMS)('%s misses nothing, and ends with its session', async ([program, interpreter, transport], {
  herald, network, alice, bob, conversationId,
}) => {
  const phone = await bob.signInAgain();
  const env = { TOKEN: phone.token, CURSOR: await bob.cursor(), HERALD_URL: network[transport] };
  const child = start(interpreter, program, env);
  const errors = text(child.stderr!);
  const incoming = new Reader(said(child));
  const sayAll = async (bodies: string[]) => {
    for (const body of bodies) await alice.send(conversationId, body);
  };

  await sayAll(['one', 'two']);
  await incoming.until((body) => body === 'two');
  network.cut();
  await sayAll(['three', 'four']);
  network.heal();
  await incoming.until((body) => body === 'four');
  await herald.kill();
  await herald.start();
  await sayAll(['five']);
  expect(await incoming.until((body) => body === 'five')).toEqual(['one', 'two', 'three', 'four', 'five']);

  const exit = once(child, 'exit');
  await phone.logOut();
  expect((await exit)[0]).toBe(1);
  expect(await errors).toMatch(transport === 'socket' ? '4403' : 'UNAUTHENTICATED');
});
