/** How far a message has come, as its sender sees it; and who is told of it. */

import type { Request } from 'playwright-core';
import { expect } from 'vitest';

import { Chat, type Event } from './chat.ts';
import { test } from './fixtures.ts';

test('the sender sees a message sent, delivered and read', async ({ device, alice, bob, conversationId }) => {
  const alices = await (await device(alice)).chat(conversationId);
  await alices.write('Tea at four?');
  await alices.showsTicks('Sent');

  // Bob's page receives it, but does not show it.
  const bobs = await (await device(bob)).chat();
  await alices.showsTicks('Delivered');
  await expect.poll(() => bobs.unread('Alice')).toBe('1');

  await bobs.open('Alice');
  await bobs.says('Tea at four?');
  await alices.showsTicks('Read');

  await bobs.write('At four.');
  await alices.says('Tea at four?', 'At four.');
  await bobs.showsTicks('Read');
});

const sent = (events: Event[]) => events.flatMap(({ message }) => message?.body ?? []);
const marks = (chat: Chat) => chat.events.filter(({ __typename }) => __typename === 'StatusChanged');

test('a window is not told what it said itself; the other windows of the same user are', async ({
  device, alice, bob, conversationId,
}) => {
  const laptop = await device(alice);
  const [here, there] = [await laptop.chat(conversationId), await laptop.chat(conversationId)];
  const phone = await (await device(alice)).chat(conversationId);
  for (const chat of [here, there, phone]) await chat.is('connected');

  await here.write('one', 'two');
  for (const chat of [there, phone]) await chat.says('one', 'two');
  // herald tells everything in one order: whoever has this was told of everything before it.
  await bob.send(conversationId, 'three');

  for (const chat of [here, there, phone]) await chat.says('one', 'two', 'three');
  expect(sent(here.events)).toEqual(['three']);
  expect(sent(there.events)).toEqual(['one', 'two', 'three']);
  expect(sent(phone.events)).toEqual(['one', 'two', 'three']);
});

test('a window is not told of its own marks; the sender is', async ({ device, alice, bob, conversationId }) => {
  const alices = await (await device(alice)).chat(conversationId);
  const bobs = await (await device(bob)).chat(conversationId);
  for (const chat of [alices, bobs]) await chat.is('connected');

  await alices.write('one');
  await alices.showsTicks('Read');
  await alices.write('two');
  await alices.showsTicks('Read', 'Read');

  await bobs.says('one', 'two');
  expect(sent(bobs.events)).toEqual(['one', 'two']);
  expect(marks(bobs)).toEqual([]);
  expect(marks(alices).map(({ recipient }) => recipient?.handle)).toContain(bob.handle);
});

test('a window that comes back is not told then what it said before', async ({ device, alice, bob, conversationId }) => {
  const alices = await (await device(alice)).chat(conversationId);
  await alices.is('connected');
  // No event has come, so it will resume from a cursor before its own message.
  await alices.write('one');
  await alices.showsTicks('Sent');

  await alices.goOffline();
  await bob.send(conversationId, 'two');
  await alices.goOnline();

  await alices.says('one', 'two');
  expect(sent(alices.events)).toEqual(['two']);
});

test('a page that begins tells of many conversations without sending everything at once', async ({
  herald, device, alice, bob,
}) => {
  const ids: string[] = [];
  for (let n = 1; n <= 25; n++) ids.push(await bob.converse([alice], `Room ${n}`));
  for (const id of ids) await bob.send(id, 'Hello');
  let [underWay, most, all] = [0, 0, 0];
  const chat = new Chat(await (await device(alice)).page());
  const isMark = (request: Request) => !!request.postData()?.includes('mutation MarkDelivered');
  chat.page.on('request', (request) => {
    if (!isMark(request)) return;
    all++;
    most = Math.max(most, ++underWay);
  });
  chat.page.on('requestfinished', (request) => isMark(request) && underWay--);
  await chat.page.goto(new URL('/', herald.http).href);

  for (const id of ids) await expect.poll(async () => (await bob.messages(id)).at(-1)?.status).toBe('DELIVERED');
  expect(all).toBe(25);
  expect(most).toBeLessThanOrEqual(3);
});
