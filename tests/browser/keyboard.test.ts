/** Everything can be done without a mouse. */

import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';

import { faults } from './accessibility.ts';
import { test } from './fixtures.ts';

/** More than there is to go to on any page. */
const STOPS = 40;

const hasFocus = (locator: Locator) => locator.evaluate((element) => element === document.activeElement);

/** Goes from one thing to the next until it is there. */
async function tabTo(page: Page, there: Locator): Promise<void> {
  await there.waitFor();
  for (let stop = 0; stop < STOPS; stop++) {
    if (await hasFocus(there)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`Tab does not lead to ${there}`);
}

test('to sign in, to open a conversation, to send, to open and close a dialog', async ({
  device, alice, bob, conversationId,
}) => {
  await bob.send(conversationId, 'Hello');
  const alices = await (await device()).chat();
  const { page } = alices;
  const { keyboard } = page;

  await expect.poll(() => hasFocus(page.getByLabel('Handle'))).toBe(true);
  await tabTo(page, alices.way('Sign in'));
  await keyboard.press('Enter');
  await tabTo(page, page.getByLabel('Handle'));
  await keyboard.type(alice.handle);
  await tabTo(page, page.getByLabel('Password'));
  await keyboard.type(alice.password);
  await keyboard.press('Enter');

  await tabTo(page, alices.conversation('Bob'));
  await keyboard.press('Enter');
  await tabTo(page, alices.field);
  await keyboard.type('Two');
  await keyboard.press('Shift+Enter');
  await keyboard.type('lines');
  await keyboard.press('Enter');
  await alices.says('Hello', 'Two\nlines');
  await expect.poll(() => hasFocus(alices.field)).toBe(true);

  const receipts = alices.messages.getByRole('button');
  await tabTo(page, receipts);
  await keyboard.press('Enter');
  const details = alices.dialog('Message details');
  await expect.poll(() => details.locator(':focus').count()).toBe(1);
  await keyboard.press('Escape');
  await expect.poll(() => details.count()).toBe(0);
  expect(await hasFocus(receipts)).toBe(true);

  const starts = page.getByRole('button', { name: 'New conversation' });
  await tabTo(page, starts);
  await keyboard.press('Enter');
  const dialog = alices.dialog('New conversation');
  await tabTo(page, dialog.getByLabel('With'));
  await keyboard.type('nobody-at-all');
  await keyboard.press('Enter');
  await expect.poll(() => dialog.getByRole('alert').innerText()).toContain('nobody-at-all');
  await tabTo(page, dialog.getByRole('button', { name: 'Close' }));
  await keyboard.press('Enter');
  await expect.poll(() => dialog.count()).toBe(0);
  expect(await hasFocus(starts)).toBe(true);
});

test('to read the past, and to open and close the inspector', async ({ device, alice, bob, conversationId }) => {
  await bob.sendAll(conversationId, Array.from({ length: 60 }, (_, n) => `message ${n + 1}`));
  const alices = await (await device(alice)).chat(conversationId);
  const { page } = alices;

  await tabTo(page, alices.log);
  await expect
    .poll(async () => {
      await page.keyboard.press('Home');
      return alices.messages.count();
    })
    .toBe(60);

  const inspects = page.getByRole('button', { name: 'Live inspector' });
  await tabTo(page, inspects);
  await page.keyboard.press('Enter');
  await alices.inspector.waitFor();
  await bob.send(conversationId, 'new');
  const event = alices.inspector.getByTestId('inspector-event').filter({ hasText: 'new' }).locator('summary');
  await tabTo(page, event);
  await page.keyboard.press('Enter');
  await alices.inspector.getByText('"__typename": "MessageSent"').waitFor();
  await page.keyboard.press('Escape');
  await expect.poll(() => alices.inspector.count()).toBe(0);
});

test('the messages are one stop for Tab, and the arrow keys go from one to the next', async ({
  device, alice, bob, conversationId,
}) => {
  await alice.sendAll(conversationId, ['one', 'two https://example.com/', 'three']);
  await bob.send(conversationId, 'four');
  const alices = await (await device(alice)).chat(conversationId);
  const { page } = alices;
  const { keyboard } = page;
  await alices.says('one', 'two https://example.com/', 'three', 'four');
  await tabTo(page, alices.log);
  await keyboard.press('Tab');
  expect(await hasFocus(alices.field)).toBe(true); // there is nothing to do with the newest message

  await keyboard.press('Shift+Tab');
  for (const body of ['four', 'three', 'two https://example.com/']) {
    await keyboard.press('ArrowUp');
    expect(await hasFocus(alices.message(body)), body).toBe(true);
  }
  expect(await faults(page)).toEqual([]);
  await keyboard.press('Tab');
  expect(await hasFocus(alices.messages.getByRole('link'))).toBe(true);
  await keyboard.press('Tab');
  expect(await hasFocus(alices.message('two https://example.com/').getByRole('button'))).toBe(true);
  await keyboard.press('Enter');
  await alices.dialog('Message details').waitFor();
  await keyboard.press('Escape');
  await keyboard.press('ArrowDown');
  expect(await hasFocus(alices.message('three'))).toBe(true);
  await keyboard.press('Tab');
  await keyboard.press('Tab');
  expect(await hasFocus(alices.field)).toBe(true);
});

test('a message that leaves the page leaves the focus with the log', async ({ device, alice, bob, conversationId }) => {
  await bob.sendAll(conversationId, Array.from({ length: 450 }, (_, n) => `message ${n + 1}`));
  await alice.markRead(await bob.send(conversationId, 'last'));
  const alices = await (await device(alice)).chat(conversationId);
  const { page } = alices;
  await alices.message('last').waitFor();
  await tabTo(page, alices.log);
  await page.keyboard.press('ArrowUp');
  expect(await hasFocus(alices.message('last'))).toBe(true);
  await expect
    .poll(async () => {
      await page.keyboard.press('Home');
      return alices.message('message 1').count();
    })
    .toBe(1);
  expect(await alices.message('last').count()).toBe(0);
  expect(await hasFocus(alices.log)).toBe(true);
  await page.keyboard.press('ArrowUp');
  expect(await alices.messages.and(page.locator(':focus')).count()).toBe(1);
});
