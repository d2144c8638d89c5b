/** The list of conversations: what is unread in them, and how they begin. */

import { expect } from 'vitest';

import { test } from './fixtures.ts';

test('unread messages are counted until they are read', async ({ device, alice, bob, carol, conversationId }) => {
  const other = await carol.converse([alice]);
  await bob.sendAll(conversationId, ['one', 'two']);
  const laptop = await device(alice);
  const alices = await laptop.chat();

  await expect.poll(() => alices.unread('Bob')).toBe('2');
  await expect.poll(() => alices.page.title()).toContain('2');
  expect(await alices.unread('Carol')).toBeUndefined();

  // They count as they come, in the conversations that are not open.
  await bob.send(conversationId, 'three');
  await expect.poll(() => alices.unread('Bob')).toBe('3');
  await alices.open('Bob');
  await expect.poll(() => alices.unread('Bob')).toBeUndefined();
  await carol.send(other, 'hello');
  await expect.poll(() => alices.unread('Carol')).toBe('1');
  await bob.send(conversationId, 'four');
  await alices.says('one', 'two', 'three', 'four');
  await expect.poll(async () => (await bob.messages(conversationId)).at(-1)?.status).toBe('READ');
  expect(await alices.unread('Bob')).toBeUndefined();

  // herald knows it, not only this page; and a page that shows nothing of it follows.
  const another = await laptop.chat();
  await expect.poll(() => another.unread('Carol')).toBe('1');
  expect(await another.unread('Bob')).toBeUndefined();
  await alices.open('Carol');
  for (const chat of [alices, another]) {
    await expect.poll(() => chat.unread('Carol')).toBeUndefined();
    await expect.poll(() => chat.page.title()).not.toContain('(');
  }
});

test('the title counts what is unread also where the list was not read to its end, and names what is open', async ({
  device, alice, bob,
}) => {
  const ids: string[] = [];
  for (let n = 1; n <= 35; n++) ids.push(await bob.converse([alice], `Room ${n}`));
  for (const id of ids) await bob.send(id, 'Hello');
  const alices = await (await device(alice)).chat();
  await expect.poll(() => alices.page.title()).toBe('(35) herald');
  expect(await alices.conversations.count()).toBeLessThan(35);

  await alices.open('Room 35');
  await expect.poll(() => alices.page.title()).toBe('(34) Room 35 · herald');
});

test('a conversation is started by handle, and appears with the other', async ({ device, alice, bob }) => {
  const bobs = await (await device(bob)).chat();
  const alices = await (await device(alice)).chat();
  await bobs.is('connected');

  await alices.start(`@${bob.handle.toUpperCase()}`);
  await alices.write('Hello');

  await expect.poll(() => bobs.unread('Alice')).toBe('1');
  await bobs.open('Alice');
  await bobs.says('Hello');
  await alices.showsTicks('Read');

  // Two have one conversation: whoever starts it again is where it is.
  await bobs.start(alice.handle);
  await expect.poll(() => bobs.dialog('New conversation').count()).toBe(0);
  await bobs.says('Hello');
  expect(await bobs.conversations.count()).toBe(1);
});

test('a handle that nobody has is named, and can be corrected', async ({ device, alice, bob, carol }) => {
  const alices = await (await device(alice)).chat();
  await alices.is('connected');
  await alices.start(`${bob.handle}, nobody-at-all`, 'Tea club');
  const dialog = alices.dialog('New conversation');
  await expect.poll(() => dialog.getByRole('alert').innerText()).toContain('nobody-at-all');
  expect(await dialog.getByLabel('With').getAttribute('aria-invalid')).toBe('true');

  await dialog.getByLabel('With').fill(`${bob.handle} ${carol.handle}`);
  await dialog.getByRole('button', { name: /^Start/ }).click();

  await alices.field.waitFor();
  await expect.poll(() => dialog.count()).toBe(0);
  expect(await alices.conversations.count()).toBe(1);
  expect(await alices.conversation('Tea club').count()).toBe(1);
});

test('the newest conversation is on top, with what was said last and how far it has come', async ({
  device, alice, bob, carol, conversationId,
}) => {
  const other = await carol.converse([alice]);
  const alices = await (await device(alice)).chat(conversationId);
  await alices.is('connected');
  const names = () => alices.conversations.locator('strong').allInnerTexts();

  await alices.write('Tea at four?');
  await expect.poll(names).toEqual(['Bob', 'Carol']);
  const row = alices.conversation('Bob');
  await expect.poll(() => row.innerText()).toContain('You: Tea at four?');
  await expect.poll(() => row.getByRole('img').getAttribute('aria-label')).toBe('Sent');
  await bob.markRead((await bob.messages(conversationId))[0]!.id);
  await expect.poll(() => row.getByRole('img').getAttribute('aria-label')).toBe('Read');

  await carol.send(other, 'Hello');
  await expect.poll(names).toEqual(['Carol', 'Bob']);
});
