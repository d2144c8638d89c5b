/** A socket belongs to a session, and ends with it. */

import { expect } from 'vitest';

import { follow } from '../../examples/plain/resume.ts';
import { test } from './fixtures.ts';
import { MESSAGE_SENT, type MessageSent, type User } from './user.ts';

test('to log out closes every socket of the session, and none of another', async ({ alice, bob, conversationId }) => {
  const phone = await bob.connect('phone');
  const tablet = await bob.connect('tablet');
  const elsewhere = await (await bob.signInAgain()).connect();
  const onPhone = phone.subscribe<MessageSent>(MESSAGE_SENT);
  const onElsewhere = elsewhere.subscribe<MessageSent>(MESSAGE_SENT);
  // Received, so that the subscriptions are known to be under way when the session ends.
  const first = await alice.send(conversationId, 'for both');
  expect((await onPhone.next()).message.id).toBe(first.id);
  expect((await onElsewhere.next()).message.id).toBe(first.id);

  await bob.logOut();

  expect(await phone.closed).toMatchObject({ code: 4403 });
  expect(await tablet.closed).toMatchObject({ code: 4403 });
  const { id } = await alice.send(conversationId, 'not for the phone');
  expect((await onElsewhere.next()).message.id).toBe(id);
  await expect(onPhone.next()).rejects.toMatchObject({ code: 4403 });
});

test('a subscriber that resumes gives up when its session has ended', async ({ alice, bob, conversationId }) => {
  const phone = await bob.connect('phone');
  const events = follow<MessageSent>(phone.client, MESSAGE_SENT, { after: phone.ack.cursor });
  const { id } = await alice.send(conversationId, 'the last one');
  expect((await events.next()).value).toMatchObject({ message: { id } });

  const further = expect(events.next()).rejects.toMatchObject({ code: 4403 });
  await bob.logOut();
  await further;
});

/** Tokens that stand for no session. */
const TOKENS: [string, (bob: User) => Promise<string>][] = [
  ['that was never given out', async () => 'never-given-out'],
  ['of nothing', async () => ''],
  [
    'of a session that has ended',
    async (bob) => {
      const again = await bob.signInAgain();
      await again.logOut();
      return again.token;
    },
  ],
];

test.for(TOKENS)('a token %s opens no socket', async ([, token], { bob }) => {
  const connectionParams = { authorization: `Bearer ${await token(bob)}` };
  await expect(bob.connect('phone', { connectionParams })).rejects.toMatchObject({ code: 4403 });
});
