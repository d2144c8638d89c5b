/** Everything can be done without a mouse. */

import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';

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
