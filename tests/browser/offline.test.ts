/** Networks fail, for a page or for its whole browser. Nothing is lost, and nothing comes twice. */

import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';

import type { Chat } from './chat.ts';
import type { Device } from './device.ts';
import { test } from './fixtures.ts';

/** How long an outage lasts at least, in milliseconds. */
const OUTAGE = 3_000;

const numbered = (what: string, count: number) => Array.from({ length: count }, (_, n) => `${what} ${n + 1}`);

interface Outage {
  begin(device: Device, chat: Chat): Promise<void>;
  end(device: Device, chat: Chat): Promise<void>;
}

const OUTAGES: [string, Outage][] = [
  ['that goes offline by itself', { begin: (_, chat) => chat.goOffline(), end: (_, chat) => chat.goOnline() }],
  [
    'whose network is gone',
    {
      async begin(device, chat) {
        // The browser says so of each attempt to connect.
        device.provokes(/ERR_INTERNET_DISCONNECTED/);
        await device.loseNetwork();
        await chat.is('reconnecting');
      },
      async end(device, chat) {
        await device.findNetwork();
        await chat.is('connected');
      },
    },
  ],
];

test.for(OUTAGES)('a page %s has everything that happened meanwhile, in order, once', async (
  [, outage], { device, alice, bob, carol, conversationId },
) => {
  const laptop = await device(alice);
  const alices = await laptop.chat(conversationId);
  await alices.write('mine 1', 'mine 2', 'mine 3');
  await alices.showsTicks('Sent', 'Sent', 'Sent');
  const [, , last] = await bob.messages(conversationId);
  await bob.markDelivered(last!.id);
  await bob.send(conversationId, 'early');
  await alices.says('mine 1', 'mine 2', 'mine 3', 'early');

  await outage.begin(laptop, alices);
  // More than a page of history holds, and marks in between.
  const before = numbered('before', 30);
  const after = numbered('after', 30);
  await Promise.all([
    pause(OUTAGE),
    (async () => {
      await bob.sendAll(conversationId, before);
      await bob.markRead(last!.id);
      await bob.sendAll(conversationId, after);
      await carol.send(await carol.converse([alice]), 'Hello');
    })(),
  ]);
  await outage.end(laptop, alices);

  await alices.says('mine 1', 'mine 2', 'mine 3', 'early', ...before, ...after);
  await alices.showsTicks('Read', 'Read', 'Read');
  await expect.poll(() => alices.unread('Carol')).toBe('1');
  // Nothing came twice, not even unseen.
  expect(alices.events.flatMap(({ message }) => message?.body ?? [])).toEqual(['early', ...before, ...after, 'Hello']);
  expect(alices.events.flatMap(({ status }) => status ?? [])).toEqual(['DELIVERED', 'READ']);
  // It goes on as if nothing had been.
  await bob.send(conversationId, 'the end');
  await alices.says('mine 1', 'mine 2', 'mine 3', 'early', ...before, ...after, 'the end');
});

test.for(OUTAGES)('what is written on a page %s is delivered afterwards, in order, once', async (
  [, outage], { device, alice, bob, conversationId },
) => {
  const laptop = await device(alice);
  const alices = await laptop.chat(conversationId);
  const bobs = await (await device(bob)).chat(conversationId);
  for (const chat of [alices, bobs]) await chat.is('connected');

  await outage.begin(laptop, alices);
  await alices.write('one', 'two', 'three');
  await alices.says('one', 'two', 'three');
  await alices.showsTicks(...Array(3).fill('Waiting to be sent'));
  await bobs.write('meanwhile');
  await bobs.showsTicks('Sent');
  await outage.end(laptop, alices);

  await bobs.says('meanwhile', 'one', 'two', 'three');
  await alices.says('meanwhile', 'one', 'two', 'three');
  await alices.showsTicks('Read', 'Read', 'Read');
  await bobs.showsTicks('Read');
});

test('what is read on a page that is offline counts as read when it is back', async ({
  device, alice, bob, conversationId,
}) => {
  const alices = await (await device(alice)).chat(conversationId);
  const bobs = await (await device(bob)).chat();
  await bobs.is('connected');
  await alices.write('Tea at four?');
  await alices.showsTicks('Delivered');

  await bobs.goOffline();
  await bobs.conversation('Alice').click();
  await bobs.goOnline();

  await bobs.says('Tea at four?');
  await alices.showsTicks('Read');
});
