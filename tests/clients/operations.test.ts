/** Everything that HTTP does goes over the socket too, and a mistake costs the operation, not the socket. */

import { expect } from 'vitest';

import type { Connection, Variables } from './connection.ts';
import { test } from './fixtures.ts';
import { MESSAGE_SENT, type Message, type MessageSent, SEND } from './user.ts';

async function whoIsThere(connection: Connection): Promise<unknown> {
  return (await connection.ask(`{ viewer { handle } }`)).data;
}

test('a query has one result', async ({ alice, bob }) => {
  const laptop = await alice.connect();
  const answer = await laptop.ask(
    `query Find($handle: String!) { viewer { handle } user(handle: $handle) { handle } }`,
    { handle: bob.handle },
  );
  expect(answer).toEqual({ data: { viewer: { handle: alice.handle }, user: { handle: bob.handle } } });
});

test('of several operations in a document, the one that is named is executed', async ({ alice }) => {
  const laptop = await alice.connect();
  const query = `query Handle { viewer { handle } } query Name { viewer { displayName } }`;
  const results = laptop.client.iterate({ query, operationName: 'Name' });
  expect(await results.next()).toMatchObject({ value: { data: { viewer: { displayName: 'alice' } } } });
  expect(await results.next()).toMatchObject({ done: true });
});

test('what a socket sends is not told to its own subscriptions', async ({ alice, bob, conversationId }) => {
  const laptop = await alice.connect();
  const tablet = await alice.connect();
  const onLaptop = laptop.subscribe<MessageSent>(MESSAGE_SENT);
  const onTablet = tablet.subscribe<MessageSent>(MESSAGE_SENT);

  const answer = await laptop.ask<{ sendMessage: { message: Message } }>(SEND, {
    input: { conversationId, body: 'over the socket' },
  });
  const sent = answer.data?.sendMessage.message;
  expect(sent).toMatchObject({ body: 'over the socket', status: 'SENT' });
  const reply = await bob.send(conversationId, 'over HTTP');

  expect((await onTablet.take(2)).map(({ message }) => message.id)).toEqual([sent?.id, reply.id]);
  expect((await onLaptop.next()).message.id).toBe(reply.id);
});

test('a refused mutation has a result with the code of the refusal', async ({ alice, conversationId }) => {
  const laptop = await alice.connect();
  const { id } = await alice.send(conversationId, 'mine');
  const answer = await laptop.ask(
    `mutation Read($input: MarkInput!) { markRead(input: $input) { cursor } }`,
    { input: { messageId: id } },
  );
  expect(answer).toMatchObject({
    data: null,
    errors: [{ path: ['markRead'], extensions: { code: 'SENDER_CANNOT_MARK' } }],
  });
  expect(await whoIsThere(laptop)).toEqual({ viewer: { handle: alice.handle } });
});

/** Requests that are wrong before anything is executed. */
const MISTAKES: [string, string, Variables?][] = [
  ['a document that cannot be parsed', `{ viewer {`],
  ['a field that does not exist', `{ viewer { shoeSize } }`],
  ['a subscription to what does not exist', `subscription { weatherChanged { cursor } }`],
  ['a variable of another type', SEND, { input: 7 }],
  ['a variable left out', SEND],
];

test.for(MISTAKES)('%s is answered with an error, and the socket stays', async ([, document, variables], {
  alice, bob, conversationId,
}) => {
  const laptop = await alice.connect();
  const incoming = laptop.subscribe<MessageSent>(MESSAGE_SENT);

  // graphql-ws gives the payload of an `error` message as an array; the end of a socket would be a close event.
  await expect(laptop.ask(document, variables)).rejects.toEqual([expect.objectContaining({ message: expect.any(String) })]);

  expect(await whoIsThere(laptop)).toEqual({ viewer: { handle: alice.handle } });
  const { id } = await bob.send(conversationId, 'still there?');
  expect((await incoming.next()).message.id).toBe(id);
  expect(laptop.acks).toHaveLength(1);
});

test('subscriptions of one socket go on without each other', async ({ alice, bob, conversationId }) => {
  const laptop = await alice.connect();
  const ended = laptop.client.iterate({ query: MESSAGE_SENT, variables: { after: laptop.ack.cursor } });
  const first = ended.next();
  const lasting = laptop.subscribe<MessageSent>(MESSAGE_SENT);

  const one = await bob.send(conversationId, 'one');
  expect(await first).toMatchObject({ value: { data: { messageSent: { message: { id: one.id } } } } });
  await ended.return?.();
  const two = await bob.send(conversationId, 'two');

  expect((await lasting.take(2)).map(({ message }) => message.id)).toEqual([one.id, two.id]);
  expect(await whoIsThere(laptop)).toEqual({ viewer: { handle: alice.handle } });
});
