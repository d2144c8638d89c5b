/** herald-client, and the hooks for React and Vue, against the real server: `HERALD_BIN` names the binary. */

import { memory } from 'resumable-graphql-outbox';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { Herald } from '../../tests/clients/herald.ts';
import { MOUNTS } from './hooks.ts';
import { converse, markRead, type Person, register, send } from './people.ts';
import { gate, look } from './talk.ts';
import { chance } from './world.ts';

let herald: Herald;
beforeAll(async () => {
  herald = await Herald.create();
});
afterAll(() => herald?.remove());

async function people(): Promise<{ alice: Person; bob: Person; id: string }> {
  const [alice, bob] = [await register(herald.http, 'alice'), await register(herald.http, 'bob')];
  return { alice, bob, id: await converse(alice, bob) };
}

/** What herald has, the oldest first. */
async function stored({ ask }: Person, id: string): Promise<{ id: string; body: string; status: string; sender: { handle: string } }[]> {
  const query = 'query ($id: ID!) { conversation(id: $id) { messages(last: 100) { nodes { id body status sender { handle } } } } }';
  return (await ask(query, { id })).conversation.messages.nodes;
}

/** Waits until herald has so many messages. */
async function stores(person: Person, id: string, count: number) {
  await vi.waitUntil(async () => (await stored(person, id)).length === count, { timeout: 20_000, interval: 20 });
  return stored(person, id);
}

describe.for(Object.entries(MOUNTS))('%s', ([, mount]) => {
  test('shows a conversation through cuts, a killed server, and a backup that is put back', async () => {
    const { alice, bob, id } = await people();
    const first = await send(alice, id, 'before');
    const { network, page, shows } = await look(mount, herald.port, alice, id);
    await shows('before SENT');
    page.send('one');
    await shows('before SENT', 'one SENT');

    network.cut();
    await markRead(bob, first);
    page.send('two');
    await shows('before SENT', 'one SENT', 'two SENDING');
    network.heal();
    await shows('before READ', 'one SENT', 'two SENT');

    await herald.kill();
    page.send('three');
    await herald.start();
    await shows('before READ', 'one SENT', 'two SENT', 'three SENT');

    const restore = await herald.backUp();
    page.send('undone');
    const all = await stores(alice, id, 5);
    await markRead(bob, all.at(-1)!.id);
    await shows('before READ', 'one READ', 'two READ', 'three READ', 'undone READ');
    await restore();
    await shows('before READ', 'one SENT', 'two SENT', 'three SENT');
    page.send('again');
    await shows('before READ', 'one SENT', 'two SENT', 'three SENT', 'again SENT');
  });

  test('shows the marks of a message whose answer is late, once, and they stay', async () => {
    const { alice, bob, id } = await people();
    const { network, page, shows } = await look(mount, herald.port, alice, id);
    const released = gate();
    network.hold((request) => (request.includes('sendMessage') ? released.isOpen : undefined));
    const key = page.send('hello');
    const [message] = await stores(bob, id, 1);
    await markRead(bob, message!.id);
    await shows('hello READ');
    expect(page.now().conversation.lines).toMatchObject([{ key, id: message!.id, isMine: true }]);
    released.open();
    // The next one is sent after the answer.
    page.send('and');
    await shows('hello READ', 'and SENT');
  });

  test('sends what was written without a connection, once and in order, also after a reload', async () => {
    const { alice, bob, id } = await people();
    const store = memory();
    const before = await look(mount, herald.port, alice, id, { store });
    await before.until(({ conversation }) => conversation.isLoaded);
    // The first one is stored, and its answer is lost.
    before.network.hold((request) => (request.includes('sendMessage') ? new Promise(() => {}) : undefined));
    for (const body of ['one', 'two', 'three']) before.page.send(body);
    await stores(bob, id, 1);
    before.close();

    const { shows } = await look(mount, herald.port, alice, id, { store });
    await shows('one SENT', 'two SENT', 'three SENT');
    expect((await stored(bob, id)).map(({ body }) => body)).toEqual(['one', 'two', 'three']);
  });

  test('marks what comes as delivered, and as read what is seen, once for each change', async () => {
    const { alice, bob, id } = await people();
    const { page, mutations, until, client } = await look(mount, herald.port, alice, id);
    await until(({ state }) => state.connection === 'live');
    const one = await send(bob, id, 'one');
    const statusOf = async (body: string) => (await stored(bob, id)).find((message) => message.body === body)?.status;
    await vi.waitUntil(async () => (await statusOf('one')) === 'DELIVERED', { timeout: 20_000, interval: 20 });
    await until(({ unread }) => unread.messages === 1 && unread.conversations === 1);
    expect(page.now().conversation.unreadCount).toBe(1);
    for (let n = 0; n < 3; n++) page.seen(one);
    await vi.waitUntil(async () => (await statusOf('one')) === 'READ', { timeout: 20_000, interval: 20 });
    await until(({ unread, conversation }) => unread.messages === 0 && conversation.unreadCount === 0);
    page.seen(one);
    expect(mutations).toEqual(['markDelivered', 'markRead']);

    // What another device marks is not marked again.
    const two = await send(bob, id, 'two');
    await vi.waitUntil(async () => (await statusOf('two')) === 'DELIVERED', { timeout: 20_000, interval: 20 });
    await markRead(alice, two);
    await until(({ conversation }) => conversation.unreadCount === 0 && conversation.lines.at(-1)?.body === 'two');
    client.seen(id, two);
    await send(bob, id, 'three');
    await vi.waitUntil(async () => (await statusOf('three')) === 'DELIVERED', { timeout: 20_000, interval: 20 });
    expect(mutations).toEqual(['markDelivered', 'markRead', 'markDelivered', 'markDelivered']);
  });

  test('shows why a message was refused, and sends another one in its place', async () => {
    const { alice, bob, id } = await people();
    const { page, shows, until } = await look(mount, herald.port, alice, id);
    await until(({ conversation }) => conversation.isLoaded);
    const key = page.send('');
    await until(({ unsent }) => unsent[0]?.status === 'FAILED');
    expect(page.now().unsent).toMatchObject([{ key, failure: { code: 'BAD_INPUT' } }]);
    page.edit(key, 'better');
    await shows('better SENT');
    expect(page.now().conversation.lines).toMatchObject([{ key }]);
    const another = page.send('');
    await until(({ unsent }) => unsent[0]?.status === 'FAILED');
    page.discard(another);
    await shows('better SENT');
    expect(await stored(bob, id)).toHaveLength(1);
  });

  test('lists conversations that begin, and those that end no more', async () => {
    const { alice, bob, id } = await people();
    const { page, until } = await look(mount, herald.port, alice, id);
    await until(({ list }) => list.conversations.length === 1);
    const carol = await register(herald.http, 'carol');
    const other = await converse(carol, alice, bob);
    await send(carol, other, 'hi');
    await until(({ list }) => list.conversations[0]?.last?.body === 'hi');
    expect(page.now().list.conversations.map((conversation) => conversation.id)).toEqual([other, id]);
    await send(bob, id, 'hello');
    await until(({ list }) => list.conversations[0]?.id === id);
    await alice.ask('mutation ($input: LeaveConversationInput!) { leaveConversation(input: $input) { cursor } }', { input: { conversationId: id } });
    await until(({ list, conversation }) => list.conversations.length === 1 && conversation.isMissing);
  });

  test('keeps a redacted text from coming back with an answer of before', async () => {
    const { alice, bob, id } = await people();
    const messageId = await send(alice, id, 'secret');
    await send(alice, id, 'newer');
    const [answered, released] = [gate(), gate()];
    const hold = (request: string) => {
      if (!request.includes('messages(last')) return;
      answered.open();
      return released.isOpen;
    };
    const { until } = await look(mount, herald.port, bob, id, { hold });
    const bodies = (...wanted: string[]) => until(({ conversation }) => conversation.lines.map(({ body }) => body).join() === wanted.join());
    await bodies('newer');
    await answered.isOpen;
    await alice.ask('mutation ($input: RedactMessageInput!) { redactMessage(input: $input) { cursor } }', { input: { messageId } });
    await bodies('', 'newer');
    released.open();
    await until(({ conversation }) => conversation.isLoaded);
    await bodies('', 'newer');
  });

  test('loads what was before, and all statuses that one mark covers', async () => {
    const { alice, bob, id } = await people();
    let last = '';
    for (let n = 0; n < 230; n++) last = await send(alice, id, `message ${n}`);
    const { page, until } = await look(mount, herald.port, alice, id);
    await until(({ conversation }) => conversation.lines.length === 50 && conversation.hasEarlier);
    for (const wanted of [100, 150, 200, 230]) {
      await page.loadEarlier();
      await until(({ conversation }) => conversation.lines.length === wanted);
    }
    expect(page.now().conversation).toMatchObject({ hasEarlier: false });
    expect(page.now().conversation.lines.map(({ body }) => body)).toEqual(Array.from({ length: 230 }, (_, n) => `message ${n}`));
    await markRead(bob, last);
    await until(({ conversation }) => conversation.lines.every(({ status }) => status === 'READ'));
  });
});

/** How many runs of chance there are, and what happens in one. */
const RUNS = Number(process.env['HERALD_TEST_RUNS'] ?? 1) * 6;
const ACTIONS = 40;

test('shows what herald has after anything', async () => {
  const only = process.env['HERALD_TEST_SEED'];
  for (const seed of only ? [Number(only)] : Array.from({ length: RUNS }, (_, n) => n + 1)) {
    await anything(seed).catch((cause) => {
      throw new Error(`HERALD_TEST_SEED=${seed}: ${cause.message}`, { cause });
    });
  }
});

async function anything(seed: number): Promise<void> {
  const random = chance(seed);
  const oneIn = (times: number) => random() * times < 1;
  const mount = Object.values(MOUNTS)[seed % 3]!;
  const { alice, bob, id } = await people();
  const { network, page, until, close } = await look(mount, herald.port, alice, id);
  network.hold(() => (oneIn(3) ? new Promise((resolve) => setTimeout(resolve, random() * 300)) : undefined));
  let [mine, theirs] = [0, 0];
  for (let n = 0; n < ACTIONS; n++) {
    if (oneIn(3)) page.send(`mine ${mine++}`);
    if (oneIn(3)) await send(bob, id, `theirs ${theirs++}`);
    if (oneIn(4)) {
      const newest = (await stored(bob, id)).findLast(({ sender }) => sender.handle === alice.handle);
      if (newest) await markRead(bob, newest.id);
    }
    const seen = page.now().conversation?.lines.findLast(({ isMine, id }) => id && !isMine);
    if (seen && oneIn(4)) page.seen(seen.id!);
    if (oneIn(6)) network.cut();
    if (oneIn(3)) network.heal();
    if (oneIn(40)) {
      await herald.kill();
      await herald.start();
    }
    await new Promise((resolve) => setTimeout(resolve, random() * 60));
  }
  network.heal();
  const all = await stores(alice, id, mine + theirs);
  const ofHerald = async () => (await stored(alice, id)).map(({ id, status }) => `${id} ${status}`).join();
  await vi.waitUntil(async () => page.now().conversation.lines.map(({ id, status }) => `${id} ${status}`).join() === (await ofHerald()), { timeout: 20_000, interval: 20 });
  expect(all.filter(({ sender }) => sender.handle === alice.handle).map(({ body }) => body)).toEqual(Array.from({ length: mine }, (_, n) => `mine ${n}`));
  await until(({ unsent }) => !unsent.length);
  close();
}
