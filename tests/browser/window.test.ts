/** Conversations that are far longer than what a page shows of them at a time. */

import { expect } from 'vitest';

import type { Chat } from './chat.ts';
import { test } from './fixtures.ts';

/** How many messages are in a page at most, and by how much of its height somebody scrolls at a time. */
const SHOWN = 400;
const SCREEN = 0.8;

const numbered = (what: string, count: number) => Array.from({ length: count }, (_, n) => `${what} ${n + 1}`);

/** The numbers of the messages that are in the page, and of those the ones on the screen. */
async function numbers(chat: Chat): Promise<{ all: number[]; seen: number[] }> {
  return chat.log.evaluate((log) => {
    const { top, bottom } = log.getBoundingClientRect();
    const all = [...log.querySelectorAll('[data-testid=message]')].map((message) => {
      const box = message.getBoundingClientRect();
      const number = Number(/\d+/.exec(message.querySelector('.body')!.textContent!));
      return { number, isSeen: box.top >= top && box.bottom <= bottom };
    });
    const seen = all.filter(({ isSeen }) => isSeen);
    return { all: all.map(({ number }) => number), seen: seen.map(({ number }) => number) };
  });
}

/** Scrolls, and waits until what that loads is there: by how much the message in the middle has moved too far. */
async function scroll(chat: Chat, direction: -1 | 1): Promise<number> {
  return chat.log.evaluate(async (log, by) => {
    const frame = () => new Promise(requestAnimationFrame);
    const settle = async () => {
      do for (let n = 0; n < 3; n++) await frame();
      while (log.getAttribute('aria-busy') === 'true');
    };
    const { top, height } = log.getBoundingClientRect();
    const middle = [...log.querySelectorAll('[data-testid=message]')].find(
      (message) => message.getBoundingClientRect().top >= top + height / 2,
    )!;
    const before = { y: middle.getBoundingClientRect().top, at: log.scrollTop };
    log.scrollTop += by * height;
    const wanted = log.scrollTop - before.at;
    await settle();
    return before.y - wanted - middle.getBoundingClientRect().top;
  }, direction * SCREEN);
}

const consecutive = (some: number[]) => some.every((number, n) => n === 0 || number === some[n - 1]! + 1);

test('a long conversation is read to its beginning and back without a jump, with few messages in the page', async ({
  device, alice, bob, conversationId,
}) => {
  await alice.markRead(await bob.sendAll(conversationId, numbered('message', 520)));
  const alices = await (await device(alice)).chat(conversationId);
  await alices.message('message 520').waitFor();
  const read = new Set((await numbers(alices)).seen);
  const go = async (direction: -1 | 1) => {
    const jumped = await scroll(alices, direction);
    const { all, seen } = await numbers(alices);
    expect(all.length).toBeLessThanOrEqual(SHOWN);
    expect(consecutive(all)).toBe(true);
    expect(Math.abs(jumped), `at message ${seen[0]}`).toBeLessThan(2);
    for (const number of seen) read.add(number);
    return seen;
  };

  while ((await go(-1))[0] !== 1);
  expect(read.size).toBe(520);
  await expect.poll(async () => (await numbers(alices)).all.at(-1)).toBe(400);
  read.clear();
  for (const number of (await numbers(alices)).seen) read.add(number);
  while ((await go(1)).at(-1) !== 520);
  expect(read.size).toBe(520);
  await alices.toEnd();

  await bob.send(conversationId, 'message 521');
  await expect.poll(async () => (await numbers(alices)).seen.at(-1)).toBe(521);
});

test('of very many unread messages only those around the first are loaded, and what is not seen stays unread', async ({
  device, alice, bob, conversationId,
}) => {
  await alice.markRead(await bob.sendAll(conversationId, numbered('message', 30)));
  await bob.sendAll(conversationId, numbered('message', 630).slice(30));
  const laptop = await device(alice);
  const alices = await laptop.chat(conversationId);

  await expect.poll(async () => (await numbers(alices)).seen).toContain(31);
  await alices.log.getByText('New', { exact: true }).waitFor();
  expect((await numbers(alices)).all.length).toBeLessThanOrEqual(SHOWN);
  expect((await numbers(alices)).all.at(-1)).toBeLessThan(400);
  const unread = async () => Number(await alices.unread('Bob'));
  await expect.poll(unread).toBeGreaterThan(500);
  // What comes now is far away, and unread.
  await bob.send(conversationId, 'message 631');
  const toEnd = alices.page.getByRole('button', { name: 'To the newest message' });
  await expect.poll(() => toEnd.innerText()).toMatch(/5\d\d/);
  expect((await numbers(alices)).seen).toContain(31);

  for (let screen = 0; screen < 12; screen++) expect(Math.abs(await scroll(alices, 1))).toBeLessThan(2);
  const { all, seen } = await numbers(alices);
  expect(consecutive(all)).toBe(true);
  expect(seen[0]).toBeGreaterThan(150);
  await expect.poll(unread).toBe(631 - seen.at(-1)!);

  await alices.log.press('End');
  await expect.poll(async () => (await numbers(alices)).seen.at(-1)).toBe(631);
  await expect.poll(() => alices.unread('Bob')).toBeUndefined();
});

test('what is written far from the newest message is shown where it belongs', async ({
  device, alice, bob, conversationId,
}) => {
  await bob.sendAll(conversationId, numbered('message', 300));
  const alices = await (await device(alice)).chat(conversationId);
  await expect.poll(async () => (await numbers(alices)).seen).toContain(1);

  await alices.write('message 301');
  await alices.showsTicks('Sent');
  await expect.poll(async () => (await numbers(alices)).seen.at(-1)).toBe(301);
  expect((await numbers(alices)).all.slice(-3)).toEqual([299, 300, 301]);
});
