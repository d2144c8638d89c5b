/** What somebody writes: it is not lost, and says what has become of it. */

import type { Page } from 'playwright-core';
import { expect } from 'vitest';

import { faults } from './accessibility.ts';
import type { Chat } from './chat.ts';
import { test } from './fixtures.ts';

const isGraphql = ({ pathname }: URL) => pathname === '/graphql';

/** Deals with each send in a way of its own, the first one with the first; the rest goes on. The keys of all of them. */
async function onSend(page: Page, ...ways: ('refuse' | 'lose')[]): Promise<string[]> {
  const keys: string[] = [];
  await page.route(isGraphql, async (route) => {
    const asked = route.request().postDataJSON();
    if (!asked?.query.includes('mutation Send')) return route.continue();
    keys.push(asked.variables.input.idempotencyKey);
    const way = ways.shift();
    if (way === 'refuse') return route.fulfill({ json: { errors: [{ message: 'Not today.', extensions: { code: 'FORBIDDEN' } }] } });
    if (way !== 'lose') return route.continue();
    await route.fetch();
    return route.abort();
  });
  return keys;
}

const failed = (chat: Chat) => chat.messages.filter({ hasText: 'Not sent' });

test('a message that failed keeps its place, and can be tried again, copied and edited', async ({
  device, alice, bob, conversationId,
}) => {
  const laptop = await device(alice, { permissions: ['clipboard-read', 'clipboard-write'] });
  const alices = await laptop.chat(conversationId);
  await bob.send(conversationId, 'before');
  await alices.says('before');
  const keys = await onSend(alices.page, 'refuse', 'refuse');
  await alices.write('mine');
  await alices.alert.getByText('Not today.').waitFor();
  await bob.send(conversationId, 'after');

  await alices.says('before', 'mine', 'after');
  await alices.showsTicks('Not sent');
  const row = alices.conversation('Bob');
  await expect.poll(() => row.locator('.preview').innerText()).toBe('after');
  expect(await row.getByRole('img', { name: 'Not sent' }).count()).toBe(1);
  expect(await faults(alices.page)).toEqual([]);
  await failed(alices).getByRole('button', { name: 'Copy' }).click();
  await expect.poll(() => alices.page.evaluate(() => navigator.clipboard.readText())).toBe('mine');

  await failed(alices).getByRole('button', { name: 'Try again' }).click();
  await expect.poll(() => keys.length).toBe(2);
  await alices.alert.getByText('Not today.').waitFor();
  expect(keys[1]).toBe(keys[0]);
  await alices.page.reload();
  await alices.says('before', 'mine', 'after');

  await failed(alices).getByRole('button', { name: 'Edit' }).click();
  await alices.says('before', 'after');
  expect(await alices.field.inputValue()).toBe('mine');
  await alices.write('mine, better');
  await alices.says('before', 'after', 'mine, better');
  await alices.showsTicks('Sent');
});

test('how long a message may be is shown before it is too long', async ({ device, alice, conversationId }) => {
  const alices = await (await device(alice)).chat(conversationId);
  const count = alices.page.getByRole('status').filter({ hasText: 'characters' });
  await alices.field.fill('x'.repeat(8_000));
  expect(await count.count()).toBe(0);
  await alices.field.fill('x'.repeat(9_500));
  await expect.poll(() => count.innerText()).toBe('9,500 of 10,000 characters');
});

test('a draft is there again after another conversation, and after a reload', async ({
  device, alice, bob, carol, conversationId,
}) => {
  await carol.converse([alice]);
  const laptop = await device(alice);
  const alices = await laptop.chat(conversationId);
  await alices.field.fill('Dear Bob');
  await alices.open('Carol');
  await expect.poll(() => alices.field.inputValue()).toBe('');
  await alices.open('Bob');
  await expect.poll(() => alices.field.inputValue()).toBe('Dear Bob');
  await alices.page.reload();
  await expect.poll(() => alices.field.inputValue()).toBe('Dear Bob');

  // Nobody else has it.
  await alices.signOut();
  await alices.signIn(bob.handle, bob.password);
  await alices.open('Alice');
  expect(await alices.field.inputValue()).toBe('');
});

test('what waits to be sent outlives a reload, and is stored once', async ({ device, alice, bob, conversationId }) => {
  const laptop = await device(alice);
  laptop.provokes(/ERR_FAILED/);
  const alices = await laptop.chat(conversationId);
  await alices.is('connected');
  const keys = await onSend(alices.page, 'lose', 'lose', 'lose');
  await alices.write('one', 'two', 'three');
  await expect.poll(() => keys.length).toBeGreaterThan(0);

  await alices.page.reload();

  await alices.showsTicks('Sent', 'Sent', 'Sent');
  expect((await bob.messages(conversationId)).map(({ body }) => body)).toEqual(['one', 'two', 'three']);
  expect(new Set(keys).size).toBe(3);
});

test('what a session could not send is offered to whom it belongs when they sign in again', async ({
  device, alice, bob, conversationId,
}) => {
  const laptop = await device(alice);
  const alices = await laptop.chat(conversationId);
  await alices.is('connected');
  const sends = await onSend(alices.page, 'refuse');
  await alices.write('refused');
  await alices.showsTicks('Not sent');
  await alices.goOffline();
  await alices.write('unsent');
  await laptop.endSession();
  await alices.page.reload();

  await alices.signIn(bob.handle, bob.password);
  await alices.open('Alice');
  expect(await alices.messages.count()).toBe(0);
  await alices.signOut();
  await alices.signIn(alice.handle, alice.password);
  await alices.showsTicks('Not sent', 'Not sent');
  await alices.message('unsent').getByText('before you signed in again').waitFor();
  expect(sends.length).toBe(1);
  await alices.message('unsent').getByRole('button', { name: 'Try again' }).click();
  await alices.showsTicks('Not sent', 'Sent');
});
