/** The services of examples/, in each of their languages, through a broken network and killed servers and programs. */

import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';

import { test } from './fixtures.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');

type Program = 'provision' | 'follow-log';

/** How the programs of each language are made ready, in a folder: what is to be run. */
const LANGUAGES: Record<string, (program: Program, folder: string) => Promise<[string, ...string[]]>> = {
  python: async (program) => ['python3', join(EXAMPLES, 'python', `${program.replace('-', '_')}.py`)],
  async typescript(program, folder) {
    const source = await readFile(join(EXAMPLES, 'typescript', `${program}.ts`), 'utf8');
    const { ESNext: module } = ts.ModuleKind;
    const { outputText } = ts.transpileModule(source, { compilerOptions: { module, target: ts.ScriptTarget.ES2022 } });
    await writeFile(join(folder, `${program}.mjs`), outputText);
    return [process.execPath, join(folder, `${program}.mjs`)];
  },
  async go(program, folder) {
    const out = join(folder, program);
    // A clone that belongs to somebody else is none that Go asks git about.
    await promisify(execFile)('go', ['build', '-buildvcs=false', '-o', out, `./${program}`], { cwd: join(EXAMPLES, 'go') });
    return [out];
  },
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'services-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Starts a program, until the test ends. */
function start([command, ...args]: [string, ...string[]], env: Record<string, string>): ChildProcessWithoutNullStreams {
  const child = spawn(command, args, {
    env: { PATH: process.env['PATH'], PYTHONDONTWRITEBYTECODE: '1', ...env },
    stdio: 'pipe',
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

test.for(Object.entries(LANGUAGES))('%s: provision makes users once, and welcomes each once, through a killed server', async (
  [language, ready], { herald, network, alice },
) => {
  const command = await ready('provision', folder);
  const key = await herald.key(`crm-${language}`, 'provision', 'send', 'read');
  const provision = async (users: object[]) => {
    const child = start(command, { KEY: key, SENDER: `handle:${alice.handle}`, HERALD_URL: network.http });
    child.stdin.end(users.map((user) => JSON.stringify(user)).join('\n'));
    const [printed, errors, [exit]] = await Promise.all([
      text(child.stdout), text(child.stderr), once(child, 'exit'),
    ]);
    return { users: printed.split('\n').filter(Boolean).map((line) => JSON.parse(line)), errors, exit };
  };
  const two = [
    { externalId: `42 ${language}`, handle: `grace-${language}`, displayName: 'Grace' },
    { externalId: `Lin ${language}@example.com` },
  ];
  await herald.kill();
  const provisioning = provision(two);
  await herald.start();
  const first = await provisioning;
  expect(first.users).toEqual([
    { handle: `grace-${language}`, externalId: `42 ${language}` },
    { handle: `lin-${language}`, externalId: `Lin ${language}@example.com` },
  ]);
  expect(first.errors).toContain('2 of 2 are new');
  const again = await provision(two);
  expect([again.exit, again.users]).toEqual([0, first.users]);
  expect(again.errors).toContain('0 of 2 are new');
  const { conversations } = await alice.request<{
    conversations: { nodes: { messages: { nodes: { body: string }[] } }[] };
  }>('{ conversations(first: 9) { nodes { messages(first: 9) { nodes { body } } } } }');
  const said = conversations.nodes.map(({ messages }) => messages.nodes.map(({ body }) => body));
  expect(said).toEqual([[`Welcome, lin-${language}!`], [`Welcome, grace-${language}!`]]);

  const refused = await provision([{ externalId: `43 ${language}`, handle: `grace-${language}` }]);
  expect(refused.exit).toBe(1);
  expect(refused.errors).toContain('HANDLE_TAKEN');
});

test.for(Object.entries(LANGUAGES))('%s: follow-log counts each event once, though it is killed and herald too', async (
  [language, ready], { herald, network, alice, bob, conversationId },
) => {
  const command = await ready('follow-log', folder);
  const name = `archive-${language}`;
  const key = await herald.key(name, 'read');
  const state = join(folder, `${language}.json`);
  const types: string[] = [];
  const begin = () => {
    const child = start([...command, state], { KEY: key, HERALD_URL: network.http });
    return { child, told: createInterface(child.stdout)[Symbol.asyncIterator]() };
  };
  const until = async (told: AsyncIterator<string>, count: number) => {
    while (types.length < count) {
      const { value, done } = await told.next();
      if (done) throw new Error('it ended');
      const { type, __typename } = JSON.parse(value);
      types.push(type ?? __typename);
    }
  };
  const deliver = async (body: string) => bob.markRead((await alice.send(conversationId, body)).id);

  let program = begin();
  await expect.poll(() => readFile(state, 'utf8').catch(() => ''), { timeout: 20_000 }).toContain('counts');
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
  // As CloudEvents, or as GraphQL has it.
  const [sent, changed] = types as [string, string];
  expect([['herald.message.sent', 'herald.status.changed'], ['MessageSent', 'StatusChanged']]).toContainEqual([sent, changed]);
  expect(types).toEqual(Array.from({ length: 4 }, () => [sent, changed]).flat());
  expect(JSON.parse(await readFile(state, 'utf8')).counts).toEqual({ [sent]: 4, READ: 4 });

  const errors = text(program.child.stderr);
  const exit = once(program.child, 'exit');
  await herald.command('key', 'revoke', name);
  expect((await exit)[0]).toBe(1);
  expect(await errors).toContain('UNAUTHENTICATED');
});
