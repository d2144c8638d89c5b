/** How a page tells of messages while nobody looks at it. */

import { expect } from 'vitest';

import { faults } from './accessibility.ts';
import type { Chat } from './chat.ts';
import type { Device } from './device.ts';
import { test } from './fixtures.ts';

interface Shown {
  title: string;
  body: string;
  tag: string;
  isClosed: boolean;
}

/** What a page with notifications and sounds that are noted, and not shown or played, has of them. */
interface Noted {
  answer: NotificationPermission;
  asked: number;
  shown: (Shown & Notification)[];
  tones: number;
}

declare const noted: Noted;

/** Opens a window whose browser answers so when it is asked for notifications. */
async function open(laptop: Device, answer: NotificationPermission, fragment = ''): Promise<Chat> {
  const chat = await laptop.chat(fragment);
  await chat.page.addInitScript((answer) => {
    const { noted } = Object.assign(globalThis, { noted: { answer, asked: 0, shown: [], tones: 0 } as Noted });
    class Fake {
      static permission = sessionStorage.getItem('permission') ?? 'default';
      isClosed = false;
      title: string;
      body: string;
      tag: string;
      constructor(title: string, { body = '', tag = '' }: NotificationOptions) {
        [this.title, this.body, this.tag] = [title, body, tag];
        noted.shown.push(this as unknown as Shown & Notification);
      }
      static async requestPermission() {
        noted.asked++;
        sessionStorage.setItem('permission', noted.answer);
        return (Fake.permission = noted.answer);
      }
      close() {
        this.isClosed = true;
      }
    }
    Object.assign(globalThis, { Notification: Fake });
    Object.assign(OscillatorNode.prototype, { start: () => void noted.tones++, stop: () => {} });
  }, answer);
  await chat.page.reload();
  await chat.is('connected');
  return chat;
}

const look = (chat: Chat, isLooking: boolean) =>
  chat.page.evaluate((state) => {
    Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, isLooking ? 'visible' : 'hidden');

const shown = (chat: Chat) =>
  chat.page.evaluate(() => noted.shown.map(({ title, body, tag, isClosed }) => ({ title, body, tag, isClosed })));

const toggle = async (chat: Chat, name: string) => {
  await chat.page.getByRole('button', { name: 'Settings' }).click();
  const wish = chat.dialog('Settings').getByRole('switch', { name });
  const before = await wish.isChecked();
  await wish.click();
  await expect.poll(() => wish.isChecked()).toBe(!before);
  await chat.page.keyboard.press('Escape');
};

test('a page that is not seen notifies, if somebody wishes, and a click leads to the message', async ({
  device, alice, bob, conversationId,
}) => {
  const chat = await open(await device(alice), 'granted');
  await look(chat, false);
  await bob.send(conversationId, 'unasked');
  await expect.poll(() => chat.unread('Bob')).toBe('1');
  expect(await chat.page.evaluate(() => noted.asked)).toBe(0);
  expect(await shown(chat)).toEqual([]);

  await look(chat, true);
  await toggle(chat, 'Notify me of messages');
  await bob.send(conversationId, 'seen');
  await expect.poll(() => chat.unread('Bob')).toBe('2');
  await look(chat, false);
  await bob.send(conversationId, 'Tea at four?');
  const first = { title: 'Bob', body: 'Bob: Tea at four?', tag: conversationId, isClosed: false };
  await expect.poll(() => shown(chat)).toEqual([first]);

  await chat.page.evaluate(() => void noted.shown[0]!.onclick!.call(noted.shown[0]!, new Event('click')));
  await chat.message('Tea at four?').waitFor();
  expect(await shown(chat)).toEqual([{ ...first, isClosed: true }]);
  expect(await chat.page.evaluate(() => noted.asked)).toBe(1);
});

test('without what was said, and gone when it is read elsewhere', async ({ device, alice, bob, conversationId }) => {
  const chat = await open(await device(alice), 'granted');
  await toggle(chat, 'Notify me of messages');
  await toggle(chat, 'Show in them what was said');
  await look(chat, false);
  const id = await bob.send(conversationId, 'a secret');
  const told = { title: 'Bob', body: 'New message', tag: conversationId, isClosed: false };
  await expect.poll(() => shown(chat)).toEqual([told]);
  await alice.markRead(id);
  await expect.poll(() => shown(chat)).toEqual([{ ...told, isClosed: true }]);
});

test('what is muted is silent, and so is a page behind one that is seen', async ({ device, alice, bob, carol, conversationId }) => {
  const other = await carol.converse([alice]);
  const laptop = await device(alice);
  const chat = await open(laptop, 'granted', conversationId);
  await toggle(chat, 'Notify me of messages');
  await toggle(chat, 'Play a sound');
  const tones = () => chat.page.evaluate(() => noted.tones);
  const atFirst = await tones();
  const details = await chat.details('Bob');
  const mute = details.getByRole('switch', { name: 'Mute' });
  await mute.click();
  await expect.poll(() => mute.isChecked()).toBe(true);
  expect(await faults(chat.page)).toEqual([]);
  await chat.page.keyboard.press('Escape');
  await look(chat, false);
  await bob.send(conversationId, 'hush');
  await carol.send(other, 'not hush');
  await expect.poll(async () => (await shown(chat)).map(({ title }) => title)).toEqual(['Carol']);
  expect(await tones()).toBeGreaterThan(atFirst);

  const before = await laptop.chat();
  await before.is('connected');
  await carol.send(other, 'in front');
  await expect.poll(() => chat.unread('Carol')).toBe('2');
  await look(before, false);
  await carol.send(other, 'behind');
  await expect.poll(async () => (await shown(chat)).map(({ body }) => body)).toEqual(['Carol: not hush', 'Carol: behind']);
});

test('a browser that refuses is told of', async ({ device, alice }) => {
  const chat = await open(await device(alice), 'denied');
  await chat.page.getByRole('button', { name: 'Settings' }).click();
  const wish = chat.dialog('Settings').getByRole('switch', { name: 'Notify me of messages' });
  await wish.click();
  await chat.alert.getByText('does not let this page notify you').waitFor();
  expect(await wish.isChecked()).toBe(false);
  expect(await faults(chat.page)).toEqual([]);
});

test('the icon has the number of unread messages', async ({ device, alice, bob, conversationId }) => {
  const chat = await (await device(alice)).chat();
  const icon = () =>
    chat.page.evaluate(async () => (await fetch(document.querySelector<HTMLLinkElement>('link[rel="icon"]')!.href)).text());
  expect(await icon()).not.toContain('<text');
  await bob.sendAll(conversationId, ['one', 'two']);
  await expect.poll(icon).toContain('>2</text>');
  await bob.sendAll(conversationId, Array.from({ length: 8 }, (_, index) => `${index}`));
  await expect.poll(icon).toContain('>9+</text>');
  await chat.signOut();
  await expect.poll(icon).not.toContain('<text');
});
