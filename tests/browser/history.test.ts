/** Conversations and lists that are longer than a page. */

import { expect } from 'vitest';

import { test } from './fixtures.ts';

const numbered = (what: string, count: number) => Array.from({ length: count }, (_, n) => `${what} ${n + 1}`);

test('a long history is read to its beginning, in order, nothing twice', async ({
  device, alice, bob, conversationId,
}) => {
  const bodies = numbered('message', 300);
  for (const [n, body] of bodies.entries()) await (n % 3 ? alice : bob).send(conversationId, body);
  await alice.markRead(await bob.send(conversationId, 'the end'));
  bodies.push('the end');

  const alices = await (await device(alice)).chat(conversationId);
  await alices.is('connected');
  await expect.poll(async () => (await alices.bodies()).at(-1)).toBe('the end');
  // It begins with the newest, and asks for more only when somebody goes there.
  expect(await alices.messages.count()).toBeLessThan(150);
  await expect
    .poll(async () => {
      await alices.log.press('Home');
      return alices.messages.count();
    })
    .toBe(301);

  expect(await alices.bodies()).toEqual(bodies);
  const ids = await alices.messages.evaluateAll((all) => all.map((one) => one.getAttribute('data-message-id')));
  expect(new Set(ids).size).toBe(301);
  await alices.message('message 1').scrollIntoViewIfNeeded();
  await expect.poll(() => alices.message('message 1').isVisible()).toBe(true);
});

test('what comes while the past is read is neither shown in between nor taken for read', async ({
  device, alice, bob, conversationId,
}) => {
  await alice.markRead(await bob.sendAll(conversationId, numbered('message', 60)));
  const alices = await (await device(alice)).chat(conversationId);
  await alices.message('message 60').waitFor();
  const place = async () => (await alices.message('message 1').boundingBox())?.y;
  await expect
    .poll(async () => {
      await alices.log.press('Home');
      return (await alices.message('message 1').count()) && place();
    })
    .toBeGreaterThan(0);
  await alices.page.locator('[role=log][aria-busy=false]').waitFor();
  let before = await place();
  await expect.poll(async () => before === (before = await place())).toBe(true);

  await bob.send(conversationId, 'new');
  const toEnd = alices.page.getByRole('button', { name: 'To the newest message' });
  await expect.poll(() => toEnd.innerText()).toContain('1');
  await expect.poll(async () => (await bob.messages(conversationId)).at(-1)).toMatchObject({ status: 'DELIVERED' });
  // Scrolling has no fractions of a pixel.
  expect(Math.abs((await place())! - before!)).toBeLessThan(1);

  await toEnd.click();
  await expect.poll(async () => (await bob.messages(conversationId)).at(-1)).toMatchObject({ status: 'READ' });
  await expect.poll(() => toEnd.count()).toBe(0);
});

test('a long list of conversations is read to its end, and follows what happens in it', async ({
  device, alice, bob,
}) => {
  const titles = numbered('Room', 45);
  const ids: string[] = [];
  for (const title of titles) ids.push(await bob.converse([alice], title));
  const alices = await (await device(alice)).chat();
  await alices.is('connected');
  const names = () => alices.conversations.locator('strong').allInnerTexts();
  await expect.poll(async () => (await names())[0]).toBe('Room 45');

  // Nobody has scrolled to this one yet.
  await bob.send(ids[0]!, 'Still here?');
  await expect.poll(async () => (await names())[0]).toBe('Room 1');
  await expect
    .poll(async () => {
      await alices.conversations.last().scrollIntoViewIfNeeded();
      return alices.conversations.count();
    })
    .toBe(45);

  expect(await names()).toEqual(['Room 1', ...titles.slice(1).reverse()]);
});

test('who scrolls up while there is no connection is shown the past when there is one', async ({
  device, alice, bob, conversationId,
}) => {
  await alice.markRead(await bob.sendAll(conversationId, numbered('message', 100)));
  const alices = await (await device(alice)).chat(conversationId);
  await expect.poll(() => alices.messages.count()).toBe(40);
  await alices.goOffline();
  await alices.log.press('Home');
  await expect.poll(async () => (await alices.messages.first().boundingBox())!.y).toBeGreaterThan(0);
  await alices.goOnline();

  await expect.poll(() => alices.messages.count()).toBeGreaterThan(40);
});
