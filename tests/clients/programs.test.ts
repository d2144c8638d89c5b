/** The programs of examples/ that run by themselves, through a broken network and a killed server. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
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

test('python/provision.py makes users once, and welcomes each once, through a killed server', async ({
  herald, network, alice,
}) => {
  const key = await herald.key('crm', 'provision', 'send', 'read');
  const provision = async (users: object[]) => {
    const env = { KEY: key, SENDER: `handle:${alice.handle}`, HERALD_URL: network.http };
    const child = spawn('python3', [join(EXAMPLES, 'python/provision.py')], {
      env: { PATH: process.env['PATH'], PYTHONDONTWRITEBYTECODE: '1', ...env },
      stdio: 'pipe',
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    child.stdin.end(users.map((user) => JSON.stringify(user)).join('\n'));
    const [printed, errors, [exit]] = await Promise.all([
      text(child.stdout), text(child.stderr), once(child, 'exit'),
    ]);
    return { users: printed.split('\n').filter(Boolean).map((line) => JSON.parse(line)), errors, exit };
  };
  const two = [{ externalId: '42', handle: 'grace', displayName: 'Grace' }, { externalId: 'Lin M@example.com' }];
  await herald.kill();
  const provisioning = provision(two);
  await herald.start();
  const first = await provisioning;
  expect(first.users).toEqual([
    { handle: 'grace', externalId: '42' },
    { handle: 'lin-m', externalId: 'Lin M@example.com' },
  ]);
  expect(first.errors).toContain('2 of 2 are new');
  const again = await provision(two);
  expect([again.exit, again.users]).toEqual([0, first.users]);
  expect(again.errors).toContain('0 of 2 are new');
  const { conversations } = await alice.request<{
    conversations: { nodes: { messages: { nodes: { body: string }[] } }[] };
  }>('{ conversations(first: 9) { nodes { messages(first: 9) { nodes { body } } } } }');
  const said = conversations.nodes.map(({ messages }) => messages.nodes.map(({ body }) => body));
  expect(said).toEqual([['Welcome, lin-m!'], ['Welcome, grace!']]);

  const refused = await provision([{ externalId: '43', handle: 'grace' }]);
  expect(refused.exit).toBe(1);
  expect(refused.errors).toContain('HANDLE_TAKEN');
});

test('python/follow_log.py counts each event once, though it is killed and herald too', async ({
  herald, network, alice, bob, conversationId,
}) => {
  const key = await herald.key('archive', 'read');
  const directory = await mkdtemp(join(tmpdir(), 'follow-log-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const state = join(directory, 'state.json');
  const types: string[] = [];
  const begin = () => {
    const child = spawn('python3', [join(EXAMPLES, 'python/follow_log.py'), state], {
      env: { PATH: process.env['PATH'], PYTHONDONTWRITEBYTECODE: '1', KEY: key, HERALD_URL: network.http },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    return { child, told: createInterface(child.stdout)[Symbol.asyncIterator]() };
  };
  const until = async (told: AsyncIterator<string>, count: number) => {
    while (types.length < count) {
      const { value, done } = await told.next();
      if (done) throw new Error('it ended');
      types.push(JSON.parse(value).type);
    }
  };
  const deliver = async (body: string) => bob.markRead((await alice.send(conversationId, body)).id);

  let program = begin();
  await expect.poll(() => readFile(state, 'utf8').catch(() => ''), { timeout: 20_000 }).toContain('place');
  await deliver('one');
  await until(program.told, 2);
  network.cut();
  await deliver('two');
  network.heal();
  await until(program.told, 4);
  program.child.kill('SIGKILL');
  await once(program.child, 'exit');
  await deliver('three');
  await herald.kill();
  await herald.start();
  program = begin();
  await deliver('four');
  await until(program.told, 8);
  expect(types).toEqual(Array.from({ length: 4 }, () => ['herald.message.sent', 'herald.status.changed']).flat());
  expect(JSON.parse(await readFile(state, 'utf8')).counts).toEqual({ 'herald.message.sent': 4, READ: 4 });

  const errors = text(program.child.stderr);
  const exit = once(program.child, 'exit');
  await herald.command('key', 'revoke', 'archive');
  expect((await exit)[0]).toBe(1);
  expect(await errors).toContain('UNAUTHENTICATED');
});
