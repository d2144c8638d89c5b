/** Two people talk, and each sees how far the messages have come, while it happens. */

import { expect } from 'vitest';

import { test } from './fixtures.ts';
import { MESSAGE_SENT, type MessageSent, STATUS_CHANGED, type StatusChanged } from './user.ts';

test('a message is sent, delivered and read, and its sender sees each step', async ({ alice, bob, conversationId }) => {
  const laptop = await alice.connect('laptop');
  const phone = await bob.connect('phone');
  const changes = laptop.subscribe<StatusChanged>(STATUS_CHANGED);
  const incoming = phone.subscribe<MessageSent>(MESSAGE_SENT, { conversationId });

  const sent = await alice.send(conversationId, 'Tea at four? 🫖', { from: 'laptop' });
  expect(sent).toMatchObject({ body: 'Tea at four? 🫖', status: 'SENT', recipientCount: 1, deliveredCount: 0 });

  const received = await incoming.next();
  expect(received).toMatchObject({
    conversation: { id: conversationId },
    message: { id: sent.id, body: 'Tea at four? 🫖', sender: { handle: alice.handle } },
  });

  await bob.markDelivered(received.message.id, 'phone');
  expect(await changes.next()).toMatchObject({
    conversation: { id: conversationId },
    recipient: { handle: bob.handle },
    status: 'DELIVERED',
    message: { id: sent.id },
    messages: [{ id: sent.id }],
  });
  expect(await alice.message(sent.id)).toMatchObject({ status: 'DELIVERED', deliveredCount: 1, readCount: 0 });

  await bob.markRead(received.message.id, 'phone');
  expect(await changes.next()).toMatchObject({
    recipient: { handle: bob.handle },
    status: 'READ',
    message: { id: sent.id },
    messages: [{ id: sent.id }],
  });
  expect(await alice.message(sent.id)).toMatchObject({ status: 'READ', deliveredCount: 1, readCount: 1 });
});

test('one mark covers every message before it, and saying it again tells nobody', async ({
  alice, bob, conversationId,
}) => {
  const changes = (await alice.connect()).subscribe<StatusChanged>(STATUS_CHANGED);
  const first = await alice.send(conversationId, 'one');
  const second = await alice.send(conversationId, 'two');

  await bob.markDelivered(second.id);
  await bob.markDelivered(second.id);
  await bob.markDelivered(first.id);
  await bob.markRead(second.id);

  expect(await changes.next()).toMatchObject({
    status: 'DELIVERED',
    message: { id: second.id },
    messages: [{ id: second.id }, { id: first.id }],
  });
  expect(await changes.next()).toMatchObject({ status: 'READ', message: { id: second.id } });
});

test('nobody marks a message of their own', async ({ alice, conversationId }) => {
  const { id } = await alice.send(conversationId, 'mine');
  await expect(alice.markDelivered(id)).rejects.toMatchObject({ code: 'SENDER_CANNOT_MARK' });
  await expect(alice.markRead(id)).rejects.toMatchObject({ code: 'SENDER_CANNOT_MARK' });
  expect(await alice.message(id)).toMatchObject({ status: 'SENT' });
});

test('the connection that sends is not told, and every other one of the same user is', async ({
  alice, bob, conversationId,
}) => {
  const laptop = (await alice.connect('laptop')).subscribe<MessageSent>(MESSAGE_SENT);
  const tablet = (await alice.connect('tablet')).subscribe<MessageSent>(MESSAGE_SENT);
  // An origin is a session and a name: the same name in another session is somebody else's.
  const otherLaptop = (await (await alice.signInAgain()).connect('laptop')).subscribe<MessageSent>(MESSAGE_SENT);

  const sent = await alice.send(conversationId, 'from the laptop', { from: 'laptop' });
  const reply = await bob.send(conversationId, 'from bob');

  expect((await tablet.take(2)).map(({ message }) => message.id)).toEqual([sent.id, reply.id]);
  expect((await otherLaptop.take(2)).map(({ message }) => message.id)).toEqual([sent.id, reply.id]);
  // Events come in order: had the laptop been told of its own message, that would be the first.
  expect((await laptop.next()).message.id).toBe(reply.id);
});

test('the connection that marks is not told, and the other one of the same user is', async ({
  alice, bob, conversationId,
}) => {
  const phone = (await bob.connect('phone')).subscribe<StatusChanged>(STATUS_CHANGED);
  const tablet = (await bob.connect('tablet')).subscribe<StatusChanged>(STATUS_CHANGED);
  const { id } = await alice.send(conversationId, 'hello');
  const reply = await bob.send(conversationId, 'hello yourself');

  await bob.markRead(id, 'phone');
  await alice.markRead(reply.id);

  expect(await tablet.take(2)).toMatchObject([
    { recipient: { handle: bob.handle }, message: { id } },
    { recipient: { handle: alice.handle }, message: { id: reply.id } },
  ]);
  expect(await phone.next()).toMatchObject({ recipient: { handle: alice.handle } });
});

test("somebody else's connection id silences nothing", async ({ alice, bob, conversationId }) => {
  const phone = (await bob.connect('phone')).subscribe<MessageSent>(MESSAGE_SENT);
  const { id } = await alice.send(conversationId, 'hello', { from: 'phone' });
  expect((await phone.next()).message.id).toBe(id);
});
