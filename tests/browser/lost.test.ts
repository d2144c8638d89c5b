/** What a page says when it has no connection: why, what is kept, and what happens next. */

import { expect, onTestFinished } from 'vitest';

import { Herald } from '../clients/herald.ts';
import { faults } from './accessibility.ts';
import type { Chat } from './chat.ts';
import { Device } from './device.ts';
import { test } from './fixtures.ts';
import { Person } from './person.ts';

const lost = (chat: Chat) => chat.page.getByRole('status', { name: 'Connection lost' });

/** How soon somebody is told, in milliseconds. */
const SOON = 2_000;

test('that the connection is lost is said in words within two seconds, on every screen', async ({
  herald, device, alice, conversationId,
}) => {
  const screens = [{ width: 1280, height: 800 }, { width: 360, height: 740 }];
  for (const viewport of screens) {
    const laptop = await device(alice, { viewport });
    laptop.provokes(/ERR_CONNECTION_REFUSED/, /ERR_CONNECTION_RESET/, /ERR_EMPTY_RESPONSE/);
    const chat = await laptop.chat(conversationId);
    // On a phone the state of the connection is out of sight while a conversation is open.
    await chat.page.locator('[data-state=connected]').waitFor({ state: 'attached' });
    await chat.field.waitFor();
    expect(await lost(chat).innerText()).toBe('');

    await herald.kill();
    await lost(chat).getByText('herald cannot be reached.').waitFor({ timeout: SOON });
    expect(await lost(chat).getByRole('button', { name: 'Try now' }).count()).toBe(1);
    expect(await lost(chat).innerText()).toMatch(/What you write waits here, and is sent when the connection is back/);
    expect(await faults(chat.page)).toEqual([]);
    expect(await chat.page.evaluate(() => document.documentElement.scrollHeight - innerHeight)).toBeLessThanOrEqual(0);
    await herald.start();
    await expect.poll(() => lost(chat).innerText()).toBe('');
  }
});

test('a tab that was taken offline says what that means, and how to end it', async ({
  device, alice, conversationId,
}) => {
  const chat = await (await device(alice)).chat(conversationId);
  await chat.is('connected');
  await chat.goOffline();
  await expect.poll(() => lost(chat).innerText()).toMatch(/^This tab is offline\..* is sent when you go online/);
  await chat.write('Written offline');
  await lost(chat).getByRole('button', { name: 'Connect again' }).click();
  await chat.is('connected');
  await chat.showsTicks('Sent');
  expect(await lost(chat).innerText()).toBe('');
});

test('that the device has no network is said as such', async ({ device, alice, conversationId }) => {
  const laptop = await device(alice);
  laptop.provokes(/ERR_INTERNET_DISCONNECTED/);
  const chat = await laptop.chat(conversationId);
  await chat.is('connected');
  await laptop.loseNetwork();
  await lost(chat).getByText('This device has no network.').waitFor({ timeout: SOON });
  await laptop.findNetwork();
  await chat.is('connected');
  await expect.poll(() => lost(chat).innerText()).toBe('');
});

test('a tab too many says so, asks seldom, and is connected when another is closed', async ({ chromium }) => {
  const herald = await Herald.create('--max-sockets-per-user', '2');
  onTestFinished(() => herald.remove());
  const [alice, bob] = [await Person.register(herald, 'Alice'), await Person.register(herald, 'Bob')];
  const conversationId = await alice.converse([bob]);
  const laptop = await Device.create(chromium, new URL(herald.http).origin, alice);
  onTestFinished(() => laptop.close());
  const [first, second] = [await laptop.chat(conversationId), await laptop.chat(conversationId)];
  for (const chat of [first, second]) await chat.is('connected');

  const third = await laptop.chat();
  await third.is('crowded');
  await expect.poll(() => lost(third).innerText()).toMatch(/more tabs and on more devices than it allows\. Close some/);
  const tried = third.sockets.length;
  expect(tried).toBeLessThanOrEqual(2);
  // Others are told meanwhile, and no other tab is thrown out.
  await bob.send(conversationId, 'one');
  for (const chat of [first, second]) await chat.says('one');
  expect(third.sockets.length).toBe(tried);

  await second.page.close({ runBeforeUnload: false });
  await third.is('connected');
  await third.open('Bob');
  await third.says('one');
  expect(third.sockets.length).toBeLessThanOrEqual(tried + 2);
});
