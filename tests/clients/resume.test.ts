/** Connections break and servers die; a subscriber goes on where it was. */

import { expect } from 'vitest';

import { follow } from '../../examples/plain/resume.ts';
import { test as base } from './fixtures.ts';
import { bodies, Reader, says } from './reader.ts';
import { MESSAGE_SENT, type Message, type MessageSent, STATUS_CHANGED, type StatusChanged, type User } from './user.ts';

const test = base
  /** Sends until the server has said yes, which it says once per key however often it is asked. */
  .extend('sendForSure', ({ herald, conversationId }) => {
    return async (user: User, body: string, from?: string): Promise<Message> => {
      for (;;) {
        try {
          return await user.send(conversationId, body, { idempotencyKey: body, ...(from && { from }) });
        } catch (cause) {
          // What `fetch` throws when there was no answer. Anything else is one.
          if (!(cause instanceof TypeError)) throw cause;
          await herald.ready();
        }
      }
    };
  })
  /** Sends the messages from one number to another, in this order. */
  .extend('sendEach', ({ alice, sendForSure }) => async (first: number, last: number): Promise<void> => {
    for (let n = first; n <= last; n++) await sendForSure(alice, `message ${n}`);
  });

test('a broken network and a killed server cost a subscriber nothing', async ({
  herald, network, alice, bob, conversationId, sendForSure, sendEach,
}) => {
  const phone = await bob.connect('phone', { url: network.socket });
  const tablet = await bob.connect('tablet');
  const [onPhone, onTablet] = [phone, tablet].map(
    ({ client, ack }) => new Reader(follow<MessageSent>(client, MESSAGE_SENT, { after: ack.cursor, conversationId })),
  ) as [Reader<MessageSent>, Reader<MessageSent>];

  await sendEach(1, 20);
  await onPhone.until(says('message 20'));

  // The phone is out of reach for a while. What it says itself, it says over another network.
  network.cut();
  await sendEach(21, 30);
  await sendForSure(bob, 'from the phone', 'phone');
  await sendEach(31, 40);
  network.heal();
  await onPhone.until(says('message 40'));

  // The server dies in the middle of a burst, with an unanswered message under way.
  const burst = sendEach(41, 80);
  await onPhone.until(says('message 50'));
  await herald.kill();
  await herald.start();
  await burst;

  // Connections break while events are under way in them.
  const another = sendEach(81, 140);
  for (const body of ['message 90', 'message 110', 'message 130']) {
    await onPhone.until(says(body));
    network.cut();
    network.heal();
  }
  await another;
  await sendForSure(alice, 'the end');

  const everything = await bob.messages(conversationId);
  const said = [...Array(140).keys()].map((n) => `message ${n + 1}`);
  const inOrder = [...said.slice(0, 30), 'from the phone', ...said.slice(30), 'the end'];
  expect(everything.map(({ body }) => body)).toEqual(inOrder);

  const ids = everything.map(({ id }) => id);
  const seenByTablet = await onTablet.until(says('the end'));
  expect(seenByTablet.map(({ message }) => message.id)).toEqual(ids);
  // The phone is not told what it said itself, though it was away and came back over new connections.
  const seenByPhone = await onPhone.until(says('the end'));
  const fromOthers = everything.filter(({ sender }) => sender.handle !== bob.handle).map(({ id }) => id);
  expect(seenByPhone.map(({ message }) => message.id)).toEqual(fromOthers);
  expect(new Set(phone.acks.map(({ connectionId }) => connectionId))).toEqual(new Set(['phone']));
  expect(phone.acks.length).toBeGreaterThan(1);
});

test('marks that were made while the sender was away come in order, once', async ({
  herald, network, alice, bob, conversationId,
}) => {
  const laptop = await alice.connect('laptop', { url: network.socket });
  const changes = new Reader(follow<StatusChanged>(laptop.client, STATUS_CHANGED, { after: laptop.ack.cursor }));
  const [one, two] = [await alice.send(conversationId, 'one'), await alice.send(conversationId, 'two')];

  await bob.markDelivered(one.id);
  await changes.until(({ status }) => status === 'DELIVERED');
  network.cut();
  await bob.markRead(one.id);
  await bob.markDelivered(two.id);
  await herald.kill();
  await herald.start();
  await bob.markRead(two.id);
  network.heal();

  const seen = await changes.until(({ status, message }) => status === 'READ' && message.id === two.id);
  expect(seen.map(({ status, message }) => [status, message.id])).toEqual([
    ['DELIVERED', one.id],
    ['READ', one.id],
    ['DELIVERED', two.id],
    ['READ', two.id],
  ]);
});

test('a server that stops says so, and its successor goes on', async ({
  herald, alice, bob, conversationId, sendForSure,
}) => {
  const phone = await bob.connect('phone');
  const incoming = new Reader(follow<MessageSent>(phone.client, MESSAGE_SENT, { after: phone.ack.cursor }));
  await alice.send(conversationId, 'before');
  await incoming.until(says('before'));

  expect(await herald.stop()).toBe(0);
  expect(await phone.closed).toMatchObject({ code: 1001 });
  await herald.start();
  await sendForSure(alice, 'after');

  const seen = await incoming.until(says('after'));
  expect(bodies(seen)).toEqual(['before', 'after']);
});
