/** The server dies under the pages, and comes back. */

import { expect } from 'vitest';

import { test } from './fixtures.ts';

/** Queries may come by GET, with their document in the address. */
const isGraphql = ({ pathname }: URL) => pathname === '/graphql';

test('a server that is killed and started again costs two pages nothing', async ({
  herald, device, alice, bob, conversationId,
}) => {
  const [laptop, phone] = [await device(alice), await device(bob)];
  // The browser says so of each attempt to connect, and of a request that was under way.
  for (const one of [laptop, phone]) one.provokes(/ERR_CONNECTION_REFUSED/, /ERR_CONNECTION_RESET/, /ERR_EMPTY_RESPONSE/);
  const alices = await laptop.chat(conversationId);
  const bobs = await phone.chat(conversationId);
  await alices.write('before');
  await alices.showsTicks('Read');

  await herald.kill();
  for (const chat of [alices, bobs]) await chat.is('reconnecting');
  await alices.write('alice 1', 'alice 2');
  await bobs.write('bob 1', 'bob 2');
  await alices.showsTicks('Read', 'Waiting to be sent', 'Waiting to be sent');
  await herald.start();
  for (const chat of [alices, bobs]) await chat.is('connected');

  await alices.showsTicks('Read', 'Read', 'Read');
  await bobs.showsTicks('Read', 'Read');
  const bodies = (await alice.messages(conversationId)).map(({ body }) => body);
  expect(bodies.filter((body) => !body.startsWith('bob'))).toEqual(['before', 'alice 1', 'alice 2']);
  expect(bodies.filter((body) => body.startsWith('bob'))).toEqual(['bob 1', 'bob 2']);
  for (const chat of [alices, bobs]) await chat.says(...bodies);
  for (const chat of [alices, bobs]) {
    const cursors = chat.events.map(({ cursor }) => cursor);
    expect(new Set(cursors).size).toBe(cursors.length);
  }
});

test('a server that is killed in the middle of a burst costs nothing', async ({
  herald, device, alice, bob, conversationId,
}) => {
  const [laptop, phone] = [await device(alice), await device(bob)];
  for (const one of [laptop, phone]) one.provokes(/ERR_CONNECTION_REFUSED/, /ERR_CONNECTION_RESET/, /ERR_EMPTY_RESPONSE/);
  const alices = await laptop.chat(conversationId);
  const bobs = await phone.chat(conversationId);
  for (const chat of [alices, bobs]) await chat.is('connected');
  const bodies = Array.from({ length: 40 }, (_, n) => `message ${n + 1}`);

  const burst = alices.write(...bodies);
  await expect.poll(() => bobs.messages.count()).toBeGreaterThan(5);
  await herald.kill();
  await herald.start();
  await burst;

  await bobs.says(...bodies);
  await alices.showsTicks(...bodies.map(() => 'Read'));
  await alices.says(...bodies);
});

test('a page that is opened while the server is away shows the chat when it is back', async ({
  herald, device, alice, bob, conversationId,
}) => {
  const laptop = await device(alice);
  laptop.provokes(/ERR_CONNECTION_REFUSED/);
  const alices = await laptop.chat(conversationId);
  await alices.is('connected');
  await bob.send(conversationId, 'before');
  await alices.says('before');

  // The page itself is loaded, and its first request fails.
  let isAway = true;
  await alices.page.route(isGraphql, (route) => (isAway ? route.abort('connectionrefused') : route.continue()));
  await alices.page.reload();
  await alices.page.getByText('herald cannot be reached').waitFor();
  await herald.kill();
  await herald.start();
  isAway = false;

  await alices.says('before');
  await alices.is('connected');
});

test('after a backup was restored, what is shown is what is there', async ({
  herald, device, alice, bob, conversationId,
}) => {
  const laptop = await device(alice);
  laptop.provokes(/ERR_CONNECTION_REFUSED/, /ERR_CONNECTION_RESET/, /ERR_EMPTY_RESPONSE/);
  const alices = await laptop.chat(conversationId);
  await alices.write('before');
  await alices.showsTicks('Sent');
  const restore = await herald.backUp();
  await alices.is('connected');
  await bob.markRead((await bob.messages(conversationId)).at(-1)!.id);
  await alices.showsTicks('Read');
  await alices.write('undone');
  await alices.showsTicks('Read', 'Sent');

  await restore();
  await alices.says('before');
  await alices.showsTicks('Sent');
  await bob.markRead((await bob.messages(conversationId)).at(-1)!.id);
  await alices.showsTicks('Read');
});
