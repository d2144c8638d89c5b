/** Where one stopped reading, and what counts as read. */

import { setTimeout as pause } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';

import type { Chat } from './chat.ts';
import { test } from './fixtures.ts';
import type { Person } from './person.ts';

/** At least so far apart do messages arrive, in milliseconds. */
const PACE = 100;

const numbered = (what: string, count: number) => Array.from({ length: count }, (_, n) => `${what} ${n + 1}`);

/** Which messages are on the screen as a whole, in their order. */
const onScreen = (chat: Chat) =>
  chat.log.evaluate((log) => {
    const { top, bottom } = log.getBoundingClientRect();
    return [...log.querySelectorAll('[data-testid=message]')]
      .filter((message) => message.getBoundingClientRect().top >= top && message.getBoundingClientRect().bottom <= bottom)
      .map((message) => message.querySelector('.body')!.textContent);
  });

/** What the sender was told of being read. */
const read = async (sender: Person, conversationId: string) =>
  (await sender.messages(conversationId)).flatMap(({ body, status }) => (status === 'READ' ? [body] : []));

/** Waits until the newest message that counts as read is the newest on the screen. */
const seesWhatIsRead = (chat: Chat, sender: Person, conversationId: string) =>
  expect
    .poll(async () => (await read(sender, conversationId)).at(-1) === (await onScreen(chat)).at(-1))
    .toBe(true);

/** Puts the page behind another tab, or in front. */
const hide = (chat: Chat, isHidden: boolean) =>
  chat.page.evaluate((state) => {
    Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, isHidden ? 'hidden' : 'visible');

test('who comes back to many messages begins at the first unread, and only what is seen counts as read', async ({
  device, alice, bob, conversationId,
}) => {
  await alice.markRead(await bob.sendAll(conversationId, numbered('old', 20)));
  await bob.sendAll(conversationId, numbered('new', 120));
  const alices = await (await device(alice)).chat(conversationId);

  await expect.poll(() => onScreen(alices)).toContain('new 1');
  const line = alices.log.getByText('New', { exact: true });
  const [above, below] = [await line.boundingBox(), await alices.message('new 1').boundingBox()];
  expect(above!.y).toBeLessThan(below!.y);
  await seesWhatIsRead(alices, bob, conversationId);
  const left = 140 - (await read(bob, conversationId)).length;
  expect(left).toBeGreaterThan(80);
  await expect.poll(() => alices.unread('Bob')).toBe(`${left}`);

  await alices.page.getByRole('button', { name: 'To the newest message' }).click();
  await expect.poll(async () => (await read(bob, conversationId)).length).toBe(140);
  await expect.poll(() => alices.unread('Bob')).toBeUndefined();
});

test('what comes while a tab is hidden is new, and unread, when one comes back', async ({
  device, alice, bob, conversationId,
}) => {
  await alice.markRead(await bob.sendAll(conversationId, numbered('old', 20)));
  const alices = await (await device(alice)).chat(conversationId);
  await alices.message('old 20').waitFor();

  await hide(alices, true);
  await bob.sendAll(conversationId, numbered('new', 40));
  await alices.message('new 40').waitFor();
  await expect.poll(async () => (await bob.messages(conversationId)).at(-1)?.status).toBe('DELIVERED');
  expect(await read(bob, conversationId)).toEqual(numbered('old', 20));

  await hide(alices, false);
  await expect.poll(() => onScreen(alices)).toContain('new 1');
  await alices.log.getByText('New', { exact: true }).waitFor();
  await seesWhatIsRead(alices, bob, conversationId);
  expect(await read(bob, conversationId)).not.toContain('new 40');
});

test('one gets to the newest message while others arrive', async ({ device, alice, bob, conversationId }) => {
  await bob.sendAll(conversationId, numbered('old', 100));
  const alices = await (await device(alice)).chat(conversationId);
  await expect.poll(() => onScreen(alices)).toContain('old 1');

  let isOver = false;
  onTestFinished(() => void (isOver = true));
  const arriving = (async () => {
    for (let n = 1; !isOver; n++) await Promise.all([pause(PACE), bob.send(conversationId, `new ${n}`)]);
  })();
  await alices.message('new 5').waitFor();
  await alices.page.getByRole('button', { name: 'To the newest message' }).click();
  const newest = (await alices.messages.count()) - 1;
  await expect.poll(() => alices.messages.count()).toBeGreaterThan(newest + 10);
  await expect.poll(() => alices.log.evaluate(({ scrollTop }) => Math.round(scrollTop))).toBe(0);
  isOver = true;
  await arriving;
  await expect.poll(async () => (await bob.messages(conversationId)).at(-1)?.status).toBe('READ');
});
