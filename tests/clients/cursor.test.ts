/** A snapshot and what happened since: together, nothing is missing. */

import { expect } from 'vitest';

import type { Ack } from './connection.ts';
import { test } from './fixtures.ts';
import type { SnapshotQuery } from './generated/graphql.ts';
import { Herald } from './herald.ts';
import { MESSAGE_SENT, type MessageSent, User } from './user.ts';

const SNAPSHOT = /* GraphQL */ `
  query Snapshot {
    cursor
    conversations {
      nodes { id unreadCount messages(last: 200) { nodes { id } } }
    }
  }
`;

test('a snapshot and a subscription from its cursor have everything between them', async ({
  alice, bob, conversationId,
}) => {
  const phone = await bob.connect();
  const sent: string[] = [];
  let isTyping = true;
  const typing = (async () => {
    while (isTyping) sent.push((await alice.send(conversationId, `message ${sent.length}`)).id);
  })();

  // Each is taken while messages are being written, at whatever moment it happens to meet.
  const views = [];
  while (views.length < 8) {
    const { cursor, conversations } = await phone.ask<SnapshotQuery>(SNAPSHOT).then(({ data }) => data!);
    const since = phone.subscribe<MessageSent>(MESSAGE_SENT, { after: cursor });
    views.push({ seen: conversations.nodes[0]!.messages.nodes.map(({ id }) => id), since });
  }
  isTyping = false;
  await typing;
  const { id: last } = await alice.send(conversationId, 'the end');

  const everything = (await bob.messages(conversationId)).map(({ id }) => id);
  expect(everything).toEqual([...sent, last]);
  for (const { seen, since } of views) {
    const events: string[] = [];
    while (events.at(-1) !== last) events.push((await since.next()).message.id);
    // The cursor is from before the snapshot, never after it, so that the two may overlap.
    expect([...new Set([...seen, ...events])]).toEqual(everything);
    expect(events).toEqual(everything.slice(-events.length));
  }
});

test("the ack's cursor is from before anything that the connection can miss", async ({
  alice, bob, conversationId,
}) => {
  const phone = await bob.connect();
  const { id } = await alice.send(conversationId, 'while bob makes up his mind');
  const incoming = phone.subscribe<MessageSent>(MESSAGE_SENT, { after: phone.ack.cursor });
  expect((await incoming.next()).message.id).toBe(id);
});

test('to go on from an event is to get the one after it', async ({ alice, bob, conversationId }) => {
  const phone = await bob.connect();
  const ids = [];
  for (const body of ['one', 'two', 'three']) ids.push((await alice.send(conversationId, body)).id);

  const [, two, three] = await phone.subscribe<MessageSent>(MESSAGE_SENT).take(3);
  const again = phone.subscribe<MessageSent>(MESSAGE_SENT, { after: two!.cursor });

  expect(await again.next()).toEqual(three);
  expect(three!.message.id).toBe(ids[2]);
});

test('a connection keeps the name that it chose, and gets one if it chose none', async ({ bob }) => {
  const { connectionId: chosen } = (await bob.connect('phone')).ack;
  const { connectionId: given } = (await bob.connect()).ack;
  const { connectionId: another } = (await bob.connect()).ack;
  expect(chosen).toBe('phone');
  expect(given).toBeTruthy();
  expect(another).not.toBe(given);
});

test.for([
  ['of gibberish', () => 'gibberish'],
  ['of nothing', () => ''],
  ['with a letter changed', ({ cursor }: Ack) => (cursor.startsWith('A') ? 'B' : 'A') + cursor.slice(1)],
] as const)('a cursor %s is refused at once, and the socket stays', async ([, forge], { bob }) => {
  const phone = await bob.connect();
  const incoming = phone.subscribe(MESSAGE_SENT, { after: forge(phone.ack) });
  await expect(incoming.next()).rejects.toMatchObject([{ extensions: { code: 'CURSOR_INVALID' } }]);
  expect((await phone.ask(`{ viewer { handle } }`)).data).toEqual({ viewer: { handle: bob.handle } });
});

test('a cursor of another log is refused, with a code of its own', async ({ bob }) => {
  const other = await Herald.create();
  try {
    const { cursor } = await (await User.register(other, 'bob')).request<{ cursor: string }>(`{ cursor }`);
    const incoming = (await bob.connect()).subscribe(MESSAGE_SENT, { after: cursor });
    await expect(incoming.next()).rejects.toMatchObject([{ extensions: { code: 'CURSOR_EXPIRED' } }]);
  } finally {
    await other.remove();
  }
});
